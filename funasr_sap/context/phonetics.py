"""Retrieval without a CTC head: keywords are compared by sound with a first transcript.

A transcript becomes what a CTC head would give, so that alignment, index and calibration are the same: a
frame for each sound that was written, with the log likelihood of every sound that may have been meant by it,
and a frame between two sounds, in which one may have been missed.

Sounds are broad. English spelling is read by rule, Chinese as pinyin without tones (initials and finals); of
other scripts each letter is a sound of its own, and each digit in any. A sound that begins a word is another
symbol than the same sound inside one.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.extras import import_extra

# Letters to sounds, None for as they are; the first rule that fits is taken. Upper case: CH, SH, TH, J as in
# "judge", NG.
RULES = [
    *(("^(?:kn|gn|pn)", "n"), ("^wr", "r"), ("^ps", "s"), ("^x", "z"), ("^wh", "w"), ("^y", "y")),
    *(("tch|ch", "C"), ("sch|sh", "S"), ("[tsc]i(?=[ao])", "S"), ("ph", "f"), ("th", "T"), ("gh(?=t|$)", "")),
    *(("ck|cq", "k"), ("sc(?=[eiy])", "s"), ("dge|dj", "J"), ("ng(?![eiy])", "G"), ("n(?=k)", "G")),
    *(("qu", "kw"), ("q", "k"), ("x", "ks"), ("c(?=[eiy])", "s"), ("c", "k"), ("g(?=[eiy])|j", "J")),
    *(("(?<=[^aeiou])e$", ""), ("ee|ea|ie|y", "i"), ("oo|ou|ew|ue|eu", "u"), ("ai|ay|ei|ey|ae", "e")),
    *(("oa|ow|oe|au|aw", "o"), ("[a-z]", None)),
]
LETTERS = re.compile("|".join(f"({letters})" for letters, _ in RULES))
ENGLISH = list("aeioubpfvwmndtszSCJTkgGhlry")
INITIALS = [*"bpmfdtnlgkhjqxrzcs", "zh", "ch", "sh"]
FINALS = [
    *("a", "o", "e", "ai", "ei", "ao", "ou", "an", "en", "ang", "eng", "ong", "er", "i", "ia", "ie", "iao"),
    *("iu", "ian", "in", "iang", "ing", "iong", "u", "ua", "uo", "uai", "ui", "uan", "un", "uang", "ueng"),
    *("v", "ve", "ue", "van", "vn"),
]
# Sounds that are easily taken for each other.
ALIKE = [
    *("aeiou", "pb", "tdT", "kg", "fvT", "szSCJ", "mnG", "lrw", "Gk", "iy", "uw"),
    *(pair.split() for pair in ("z_ zh_", "c_ ch_", "s_ sh_", "n_ l_", "f_ h_", "r_ l_", "j_ zh_", "q_ ch_")),
    *(pair.split() for pair in ("_in _ing", "_en _eng", "_an _ang", "_ian _iang", "_uan _uang", "_un _ong")),
]
# Letters of other scripts, by their last bits: those of one script stand side by side, and stay apart.
NUM_OTHERS = 512
SYMBOLS = [*ENGLISH, *(f"{each}_" for each in INITIALS), *(f"_{each}" for each in FINALS), *"0123456789"]
SYMBOLS += [f"letter {number}" for number in range(NUM_OTHERS)]
PLACES = {symbol: place for place, symbol in enumerate(SYMBOLS)}
# The ids: 0 for the blank, then the sounds inside words, then those that begin one.
BLANK = 0
WORD_START = torch.arange(1 + 2 * len(SYMBOLS)) > len(SYMBOLS)

# Costs in nats: of another sound, of one that is alike, of one at another place in its word; of a sound too
# many or too few, and of an English vowel, which is often swallowed.
OTHER, SIMILAR, MOVED, EXTRA, EXTRA_VOWEL = 5.0, 1.5, 1.0, 3.0, 1.5
CHINESE = re.compile("[\u3007\u3400-\u9fff\U00020000-\U0003ffff]")
# Thai, Lao, Burmese, Khmer and kana are written without spaces: any letter may begin a word.
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff]")
PART = re.compile("[a-z]+|.")  # of a word: English letters together, others one by one
KATAKANA = {char: char - 0x60 for char in range(0x30A1, 0x30F7)}  # to hiragana


def hear(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn transcripts into what a CTC head would give for them.

    Returns:
        log_likelihoods: (B, T, V) of the sounds that may have been meant; 0 for what is written.
        mask: (B, T) bool.
    """
    rows = []
    for text in texts:
        sounds = spell(text)
        frames = torch.zeros(2 * len(sounds) + 1, dtype=torch.long)  # a blank, a sound, a blank, ...
        frames[1::2] = torch.tensor(sounds, dtype=torch.long)
        rows.append(_likelihoods()[frames])
    mask = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    return pad_sequence(rows, batch_first=True), pad_sequence(mask, batch_first=True)


def spell(text: str) -> list[int]:
    """Read a text aloud: the ids of its sounds; signs have none."""
    return [symbol for word in _words(plain(text)) for symbol in _spell_word(word)]


def plain(text: str) -> str:
    """Take off capitals, full width, and what stands above or below letters, such as accents."""
    text = text.casefold()
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text)
    return "".join(char for char in text if not unicodedata.combining(char)).casefold()


def _words(text: str) -> list[str]:
    """Part a plain text into runs of letters, runs of digits, and letters that may begin a word each."""
    words, before = [], None
    for char in text:
        kind = _kind(char)
        if kind == "alone" or (kind and kind != before):
            words.append(char)
        elif kind:
            words[-1] += char
        before = kind
    return words


@functools.lru_cache(maxsize=1 << 14)
def _kind(char: str) -> str | None:
    """Tell whether a character is a "letter" or a "digit" of a word, a word "alone", or none of these."""
    if CHINESE.match(char):
        return "alone"
    category = unicodedata.category(char)[0]  # vowel signs of Indic scripts are marks
    if category not in "LMN":
        return None
    if UNSPACED.match(char) and category != "N":
        return "alone"
    return "digit" if category == "N" else "letter"


@functools.lru_cache(maxsize=1 << 16)
def _spell_word(word: str) -> tuple[int, ...]:
    ids = [1 + PLACES[sound] for sound in _read(word)]
    return tuple(ids[:1] and [ids[0] + len(SYMBOLS), *ids[1:]])


def _read(word: str) -> list[str]:
    """Read one word aloud: its sounds; what no rule reads is its own sound."""
    if CHINESE.match(word):
        return _read_chinese(word) or [_own_sound(word)]
    sounds = []
    for part in PART.findall(word.translate(KATAKANA)):
        sounds += _read_english(part) if "a" <= part[0] <= "z" else [_own_sound(part)]
    return sounds


def _own_sound(char: str) -> str:
    """Name the sound of a digit, or of a letter of another script."""
    digit = unicodedata.digit(char, None)
    return f"letter {ord(char) % NUM_OTHERS}" if digit is None else str(digit)


def _read_english(word: str) -> str:
    sounds = []
    for found in LETTERS.finditer(word):
        sound = RULES[found.lastindex - 1][1] if found.lastindex else None
        sounds.append(found[0] if sound is None else sound)
    return re.sub(r"(.)\1", r"\1", "".join(sounds))


def _read_chinese(character: str) -> list[str]:
    pypinyin = import_extra("pypinyin", "a Chinese keyword without a CTC head")  # loads its dictionary
    pinyin, Style = pypinyin.pinyin, pypinyin.Style  # noqa: N806  (a class)
    initial, final = (
        pinyin(character, style=style, strict=False, errors="ignore", v_to_u=False)
        for style in (Style.INITIALS, Style.FINALS)
    )
    parts = [f"{initial[0][0]}_" if initial else "", f"_{final[0][0]}" if final else ""]
    return [part for part in parts if part in PLACES]


@functools.cache
def _likelihoods() -> torch.Tensor:
    """Log likelihood of each symbol (columns) where another is written (rows), the blank first: (V, V)."""
    num = len(SYMBOLS)
    alike = torch.full((num, num), OTHER)
    for group in ALIKE:
        members = [PLACES[sound] for sound in group]
        for member in members:
            alike[member, members] = SIMILAR
    alike.fill_diagonal_(0.0)
    cost = torch.full((1 + 2 * num, 1 + 2 * num), EXTRA)
    cost[1:, 1:] = torch.cat([torch.cat([alike, alike + MOVED], 1), torch.cat([alike + MOVED, alike], 1)], 0)
    vowels = [1 + place + PLACES[vowel] for vowel in "aeiou" for place in (0, num)]
    cost[0, vowels] = cost[vowels, 0] = EXTRA_VOWEL
    cost[0, 0] = 0.0
    return -cost
