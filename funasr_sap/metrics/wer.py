"""WER, U-WER and B-WER of hypotheses against references, joined by utterance id.

Conventions:
    is21: Le et al. 2021 (arXiv:2104.02194). A word is biased when it is among the utterance's rare words;
        where only a biasing list is known, the rare words are its entries that occur in the reference.
    slidespeech: Wang et al. 2024 (arXiv:2309.05396). A word is biased when it is in the biasing list and in
        the reference. Words are compared in upper case, as the authors' script does.

In both, an insertion counts for the B-WER when the inserted word is one of those biased words, and a phrase
in a list makes its words biased only if the whole phrase occurs in the reference. Texts are split at white
space; other normalisation is the caller's (:func:`text_normalizer`). All rates are in percent.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from funasr_sap.errors import ConfigError, DataError
from funasr_sap.metrics.alignment import IS21_RULE, SLIDESPEECH_RULE, AlignmentRule, align
from funasr_sap.metrics.keywords import KeywordCounts, biased_words, compare_ids, count_hotwords, percent

WordLists = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Convention:
    """How one publication aligns words and which of them it calls biased."""

    rule: AlignmentRule
    upper_case: bool  # compare words in upper case
    trusts_rare_words: bool  # given rare words are biased as they stand, whatever the reference says

    def biased_words(
        self, ref: Sequence[str], listed: Sequence[str], rare_words: Sequence[str] | None
    ) -> set[str]:
        """Return the biased words of an utterance.

        Args:
            ref: the words of its reference.
            listed: its biasing list.
            rare_words: the true part of the list; None where it is not known.
        """
        if self.trusts_rare_words and rare_words is not None:
            return biased_words(rare_words, ref, known_true=True)
        return biased_words(listed, ref)


CONVENTIONS = {
    "is21": Convention(IS21_RULE, upper_case=False, trusts_rare_words=True),
    "slidespeech": Convention(SLIDESPEECH_RULE, upper_case=True, trusts_rare_words=False),
}


@dataclass
class ErrorCounts:
    """Errors among some of the words: all, the biased or the unbiased ones."""

    ref_words: int = 0
    subs: int = 0
    ins: int = 0
    dels: int = 0

    @property
    def error_rate(self) -> float | None:
        """Errors per 100 reference words, or None where there is no reference word."""
        return percent(self.subs + self.ins + self.dels, self.ref_words)

    def to_dict(self) -> dict[str, Any]:
        """Return rate and counts in the order of the published result files."""
        counts = {"ref_words": self.ref_words, "subs": self.subs, "ins": self.ins, "dels": self.dels}
        return {"error_rate": self.error_rate, **counts}


UNBIASED, BIASED = 0, 1
"""The parts of `Score.errors`."""


@dataclass
class Score:
    """The result of scoring one set of hypotheses.

    Attributes:
        utt_ids: the U utterances that were scored.
        errors: (U, 2, 4) of the unbiased and the biased words of each utterance: reference words,
            substitutions, insertions, deletions.
        hotwords: (U, 4) true positives, true negatives, false positives and false negatives: how the entries
            of the biasing lists were recognised.
        list_sizes: (U,) entries in each biasing list.
        pruning: how well pruning chose keywords, where that was judged.
        missing: reference utterances left out for want of a hypothesis (lenient scoring only).
        unknown: hypotheses left out for want of a reference (lenient scoring only).
    """

    convention: str
    utt_ids: list[str]
    errors: np.ndarray
    hotwords: np.ndarray
    list_sizes: np.ndarray
    pruning: KeywordCounts | None = None
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def utterances(self) -> int:
        """How many utterances were scored."""
        return len(self.utt_ids)

    @property
    def wer(self) -> ErrorCounts:
        """Errors among all words."""
        return _error_counts(self.errors.sum((0, 1)))

    @property
    def u_wer(self) -> ErrorCounts:
        """Errors among the unbiased words."""
        return _error_counts(self.errors[:, UNBIASED].sum(0))

    @property
    def b_wer(self) -> ErrorCounts:
        """Errors among the biased words."""
        return _error_counts(self.errors[:, BIASED].sum(0))

    @property
    def hotword(self) -> KeywordCounts:
        """How the entries of the biasing lists were recognised."""
        return KeywordCounts(*self.hotwords.sum(0).tolist())

    @property
    def sentence_error_rate(self) -> float | None:
        """Utterances with at least one wrong word, per 100."""
        wrong = self.errors[:, :, 1:].sum((1, 2)) > 0
        return percent(int(wrong.sum()), self.utterances)

    def select(self, rows: Sequence[int]) -> "Score":
        """Return the score of some of the utterances, given by their places in ``utt_ids``."""
        return replace(
            self,
            utt_ids=[self.utt_ids[row] for row in rows],
            errors=self.errors[rows],
            hotwords=self.hotwords[rows],
            list_sizes=self.list_sizes[rows],
            pruning=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; rates are in percent, None where undefined."""
        result = {
            "convention": self.convention,
            "utterances": self.utterances,
            "wer": self.wer.to_dict(),
            "u_wer": self.u_wer.to_dict(),
            "b_wer": self.b_wer.to_dict(),
            "sentence_error_rate": self.sentence_error_rate,
            "hotword": self.hotword.to_dict(),
        }
        if self.pruning is not None:
            result["pruning"] = self.pruning.to_dict()
        return {**result, "missing": self.missing, "unknown": self.unknown}


def _error_counts(row: np.ndarray) -> ErrorCounts:
    return ErrorCounts(*row.tolist())


def score(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    biasing: WordLists | None = None,
    convention: str = "is21",
    *,
    rare_words: WordLists | None = None,
    lenient: bool = False,
    source: str = "the set of hypotheses",
) -> Score:
    """Score hypotheses against references.

    Args:
        references: text of each utterance; words are separated by white space.
        hypotheses: likewise; an empty text scores as deletions.
        biasing: the biasing list of each utterance; the basis of the hotword counts. None: ``rare_words``.
        convention: "is21" or "slidespeech".
        rare_words: the true part of each biasing list, where it is known; used by "is21".
        lenient: leave out utterances without a hypothesis or a reference (the score names them) and take
            a missing list as empty, instead of raising.
        source: what the hypotheses are called in errors, such as their file.

    Raises:
        DataError: ids differ, or there is nothing to score.
        ConfigError: the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise ConfigError(f"unknown scoring convention {convention!r}: expected {' or '.join(CONVENTIONS)}.")
    missing, unknown = compare_ids(references, hypotheses, source, lenient)
    utt_ids = [utt_id for utt_id in references if utt_id in hypotheses]
    if not utt_ids:
        raise DataError(f"nothing to score: no reference utterance has a hypothesis in {source}.")
    rules = CONVENTIONS[convention]
    listed = rare_words if biasing is None else biasing
    if listed is not None:
        compare_ids(utt_ids, listed, "the biasing list", lenient, allow_unknown=True)
    if rules.trusts_rare_words and rare_words is not None:
        compare_ids(utt_ids, rare_words, "the list of rare words", lenient, allow_unknown=True)
    errors, hotwords, sizes = _count(utt_ids, references, hypotheses, listed, rare_words, rules)
    return Score(convention, utt_ids, errors, hotwords, sizes, missing=missing, unknown=unknown)


def _count(
    utt_ids: Sequence[str],
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    listed: WordLists | None,
    rare_words: WordLists | None,
    rules: Convention,
) -> Iterator[np.ndarray]:
    """Yield the tables of a `Score`: errors, hotwords, list sizes."""
    errors, hotwords, sizes = [], [], []
    for utt_id in utt_ids:
        ref, hyp = _words(references[utt_id], rules), _words(hypotheses[utt_id], rules)
        entries = _entries(listed, utt_id, rules)
        rare = None if rare_words is None else _entries(rare_words, utt_id, rules)
        errors.append(count_errors(ref, hyp, rules.biased_words(ref, entries, rare), rules.rule))
        counts = count_hotwords(entries, ref, hyp)
        hotwords.append((counts.tp, counts.tn, counts.fp, counts.fn))
        sizes.append(len(entries))
    for table in (errors, hotwords, sizes):
        yield np.array(table, dtype=np.int64)


def _words(text: str, rules: Convention) -> list[str]:
    return (text.upper() if rules.upper_case else text).split()


def _entries(lists: WordLists | None, utt_id: str, rules: Convention) -> Sequence[str]:
    entries = (lists or {}).get(utt_id, ())
    return [entry.upper() for entry in entries] if rules.upper_case else entries


def count_errors(
    ref: Sequence[str], hyp: Sequence[str], biased: Collection[str], rule: AlignmentRule
) -> tuple[list[int], list[int]]:
    """Count the words and errors of one utterance.

    Returns: for the unbiased and for the biased words, reference words, substitutions, insertions, deletions.
    """
    parts = [len(ref), 0, 0, 0], [0, 0, 0, 0]
    if biased:
        parts[BIASED][0] = sum(word in biased for word in ref)
        parts[UNBIASED][0] -= parts[BIASED][0]
    if ref == hyp:
        return parts
    for ref_word, hyp_word in align(ref, hyp, rule):
        if ref_word != hyp_word:
            judged, kind = (hyp_word, 2) if ref_word is None else (ref_word, 3 if hyp_word is None else 1)
            parts[judged in biased][kind] += 1
    return parts
