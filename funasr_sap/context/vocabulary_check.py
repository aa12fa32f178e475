"""What a model can make of a list of keywords: how each is heard, and what is wrong with it."""

import collections
import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence

from funasr_sap.context import phonetics
from funasr_sap.context.biasing_list import MAX_KEYWORD_CHARS, clean_keyword
from funasr_sap.context.hearing import Hearing
from funasr_sap.context.retrieval import is_short

# What may be wrong with an entry. Those that are "short" or "confusable" are offered all the same.
EMPTY, TOO_LONG, DOUBLED, UNHEARD = "empty", "too long", "doubled", "unheard"
SHORT, CONFUSABLE = "short", "confusable"


@dataclasses.dataclass(frozen=True)
class CheckedEntry:
    """One entry of a list.

    Attributes:
        written: as the user wrote it.
        cleaned: as it is offered, and written into transcripts.
        heard: what is listened for: the text of its pieces, or without a CTC head the plain letters; "" for
            none.
        problem: None, or the first that it has of "empty", "too long", "doubled", "unheard", "short" and
            "confusable".
        other: the entry, as cleaned, that it doubles or may be taken for; "" for none.
    """

    written: str
    cleaned: str
    heard: str
    problem: str | None = None
    other: str = ""


def check_vocabulary(words: Iterable[str], hearing: Hearing | None = None) -> list[CheckedEntry]:
    """Say of each keyword of a list what will be heard, and what is wrong with it.

    Args:
        words: keywords as users write them.
        hearing: what the model's CTC head can hear (``SAP2.hearing``); None for a model without one, which
            compares sounds.

    Returns:
        One entry a word, in order.
    """
    entries, first = [], {}
    for word in words:
        entry = _check_alone(word, hearing)
        if entry.problem in (None, SHORT):
            same = unicodedata.normalize("NFKC", entry.cleaned).casefold()
            before = first.setdefault(same, len(entries))
            if before < len(entries):
                entry = dataclasses.replace(entry, problem=DOUBLED, other=entries[before].cleaned)
        entries.append(entry)
    sound = [place for place, entry in enumerate(entries) if entry.problem is None]
    for place, other in _confusable([entries[place].cleaned for place in sound]).items():
        changes = {"problem": CONFUSABLE, "other": entries[sound[other]].cleaned}
        entries[sound[place]] = dataclasses.replace(entries[sound[place]], **changes)
    return entries


def _check_alone(word: str, hearing: Hearing | None) -> CheckedEntry:
    """Check a keyword without looking at others."""
    cleaned = clean_keyword(word)
    if not cleaned:
        return CheckedEntry(word, "", "", EMPTY)
    if len(cleaned) > MAX_KEYWORD_CHARS:
        return CheckedEntry(word, cleaned, "", TOO_LONG)
    if hearing is None:
        heard = phonetics.plain(cleaned) if phonetics.spell(cleaned) else ""
    else:
        heard = str(hearing.tokenizer.decode(list(hearing.spell(cleaned)))).strip()
    if not heard:
        return CheckedEntry(word, cleaned, "", UNHEARD)
    return CheckedEntry(word, cleaned, heard, SHORT if is_short(cleaned) else None)


def _confusable(words: Sequence[str]) -> dict[int, int]:
    """Find words that sound like another one: the same, but for one sound that is alike at most.

    Only words that are the same in all but alike sounds are compared: 200,000 words take seconds.

    Returns:
        For each of those words, by place, the first other one that it may be taken for.
    """
    names = [[(symbol - 1) % len(phonetics.SYMBOLS) for symbol in phonetics.spell(word)] for word in words]
    groups = _grouped((tuple(CLASSES[name] for name in sounds), place) for place, sounds in enumerate(names))
    found = {}
    for group in groups:
        for near in _grouped((key, place) for place in group for key in _keys(names[place])):
            for place in near:
                other = near[0] if place != near[0] else near[1]
                found[place] = min(found.get(place, other), other)
    return found


def _grouped(pairs: Iterable[tuple[tuple, int]]) -> list[list[int]]:
    """Bring together the places that share a key; those that are alone are left out."""
    groups = collections.defaultdict(dict)
    for key, place in pairs:
        groups[key][place] = None
    return [[*places] for places in groups.values() if len(places) > 1]


def _keys(sounds: Sequence[int]) -> Iterable[tuple]:
    """Name a word by its sounds, each in turn left open among those that are alike."""
    yield tuple(sounds)
    for place, name in enumerate(sounds):
        for number in GROUPS.get(name, ()):
            yield (*sounds[:place], -1 - number, *sounds[place + 1 :])


def _find_groups() -> tuple[dict[int, list[int]], list[int]]:
    """Number the groups of ``phonetics.ALIKE``.

    Returns:
        The groups of each sound; and one class for each sound, the same for all that are alike, be it by way
        of others.
    """
    groups, classes = collections.defaultdict(list), list(range(len(phonetics.SYMBOLS)))
    for number, group in enumerate(phonetics.ALIKE):
        members = [phonetics.PLACES[sound] for sound in group]
        merged = {classes[member] for member in members}
        classes = [min(merged) if each in merged else each for each in classes]
        for member in members:
            groups[member].append(number)
    return dict(groups), classes


GROUPS, CLASSES = _find_groups()
