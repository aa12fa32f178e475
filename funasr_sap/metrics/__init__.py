"""Scoring: WER, U-WER and B-WER, hotword recognition, pruning quality. Needs neither torch nor funasr."""

from funasr_sap.metrics.alignment import IS21_RULE, SLIDESPEECH_RULE, AlignmentRule, align
from funasr_sap.metrics.keywords import KeywordCounts, biased_words, count_hotwords, pruning_scores
from funasr_sap.metrics.wer import CONVENTIONS, ErrorCounts, Score, format_table, score, text_normalizer

__all__ = [
    "CONVENTIONS",
    "IS21_RULE",
    "SLIDESPEECH_RULE",
    "AlignmentRule",
    "ErrorCounts",
    "KeywordCounts",
    "Score",
    "align",
    "biased_words",
    "count_hotwords",
    "format_table",
    "pruning_scores",
    "score",
    "text_normalizer",
]
