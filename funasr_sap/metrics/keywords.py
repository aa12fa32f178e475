"""Keywords in references and hypotheses: which occur, which were recognised, which were kept by pruning.

An entry of a biasing list is a word or a phrase of several words. A phrase occurs where all its words follow
each other; a part of it is no occurrence.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from funasr_sap.errors import DataError


@dataclass
class KeywordCounts:
    """True and false positives and negatives, summed over all utterances (micro average).

    Rates are in percent, and None where there is nothing to divide by.
    """

    tp: int = 0
    tn: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float | None:
        """The share of what was found that is right."""
        return percent(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """The share of what should be found that was found."""
        return percent(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        return percent(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def to_dict(self) -> dict[str, Any]:
        """Return the four counts and the three rates (percent or None)."""
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {"tp": self.tp, "tn": self.tn, "fp": self.fp, "fn": self.fn, **rates}


def percent(part: int, whole: int) -> float | None:
    """Return 100 · part / whole, or None where ``whole`` is 0 and the rate has no meaning."""
    return 100.0 * part / whole if whole else None


def occurrences(entry: Sequence[str], words: Sequence[str]) -> int:
    """Count the places in ``words`` where all words of ``entry`` follow each other."""
    if len(entry) == 1:
        return words.count(entry[0])
    entry, length = list(entry), len(entry)
    return sum(list(words[i : i + length]) == entry for i in range(len(words) - length + 1))


def biased_words(entries: Iterable[str], ref: Sequence[str], known_true: bool = False) -> set[str]:
    """Return the words of a reference whose errors count for the B-WER.

    The words of a phrase count, everywhere in the utterance, if the whole phrase occurs in the reference, and
    otherwise not at all.

    Args:
        entries: the biasing list, or the rare words, of the utterance.
        ref: the words of the reference.
        known_true: the entries are the utterance's rare words: single words are taken without looking for
            them in the reference, as the IS21 script does (it matters for inserted words only).
    """
    present = set(ref)
    biased = set()
    for entry in entries:
        words = entry.split()
        if len(words) == 1:
            if known_true or words[0] in present:
                biased.add(words[0])
        elif present.issuperset(words) and occurrences(words, ref):
            biased.update(words)
    return biased


def count_hotwords(entries: Iterable[str], ref: Sequence[str], hyp: Sequence[str]) -> KeywordCounts:
    """Count how the entries of one biasing list were recognised (SlideSpeech, Wang et al. 2024).

    Counts are per occurrence. An entry in the reference gives min(reference count, hypothesis count) true
    positives; what the reference has more is false negatives, what the hypothesis has more false positives.
    An entry that is not in the reference gives its count in the hypothesis as false positives, or one true
    negative. An entry that is listed twice counts once.
    """
    counts = KeywordCounts()
    spoken = {*ref, *hyp}
    listed = set(entries)
    listed.discard("")
    letters = "".join(listed)
    if letters.split() == [letters]:  # no phrases, as in nearly all lists: what nobody said needs no look
        counts.tn = len(listed)
        listed &= spoken
        counts.tn -= len(listed)
    for words in {tuple(entry.split()) for entry in listed} - {()}:
        if not spoken.issuperset(words):
            counts.tn += 1
            continue
        in_ref, in_hyp = occurrences(words, ref), occurrences(words, hyp)
        counts.tp += min(in_ref, in_hyp)
        counts.fn += max(in_ref - in_hyp, 0)
        counts.fp += max(in_hyp - in_ref, 0)
        counts.tn += not in_ref and not in_hyp
    return counts


def pruning_scores(
    kept: Mapping[str, Sequence[str]],
    biasing: Mapping[str, Sequence[str]],
    reference: Mapping[str, str | Sequence[str]],
) -> KeywordCounts:
    """Judge pruning: of the entries that should have been kept, which were, and what else was kept.

    An entry should be kept if it is in the biasing list and occurs in the reference. Anything else that was
    kept is a false positive, even if it is in no list. True negatives are the entries rightly dropped.

    Args:
        kept: the pruned keywords of each utterance, exactly as they stand in the biasing list.
        biasing: the biasing list of each utterance.
        reference: for each utterance its text, or its rare words as a list.

    Raises:
        DataError: ``kept`` or ``biasing`` lacks an utterance of ``reference``, or ``kept`` has another one.
    """
    compare_ids(reference, kept, "the list of kept keywords")
    compare_ids(reference, biasing, "the biasing list", allow_unknown=True)
    counts = KeywordCounts()
    for utt_id, truth in reference.items():
        listed, chosen = set(biasing[utt_id]), set(kept[utt_id])
        wanted = listed & (_entries_in_text(listed, truth) if isinstance(truth, str) else set(truth))
        counts.tp += len(chosen & wanted)
        counts.fp += len(chosen - wanted)
        counts.fn += len(wanted - chosen)
        counts.tn += len(listed - wanted - chosen)
    return counts


def _entries_in_text(entries: Iterable[str], text: str) -> set[str]:
    words = text.split()
    present = set(words)
    found = set()
    for entry in entries:
        entry_words = entry.split()
        # The set test is cheap and settles nearly every distractor.
        if entry_words and present.issuperset(entry_words) and occurrences(entry_words, words):
            found.add(entry)
    return found


def compare_ids(
    references: Collection[str],
    given: Collection[str],
    source: str,
    lenient: bool = False,
    allow_unknown: bool = False,
) -> tuple[list[str], list[str]]:
    """Compare the utterance ids of two collections that are to be joined.

    Args:
        references: the ids that are wanted.
        given: the ids that there are.
        source: what ``given`` is, for the error: a file or a name.
        lenient: return differences instead of raising.
        allow_unknown: ids of ``given`` that are not wanted are no difference.

    Returns: the ids that ``given`` lacks and those that it has beyond ``references``, in their order.

    Raises:
        DataError: the ids differ and ``lenient`` is False; names up to 20 of each kind.
    """
    missing = [utt_id for utt_id in references if utt_id not in given]
    unknown = [] if allow_unknown else [utt_id for utt_id in given if utt_id not in references]
    problems = []
    if missing:
        problems.append(f"lacks {len(missing)} of {len(references)} utterance(s) ({_names(missing)})")
    if unknown:
        problems.append(f"has {len(unknown)} utterance(s) that the reference lacks ({_names(unknown)})")
    if problems and not lenient:
        raise DataError(f"{source} {' and '.join(problems)}: complete the data, or score with --lenient.")
    return missing, unknown


def _names(ids: Sequence[str]) -> str:
    more = len(ids) - DataError.MAX_SHOWN
    return ", ".join(ids[: DataError.MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
