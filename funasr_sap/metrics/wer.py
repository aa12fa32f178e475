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

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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


@dataclass
class Score:
    """The result of scoring one set of hypotheses.

    Attributes:
        sentence_errors: utterances with at least one wrong word.
        hotword: how the entries of the biasing lists were recognised.
        pruning: how well pruning chose keywords, where that was judged.
        missing: reference utterances left out for want of a hypothesis (lenient scoring only).
        unknown: hypotheses left out for want of a reference (lenient scoring only).
    """

    convention: str
    utterances: int = 0
    sentence_errors: int = 0
    wer: ErrorCounts = field(default_factory=ErrorCounts)
    u_wer: ErrorCounts = field(default_factory=ErrorCounts)
    b_wer: ErrorCounts = field(default_factory=ErrorCounts)
    hotword: KeywordCounts = field(default_factory=KeywordCounts)
    pruning: KeywordCounts | None = None
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def sentence_error_rate(self) -> float | None:
        """Utterances with an error per 100."""
        return percent(self.sentence_errors, self.utterances)

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
    result = Score(convention, missing=missing, unknown=unknown)
    utt_ids = [utt_id for utt_id in references if utt_id in hypotheses]
    if not utt_ids:
        raise DataError(f"nothing to score: no reference utterance has a hypothesis in {source}.")
    rules = CONVENTIONS[convention]
    listed = rare_words if biasing is None else biasing
    known_true = rules.trusts_rare_words and rare_words is not None
    truths = rare_words if known_true else listed
    if listed is not None:
        compare_ids(utt_ids, listed, "the biasing list", lenient, allow_unknown=True)
    if known_true:
        compare_ids(utt_ids, rare_words, "the list of rare words", lenient, allow_unknown=True)
    for utt_id in utt_ids:
        ref, hyp = _words(references[utt_id], rules), _words(hypotheses[utt_id], rules)
        biased = biased_words(_entries(truths, utt_id, rules), ref, known_true)
        _add_errors(result, ref, hyp, biased, rules.rule)
        _add_hotwords(result.hotword, count_hotwords(_entries(listed, utt_id, rules), ref, hyp))
    return result


def _words(text: str, rules: Convention) -> list[str]:
    return (text.upper() if rules.upper_case else text).split()


def _entries(lists: WordLists | None, utt_id: str, rules: Convention) -> Sequence[str]:
    entries = (lists or {}).get(utt_id, ())
    return [entry.upper() for entry in entries] if rules.upper_case else entries


def _add_errors(result: Score, ref: list[str], hyp: list[str], biased: set[str], rule: AlignmentRule) -> None:
    """Add the words and errors of one utterance to the three counts."""
    result.utterances += 1
    biased_refs = sum(word in biased for word in ref) if biased else 0
    result.wer.ref_words += len(ref)
    result.b_wer.ref_words += biased_refs
    result.u_wer.ref_words += len(ref) - biased_refs
    if ref == hyp:
        return
    result.sentence_errors += 1
    for ref_word, hyp_word in align(ref, hyp, rule):
        if ref_word == hyp_word:
            continue
        part = result.b_wer if (hyp_word if ref_word is None else ref_word) in biased else result.u_wer
        for counts in (result.wer, part):
            if ref_word is None:
                counts.ins += 1
            elif hyp_word is None:
                counts.dels += 1
            else:
                counts.subs += 1


def _add_hotwords(total: KeywordCounts, counts: KeywordCounts) -> None:
    total.tp += counts.tp
    total.tn += counts.tn
    total.fp += counts.fp
    total.fn += counts.fn


def format_table(result: Score) -> str:
    """Return a score as a plain-text table with aligned columns."""
    rows = [("", "error %", "ref words", "subs", "ins", "dels")]
    for name, counts in (("WER", result.wer), ("U-WER", result.u_wer), ("B-WER", result.b_wer)):
        cells = (counts.ref_words, counts.subs, counts.ins, counts.dels)
        rows.append((name, _rate(counts.error_rate), *map(str, cells)))
    keyword_rows = [("", "precision %", "recall %", "F1 %", "tp", "fp", "fn", "tn")]
    for name, counts in (("hotwords", result.hotword), ("pruning", result.pruning)):
        if counts is not None:
            rates = (_rate(counts.precision), _rate(counts.recall), _rate(counts.f1))
            keyword_rows.append((name, *rates, *map(str, (counts.tp, counts.fp, counts.fn, counts.tn))))
    title = (
        f"{result.utterances} utterances, convention {result.convention}, "
        f"sentence error rate {_rate(result.sentence_error_rate)} %"
    )
    return "\n".join([title, "", *_aligned(rows), "", *_aligned(keyword_rows)])


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


NORMALIZATIONS = {
    "none": "none: words as they are",
    "en": "transformers' EnglishTextNormalizer, without its table of British spellings",
    "zh": "transformers' BasicTextNormalizer, then one token for each Chinese character or run of others",
}
"""What each value of ``--normalize`` does, for people."""

_CHINESE_CHARACTER = re.compile("([\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


def text_normalizer(name: str) -> Callable[[str], str]:
    """Return the function that prepares texts and list entries for scoring.

    Args:
        name: a key of NORMALIZATIONS. With "zh" the error rates are those of characters.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in NORMALIZATIONS:
        raise ConfigError(f"unknown normalisation {name!r}: expected one of {', '.join(NORMALIZATIONS)}.")
    if name == "none":
        return lambda text: text
    # Imported here: it takes a second, which scoring without normalisation need not spend.
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    if name == "en":
        return EnglishTextNormalizer({})
    basic = BasicTextNormalizer()
    return lambda text: " ".join(_CHINESE_CHARACTER.sub(r" \1 ", basic(text)).split())
