"""The words of what users hand over as hotwords: of a value here, of a file's content in `hotword_files`.

A string is words, never a path: values may come from outside, and nothing here opens a file. Weights, which
other recognisers take, are dropped; what is odd is noted in `Remarks`, which tells it once.
"""

import json
import logging
import numbers
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from funasr_sap.errors import DataError

COMMAS = ",，"
SEPARATORS = COMMAS + "、;；"  # of a string of keywords, besides tabs and line breaks
WORD_FIELDS = (  # names of the field, or the column, that holds a keyword
    *("word", "words", "hotword", "hotwords", "keyword", "keywords", "phrase", "phrases", "term", "terms"),
    *("text", "name", "entry", "热词", "关键词", "词", "词语"),
)
LIST_FIELDS = ("hotwords", "hotword", "keywords", "words", "phrases", "terms", "biasing_list", "热词")

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
# Weights behind a tab or a mark, as in "word :2.0 #0.35" and "word^2"; or in brackets.
_WEIGHT = rf"\s*(?:\t|\s[:：#]|(?<!\d)[:：,，;；]|[\^=|@*])\s*{_NUMBER}|\s*\(\s*{_NUMBER}\s*\)"
_MARKED = re.compile(rf"(.*?\S)(?:{_WEIGHT})+\s*", re.DOTALL)
_BRACKETED = re.compile(r"\((\S.*)\)")  # (word:1.5)
_SPACED = re.compile(r"(.*\S)\s+(\d{1,3}(?:\.\d+)?)\s*", re.DOTALL)
_LARGEST_WEIGHT = 100  # FunASR's; more after a blank is a year, or a model's number
_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,]*?))\s*(?:,|$)""")
_BETWEEN_DIGITS = re.compile(r"(?<=\d),(?=\d)")
# The bars of special tokens part nothing.
_ANY_SEPARATOR = re.compile(rf"[{SEPARATORS}\t]|(?<!<)\|(?!>)|(?<=\s)/(?=\s)")
_SURE_SEPARATOR = re.compile(r"[，、；;\t|/]")  # one is enough: no name holds it but as these
_LIST_SUFFIX = re.compile(
    r"\.(?:te?xt|lst|list|csv|tsv|tab|jsonl?|ya?ml|scp|dic|dict|dat|voc|vocab|words|md|docx?|xlsx?|pdf)$",
    re.IGNORECASE,
)
_LIST_NAME = re.compile(r"word|list|vocab|phrase|biasing|lexicon", re.IGNORECASE)
_PATHS_LOOKED_FOR = 100  # keywords; nobody puts a path into a longer list

logger = logging.getLogger(__name__)


class ReadList:
    """A biasing list that was read. Read again, it stays what it is, and the same object."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[str]: ...
        def __len__(self) -> int: ...


class Hotwords(list, ReadList):
    """The keywords of one: strings alone."""


REMARKS = {
    "weight": "the weights of %d keyword(s) are left out, as SAP² has none; the first is %r",
    "path": "%d keyword(s) look like a path, the first is %r; it is taken as a word, no file is read; "
    "give pathlib.Path(...) to read one",
    "separators": "%d keyword(s) hold separators, the first is %r; each is looked for as a whole; make "
    "every keyword a string of its own",
    "blanks": "%d text(s) of many words without a comma, the first is %r; it is looked for as one keyword; "
    "put commas between keywords",
    "parted": "%d line(s) with several keywords are parted at the commas, the first is %r",
    "comment": "%d line(s) that begin with # are comments, the first is %r",
    "biasing_list": "%d line(s) look like a biasing list by utterance id, the first is %r; each is taken as "
    "one keyword; give such a file as biasing_list=FILE",
}


class Remarks:
    """What is odd about the hotwords of a call, told once, however many lists and keywords it concerns."""

    def __init__(self):
        self._noted: dict[str, tuple[int, str]] = {}

    def note(self, kind: str, examples: Sequence[str]) -> None:
        """Note what ``examples`` show; of no example, nothing."""
        if examples:
            count, first = self._noted.get(kind, (0, examples[0]))
            self._noted[kind] = count + len(examples), first

    def tell(self) -> None:
        """Log each kind of remark, once."""
        for kind, (count, first) in self._noted.items():
            first = first if len(first) <= 60 else f"{first[:60]}..."
            logger.warning(f"hotwords: {REMARKS[kind]}", count, first)
        self._noted.clear()


def split_hotwords(text: str, separators: str, blanks: str | None = None) -> list[str]:
    """Part text at each of the separators; blanks around words, and empty words, go.

    Args:
        text: words with separators between them.
        separators: characters.
        blanks: the characters that are blanks; None for all white space.
    """
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    words = (word.strip(blanks) for word in text.split(separators[0]))
    return [word for word in words if word]


def split_dollars(text: str) -> list[str]:
    """Part ``word$word``, FunASR's form; text without a dollar sign is parted as hotwords are."""
    return split_hotwords(text, "$") if "$" in text else split_hotwords(text, SEPARATORS + "\t\r\n")


def split_items(text: str) -> Iterator[tuple[str, bool]]:
    """Part ``a, 'b, c', "d"`` at its commas; yields words, also empty ones, and whether quotes held them."""
    for double, single, bare in _ITEM.findall(text):
        yield double or single or bare, not bare and bool(double or single)


def split_hotword(text: str, remarks: Remarks) -> ReadList:
    """Read a string under the name ``hotword``, of FunASR's older models: spaces part its words.

    Where there are commas, they do. A number behind every word is its weight.
    """
    if isinstance(structure(text), list | dict) or _ANY_SEPARATOR.search(text):
        return parse_list(text, remarks)
    words = text.split()
    names, weights = words[::2], [word.lstrip(":：") for word in words[1::2]]
    if len(names) == len(weights) > 0 and all(map(is_number, weights)) and not any(map(is_number, names)):
        remarks.note("weight", names)
        words = names
    return as_hotwords(drop_weights(words, remarks), remarks)


def parse_list(value, remarks: Remarks) -> ReadList:
    """Read one biasing list.

    Raises:
        DataError: for another type, naming it, or for several lists.
    """
    words = parse_value(value, remarks)
    if isinstance(words, list) and not isinstance(words, ReadList):
        position, word = next((p, w) for p, w in enumerate(words) if not isinstance(w, str))
        raise _no_string(word, position)
    if not isinstance(words, ReadList):
        raise _no_list(value)
    return words


def parse_value(value, remarks: Remarks) -> ReadList | dict | list:
    """Read what stands for hotwords in Python, JSON or YAML.

    Args:
        value: None; a string of keywords; strings; keywords with weights, as a mapping, as pairs or as
            objects with a "word"; lists by utterance id, or one an utterance.
        remarks: gets what is odd.

    Returns:
        One list for all; or, still unread, lists by utterance id (a dict) or one an utterance (a list).

    Raises:
        DataError: for any other type, naming it.
    """
    if value is None:
        return Hotwords()
    if isinstance(value, ReadList):
        return value
    if isinstance(value, str):
        return parse_text(value, remarks)
    if isinstance(value, Mapping):
        return _parse_mapping(value, remarks)
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise _no_list(value)
    words = list(value)
    if {str}.issuperset(map(type, words)):  # one set instead of a look at each of 200,000 words
        return as_hotwords(drop_weights(words, remarks), remarks)
    names = (word if isinstance(word, str) else _without_weight(word) for word in words)
    bare = [name for name in names if name is not None]
    if len(bare) == len(words):
        remarks.note("weight", [word for word, given in zip(bare, words, strict=True) if word is not given])
        return as_hotwords(drop_weights(bare, remarks), remarks)
    is_list = [isinstance(word, list | tuple | ReadList) for word in words]
    if any(is_list) or {type(None)}.issuperset(map(type, words)):
        return words
    for position, word in enumerate(words):
        if not isinstance(word, str):
            raise _no_string(word, position)
    return as_hotwords(drop_weights(words, remarks), remarks)  # of a type of its own, as NumPy's


def parse_text(text: str, remarks: Remarks) -> ReadList | dict | list:
    """Read a string of keywords, or a list or mapping written as JSON or as Hydra does."""
    found = structure(text)
    if found is not None:
        return parse_value(found, remarks)
    words = drop_weights(split_hotwords(text, f"\n\r{SEPARATORS}"), remarks)
    words = [part for word in words for part in split_hotwords(word, "\t")]
    if len(words) == 1 and len(words[0].split()) > 4:
        remarks.note("blanks", words)
    return as_hotwords(words, remarks)


def structure(text: str) -> object:
    """Read text that is a JSON or Hydra list or mapping; None where it is neither, as ``[laughter]``."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text[0] == "[":
        items = list(split_items(text[1:-1]))
        is_list = "," in text or any(quoted for _, quoted in items)
        if not is_list or any("[" in word and not quoted for word, quoted in items):
            return None
        return [word for word, _ in items if word]
    try:
        found = yaml.load(text, yaml.BaseLoader)  # it makes strings, lists and dicts alone
    except (yaml.YAMLError, RecursionError):
        return None
    if isinstance(found, dict) and not any(found.values()):  # {word:20}, without a blank, or {word, word}
        return list(found)
    return found if isinstance(found, dict) else None


def as_hotwords(words: list[str], remarks: Remarks) -> Hotwords:
    """Make a biasing list of keywords, with a remark on what is hardly one."""
    joined = "\n".join(words)
    if _ANY_SEPARATOR.search(joined):
        remarks.note("separators", [word for word in words if _holds_separators(word)])
    if len(words) <= _PATHS_LOOKED_FOR:
        remarks.note("path", [word for word in words if looks_like_path(word)])
    return Hotwords(words)


def drop_weights(words: list[str], remarks: Remarks) -> list[str]:
    """Take the weights off keywords: numbers behind a mark; behind a blank, where most end so."""
    ending = [place for place, word in enumerate(words) if _ends_in_number(word)]
    marked, spaced = {}, {}
    for place in ending:
        inside = _BRACKETED.fullmatch(words[place].strip())
        found = _MARKED.fullmatch(inside[1] if inside else words[place])
        if found and re.search(r"[^\W\d_]", found[1]):
            marked[place] = found[1]
            continue
        found = _SPACED.fullmatch(words[place])
        if found and re.search(r"[^\W\d_]", found[1]) and float(found[2]) <= _LARGEST_WEIGHT:
            spaced[place] = found[1]
    weighted = marked | spaced
    if 2 * len(weighted) <= sum(1 for word in words if word.strip()):
        weighted = marked
    remarks.note("weight", [words[place] for place in weighted])
    return [weighted.get(place, word) for place, word in enumerate(words)] if weighted else words


def looks_like_path(text: str) -> bool:
    """Tell what is most likely the path of a list; AC/DC, TCP/IP, node.js, .NET and Booking.com are words."""
    text = text.strip()
    name = text.rpartition("/")[2]
    if _LIST_SUFFIX.search(name) and name[0] != ".":
        return True
    if re.match(r"[A-Za-z]:[\\/]|~/|\.{1,2}/|/\w+/", text):
        return True
    return "/" in text and bool(_LIST_NAME.search(name) or re.search(r"\.[A-Za-z]{2,4}$", name))


def is_number(value) -> bool:
    """Tell a number, or text that is one."""
    if isinstance(value, str):
        return re.fullmatch(_NUMBER, value.strip()) is not None
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _ends_in_number(word: str) -> bool:
    return word.rstrip(" \t)")[-1:].isdigit()


def _parse_mapping(value: Mapping, remarks: Remarks) -> ReadList | dict | list:
    names = [name for name in value if isinstance(name, str) and name.casefold() in LIST_FIELDS]
    others = [each for name, each in value.items() if name not in names]  # as "version": 1
    if len(names) == 1 and _is_list_of_all(value[names[0]]) and not any(map(_is_list_of_all, others)):
        return parse_value(value[names[0]], remarks)
    if value and all(map(is_number, value.values())):
        words = [str(word) for word in value]
        remarks.note("weight", words)
        return as_hotwords(words, remarks)
    return dict(value)


def _is_list_of_all(value) -> bool:
    """Tell what stands under a name such as "hotwords": a list, or keywords with weights."""
    return isinstance(value, str | list | tuple) or (
        isinstance(value, Mapping) and len(value) > 0 and all(map(is_number, value.values()))
    )


def _without_weight(value) -> str | None:
    """Return the keyword of (word, weight), or of {"word": ..., ...}; None where it is neither."""
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str):
        return value[0] if is_number(value[1]) and not isinstance(value[1], str) else None
    if not isinstance(value, Mapping):
        return None
    if len(value) == 1:
        ((word, weight),) = value.items()
        if isinstance(word, str) and is_number(weight):
            return word
    fields = {str(name).casefold(): each for name, each in value.items()}
    return next((fields[name] for name in WORD_FIELDS if isinstance(fields.get(name), str)), None)


def _holds_separators(word: str) -> bool:
    """Tell a keyword with two commas, or another separator; a comma between digits is none."""
    found = _ANY_SEPARATOR.findall(_BETWEEN_DIGITS.sub("", word))
    return len(found) > 1 or any(map(_SURE_SEPARATOR.match, found))


def _no_string(word, position: int) -> DataError:
    return DataError(
        f"hotwords: expected strings, got {type(word).__name__} at position {position}; "
        "give a list of strings, one string, or a file with one keyword a line"
    )


def _no_list(value) -> DataError:
    return DataError(
        "hotwords: expected a list of strings, one string, or a file with one keyword a line, "
        f"got {type(value).__name__}"
    )
