import pytest

from funasr_sap.errors import DataError
from funasr_sap.metrics.keywords import (
    KeywordCounts,
    biased_words,
    compare_ids,
    count_hotwords,
    pruning_scores,
)


def test_rates_are_percent_and_none_where_undefined():
    counts = KeywordCounts(tp=3, tn=5, fp=1, fn=2)
    assert counts.to_dict() == {
        "tp": 3, "tn": 5, "fp": 1, "fn": 2, "precision": 75.0, "recall": 60.0, "f1": pytest.approx(200 / 3)
    }  # fmt: skip
    assert KeywordCounts(tn=4).to_dict() == {
        "tp": 0, "tn": 4, "fp": 0, "fn": 0, "precision": None, "recall": None, "f1": None
    }  # fmt: skip
    assert KeywordCounts(fn=1).f1 == 0.0


def test_biased_words_are_those_of_entries_in_the_reference():
    ref = ["we", "saw", "new", "york", "and", "york"]
    assert biased_words(["saw", "boston"], ref) == {"saw"}
    assert biased_words(["new york", "new jersey"], ref) == {"new", "york"}
    assert biased_words(["york new", "saw york"], ref) == set()
    assert biased_words(["", " "], ref) == set()


def test_known_rare_words_need_not_be_in_the_reference():
    assert biased_words(["boston", "new jersey"], ["a"], known_true=True) == {"boston"}


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("a a b", "a b", (1, 0, 0, 1)),
        ("a b", "a a a", (1, 0, 2, 0)),
        ("b", "b", (0, 1, 0, 0)),
        ("b", "a a", (0, 0, 2, 0)),
        ("a", "", (0, 0, 0, 1)),
        ("", "", (0, 1, 0, 0)),
    ],
)
def test_hotwords_are_counted_per_occurrence(ref, hyp, expected):
    counts = count_hotwords(["a", "a", ""], ref.split(), hyp.split())
    assert (counts.tp, counts.tn, counts.fp, counts.fn) == expected


def test_hotword_phrases_are_counted_as_a_whole():
    counts = count_hotwords(["new york", "york city", "old town"], ["new", "york", "city"], ["new", "york"])
    assert (counts.tp, counts.tn, counts.fp, counts.fn) == (1, 1, 0, 1)


def test_pruning_scores_by_hand():
    kept = {"u1": ["alpha", "gamma", "invented"], "u2": []}
    biasing = {"u1": ["alpha", "beta", "gamma", "delta"], "u2": ["new york", "york new"]}
    by_text = pruning_scores(kept, biasing, {"u1": "alpha and beta", "u2": "in new york"})
    by_rare_words = pruning_scores(kept, biasing, {"u1": ["alpha", "beta"], "u2": ["new york"]})
    assert by_text == by_rare_words == KeywordCounts(tp=1, tn=2, fp=2, fn=2)
    assert by_text.recall == pytest.approx(100 / 3)


def test_pruning_of_a_different_set_of_utterances_is_an_error():
    with pytest.raises(DataError, match=r"list of kept keywords lacks 1 of 1 utterance.*u1"):
        pruning_scores({}, {"u1": []}, {"u1": "a"})
    with pytest.raises(DataError, match=r"that the reference lacks \(u2\)"):
        pruning_scores({"u1": [], "u2": []}, {"u1": []}, {"u1": "a"})
    with pytest.raises(DataError, match="the biasing list lacks"):
        pruning_scores({"u1": []}, {}, {"u1": "a"})


def test_compare_ids_names_twenty_and_counts_all():
    wanted = [f"u{i}" for i in range(25)]
    with pytest.raises(
        DataError, match=r"hyp.txt lacks 25 of 25 utterance\(s\) \(u0, .*, u19 and 5 more\): "
    ):
        compare_ids(wanted, [], "hyp.txt")
    assert compare_ids(["a"], ["b"], "hyp.txt", lenient=True) == (["a"], ["b"])
    assert compare_ids(["a"], ["a", "b"], "hyp.txt", allow_unknown=True) == ([], [])
