"""What a word is, and where a keyword stands in a text: the one meaning of both for the whole package.

Two units:

    token   what is compared. "Nixon's state-of-the-art C++." has nixon, 's, state, of, the, art and c++.
            Punctuation beside a word belongs to none. Of scripts that are written without blanks between
            words (Chinese, Japanese, Thai, Lao, Khmer, Burmese; Korean, whose particles follow their noun
            so) each character is one.
    word    what is written between blanks, its punctuation included, or such a character: what has a time,
            and what is counted.

A keyword stands in a text where its tokens follow each other, whatever their capitals and width; blanks and
hyphens between them make no difference. What a scoring script counts as a word is its convention, and lies in
``metrics``.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_INVISIBLE = "\u00ad\u200c\u200d"  # soft hyphen, and the joiners of Persian and Indic scripts
# Letters, digits, accents, and signs that are part of names (C++, C#, AT&T, snake_case).
_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}+#&@_{_INVISIBLE}]--[{_UNSPACED}]]"
_ASCII_LETTER = "[A-Za-z0-9+#&@_]"
# French and Italian articles and the like, whose apostrophe ends them: l'École, dell'Aquila.
_ELISION = "(?:jusqu|lorsqu|puisqu|qu|[cdjlmnst]|dell|nell|sull|dall|all|quest|quell|un)['’]"


def _token_pattern(letter: str) -> str:
    """Write what a token of spaced scripts is, with the class of what counts as a letter."""
    return (
        rf"(?<!{letter}){_ELISION}(?={letter})"
        rf"|(?<={letter})['’]s(?!{letter})"  # the possessive, which leaves the name before it a word
        rf"|(?:(?<!\S)\.)?{letter}+"  # .NET
        rf"(?:(?:['’](?!s(?!{letter}))|\.|(?<=\d)[,:](?=\d)){letter}+)*"  # don't, U.S.A, 1,000
    )


_TOKEN = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|{_token_pattern(_LETTER)}", regex.V1 | regex.IGNORECASE)
_ASCII_TOKEN = re.compile(_token_pattern(_ASCII_LETTER), re.IGNORECASE)  # the same, five times as fast
_ASCII_WORD = re.compile(rf"[^\s]*{_ASCII_LETTER}[^\s]*")
_ONE_UNSPACED = regex.compile(rf"[{_UNSPACED}]\p{{M}}*", regex.V1)
_HAN = regex.compile(r"\p{Han}")
_HANGUL = regex.compile(r"\p{Hangul}")
_OPENERS = r"\p{Ps}\p{Pi}¿¡"
_CHUNK = regex.compile(r"\S+")
_PIECE = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*|{_LETTER}(?:[^\s{_UNSPACED}]*{_LETTER})?|[{_OPENERS}]+|[[^\s{_UNSPACED}]--{_LETTER}--[{_OPENERS}]]+",
    regex.V1,
)
_LETTERS = regex.compile(rf"{_LETTER}|[{_UNSPACED}]", regex.V1)
_OPENING = regex.compile(f"[{_OPENERS}]+")
_ENDS_WORD = regex.compile(r"[\p{L}\p{N}\p{M}+#&@_.,!?;:%)\]\"'’]")
_BEGINS_WORD = regex.compile(r"(?:[.,:]|['’](?!s(?!\p{L})))?[\p{L}\p{N}\p{M}+#&@_]|[(\[]")
_HYPHENS = regex.compile(r"[\s\p{Pd}]+")
_ENDS = "，。！？；：、…"  # after which no blank comes, either
CACHED = 1 << 16  # texts whose tokens are kept: the transcripts of an utterance are looked through many times


class Token(NamedTuple):
    """A stretch of a text that is compared as a whole.

    Attributes:
        key: its letters without capitals, as ``fold`` leaves them.
        start: of its first character.
        end: behind its last.
    """

    key: str
    start: int
    end: int


class Span(NamedTuple):
    """A stretch of a text: the characters from ``start`` to before ``end``."""

    start: int
    end: int


def fold(text: str) -> str:
    """Take away what makes no other word: capitals, full width, invisible signs, the apostrophe's form."""
    if text.isascii():
        return text.casefold()
    text = unicodedata.normalize("NFKC", text.translate(dict.fromkeys(map(ord, _INVISIBLE))))
    return unicodedata.normalize("NFC", text.casefold()).replace("’", "'")


@functools.lru_cache(maxsize=CACHED)
def tokens(text: str) -> tuple[Token, ...]:
    """Find the tokens of a text, in order."""
    pattern = _ASCII_TOKEN if text.isascii() else _TOKEN
    return tuple(Token(fold(found[0]), *found.span()) for found in pattern.finditer(text))


def same(one: str, other: str) -> bool:
    """Tell whether two keywords are the same."""
    return keyword_key(one) == keyword_key(other)


def keyword_key(keyword: str) -> str:
    """Return what two keywords have in common if, and only if, they are the same; signs count."""
    return " ".join(_HYPHENS.sub(" ", fold(keyword)).split())


def find(keyword: str, text: str) -> list[Span]:
    """Find where a keyword stands in a text; its occurrences do not overlap.

    The keyword's own signs at its edges ("Yahoo!") are part of an occurrence where they stand there.
    """
    wanted, found = tokens(keyword), tokens(text)
    spans, place = [], 0
    while wanted and place + len(wanted) <= len(found):
        if _stands_at(keyword, wanted, text, found, place):
            start, end = found[place].start, found[place + len(wanted) - 1].end
            before, after = keyword[: wanted[0].start], keyword[wanted[-1].end :]
            start -= len(before) if text[:start].endswith(before) else 0
            end += len(after) if text.startswith(after, end) else 0
            spans.append(Span(start, end))
            place += len(wanted)
        else:
            place += 1
    return spans


def has(keyword: str, text: str) -> bool:
    """Tell whether a keyword stands in a text."""
    wanted, found = tokens(keyword), tokens(text)
    return bool(wanted) and any(
        _stands_at(keyword, wanted, text, found, place) for place in range(len(found) - len(wanted) + 1)
    )


def _stands_at(keyword: str, wanted, text: str, found, place: int) -> bool:
    """Tell whether the tokens of a keyword stand at a place of those of a text."""
    if found[place].key != wanted[0].key:
        return False
    for number in range(1, len(wanted)):
        before, token = found[place + number - 1 : place + number + 1]
        if token.key != wanted[number].key:
            return False
        gap = text[before.end : token.start]
        wanted_gap = keyword[wanted[number - 1].end : wanted[number].start]
        if gap != wanted_gap and _HYPHENS.sub("", gap) != _HYPHENS.sub("", wanted_gap):
            return False
    return True


def replace(text: str, span: Span, keyword: str) -> str:
    """Write a keyword over a stretch of a text, or into it where the stretch is empty.

    What stands beside it stays; a blank comes between two words that would become one.
    """
    before, after = text[: span.start], text[span.end :]
    left = " " if _would_join(before, keyword) else ""
    right = " " if _would_join(keyword, after) else ""
    return f"{before}{left}{keyword}{right}{after}"


def insert(text: str, place: int, keyword: str) -> str:
    """Write a keyword before a character of a text, blanks around it where its script has them."""
    return replace(text, Span(place, place), keyword)


def join_texts(texts: Iterable[str]) -> str:
    """Put texts one behind another, with blanks between them where their script has them."""
    joined = ""
    for text in filter(None, texts):
        bare = joined and is_unspaced(joined.rstrip(_ENDS)[-1:]) and is_unspaced(text[0])
        joined += text if bare or not joined else f" {text}"
    return joined


def words(text: str) -> list[Span]:
    """Find the words of a text as they are written, the punctuation beside them included.

    Punctuation that stands alone is no word.
    """
    if text.isascii():
        return [Span(*found.span()) for found in _ASCII_WORD.finditer(text)]
    spans = []
    for chunk in _CHUNK.finditer(text):
        own, carried = [], chunk.start()
        for piece in _PIECE.finditer(text, *chunk.span()):
            if _LETTERS.search(piece[0]):
                own.append(Span(carried, piece.end()))
                carried = piece.end()
            elif own and not _OPENING.fullmatch(piece[0]):
                own[-1] = Span(own[-1].start, piece.end())
                carried = piece.end()
        if own:  # an opening bracket before a blank
            own[-1] = Span(own[-1].start, chunk.end())
        spans += own
    return spans


def split_words(text: str) -> list[str]:
    """Split a text into its words; see ``words``."""
    return [text[start:end] for start, end in words(text)]


def is_unspaced(character: str) -> bool:
    """Tell whether a character is of a script that is written without blanks between words."""
    return not character.isascii() and bool(_ONE_UNSPACED.match(character))


def has_no_blanks(word: str) -> bool:
    """Tell whether a word begins in a script that has no blanks at all; Korean parts its phrases by them."""
    return is_unspaced(word[:1]) and not _HANGUL.match(word)


def space_han(text: str) -> str:
    """Put blanks around each Chinese character, as scoring by characters wants it; other runs stay one."""
    return " ".join(_HAN.sub(r" \g<0> ", text).split())


def phrases(texts: Iterable[str], longest: int) -> set[str]:
    """Collect the ``phrase_key`` of every run of up to ``longest`` tokens in texts."""
    found = set()
    for text in texts:
        keys = [token.key for token in tokens(text)]
        for first in range(len(keys)):
            run = keys[first : first + longest]
            found.update(" ".join(run[:size]) for size in range(1, len(run) + 1))
    return found


def phrase_key(keyword: str) -> str:
    """Return the tokens of a keyword, blanks between them: what ``phrases`` has where it is spoken."""
    if keyword.isascii() and keyword.isalnum():  # nearly all of 200,000 words
        return keyword.casefold()
    return " ".join(token.key for token in tokens(keyword)) or fold(keyword)


def _would_join(left: str, right: str) -> bool:
    """Tell whether a blank must stand between two texts."""
    if not left or not right or left[-1].isspace() or right[0].isspace():
        return False
    if not (_ENDS_WORD.match(left[-1]) and _BEGINS_WORD.match(right)):
        return False
    return not (is_unspaced(left[-1]) or is_unspaced(right[0]))
