"""Scoring: WER, U-WER and B-WER, hotword recognition, pruning quality. Needs neither torch nor funasr."""

from funasr_sap.metrics.alignment import IS21_RULE, SLIDESPEECH_RULE, AlignmentRule, align
from funasr_sap.metrics.evaluation import Options, Run, evaluate
from funasr_sap.metrics.keywords import KeywordCounts, biased_words, count_hotwords, pruning_scores
from funasr_sap.metrics.normalization import text_normalizer
from funasr_sap.metrics.table import format_table
from funasr_sap.metrics.wer import CONVENTIONS, ErrorCounts, Score, score

__all__ = [
    "CONVENTIONS",
    "IS21_RULE",
    "SLIDESPEECH_RULE",
    "AlignmentRule",
    "ErrorCounts",
    "KeywordCounts",
    "Options",
    "Run",
    "Score",
    "align",
    "biased_words",
    "count_hotwords",
    "evaluate",
    "format_table",
    "pruning_scores",
    "score",
    "text_normalizer",
]
