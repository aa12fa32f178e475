"""The trimmed alignment against the full dynamic programme with back-pointers."""

import random
from collections import Counter

import pytest

from funasr_sap.metrics.alignment import (
    DELETION,
    DIAGONAL,
    INSERTION,
    IS21_RULE,
    SLIDESPEECH_RULE,
    AlignmentRule,
    align,
)

UNEQUAL_RULE = AlignmentRule(4, 2, 5, (INSERTION, DIAGONAL, DELETION))
RULES = {"is21": IS21_RULE, "slidespeech": SLIDESPEECH_RULE, "unequal": UNEQUAL_RULE}


def plain_align(ref, hyp, rule):
    """Every cell with its back-pointer, ties settled in the rule's order while the table is filled."""
    cost, back = {(0, 0): 0}, {}
    for i in range(len(ref) + 1):
        for j in range(len(hyp) + 1):
            steps = {}
            if i and j:
                steps[DIAGONAL] = cost[i - 1, j - 1] + (ref[i - 1] != hyp[j - 1]) * rule.substitution
            if j:
                steps[INSERTION] = cost[i, j - 1] + rule.insertion
            if i:
                steps[DELETION] = cost[i - 1, j] + rule.deletion
            for step in rule.preference:
                if step in steps and (step_cost := steps[step]) < cost.get((i, j), float("inf")):
                    cost[i, j], back[i, j] = step_cost, step
    i, j, pairs = len(ref), len(hyp), []
    while i or j:
        step = back[i, j]
        i -= step != INSERTION
        j -= step != DELETION
        pairs.append((None if step == INSERTION else ref[i], None if step == DELETION else hyp[j]))
    return pairs[::-1]


def counted_words(pairs):
    """What the scores depend on: which reference words are wrong and how, which words are inserted."""
    kinds = Counter()
    for ref_word, hyp_word in pairs:
        if ref_word is None:
            kinds["insertion", hyp_word] += 1
        elif hyp_word is None:
            kinds["deletion", ref_word] += 1
        elif ref_word != hyp_word:
            kinds["substitution", ref_word] += 1
    return kinds


def random_pair(rng):
    """Two short sequences over a tiny vocabulary: ties and shared ends everywhere."""
    vocabulary = "abcd"[: rng.randint(1, 4)]
    ref = rng.choices(vocabulary, k=rng.randint(0, 9))
    if rng.random() < 0.5:
        return ref, rng.choices(vocabulary, k=rng.randint(0, 9))
    hyp = list(ref)
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(hyp))
        hyp[at : at + rng.randint(0, 2)] = rng.choices(vocabulary, k=rng.randint(0, 2))
    return ref, hyp


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_counts_equal_those_of_the_full_programme(rule):
    rng = random.Random(20210)
    for _ in range(2000):
        ref, hyp = random_pair(rng)
        pairs = align(ref, hyp, rule)
        assert [r for r, _ in pairs if r is not None] == ref
        assert [h for _, h in pairs if h is not None] == hyp
        assert counted_words(pairs) == counted_words(plain_align(ref, hyp, rule)), (ref, hyp)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_long_sequences_with_few_errors_need_only_a_band(rule):
    rng = random.Random(20240)
    for _ in range(60):
        ref = rng.choices("abcdefgh", k=rng.randint(30, 50))
        hyp = list(ref)
        for _ in range(rng.randint(1, 12)):
            at = rng.randint(0, len(hyp))
            hyp[at : at + rng.randint(0, 2)] = rng.choices("abcdefgh", k=rng.randint(0, 2))
        assert counted_words(align(ref, hyp, rule)) == counted_words(plain_align(ref, hyp, rule)), (ref, hyp)


def test_last_words_stay_in_where_a_deletion_wins_ties():
    # Without the shared last word the SlideSpeech rule would count errors of "b" instead of "a".
    ref, hyp = ["a", "b", "a"], ["b", "a", "a"]
    assert align(ref, hyp, SLIDESPEECH_RULE) == [("a", None), ("b", "b"), ("a", "a"), (None, "a")]
    assert counted_words(plain_align(ref[:-1], hyp[:-1], SLIDESPEECH_RULE)) == {
        ("insertion", "b"): 1,
        ("deletion", "b"): 1,
    }


@pytest.mark.parametrize("rule", [IS21_RULE, SLIDESPEECH_RULE], ids=["is21", "slidespeech"])
def test_empty_sides(rule):
    assert align([], [], rule) == []
    assert align(["a", "b"], [], rule) == [("a", None), ("b", None)]
    assert align([], ["a", "b"], rule) == [(None, "a"), (None, "b")]


def test_is21_takes_two_gaps_only_where_they_save_a_substitution():
    # Insertion + deletion (6) costs more than a substitution (4) and less than two (8).
    assert align(["a"], ["b"]) == [("a", "b")]
    assert align(["a", "b"], ["b", "c"]) == [("a", None), ("b", "b"), (None, "c")]
