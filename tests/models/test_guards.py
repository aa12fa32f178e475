import hypothesis.strategies as st
import pytest
from hypothesis import given

from funasr_sap.errors import ConfigError
from funasr_sap.models.guards import Guards, choose_guards, compression_ratio, longest_loop

LOOP = "we see the the the the the the leaf"
SENTENCE = "here you can see the chlorophyll of a green leaf in the light of the sun"


@pytest.mark.parametrize(
    ("text", "times"),
    [("", 0), ("a", 1), ("a b a b", 2), ("a b a b a", 2), ("x a b a b a b y", 3), ("a a b b b a", 3)],
)
def test_loops_are_counted(text, times):
    assert longest_loop(text.split()) == times


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.integers(1, 5))
def test_a_repeated_phrase_is_a_loop(phrase, times):
    assert longest_loop(phrase * times) >= times


@given(st.lists(st.integers(), unique=True, min_size=1))
def test_no_word_twice_is_no_loop(words):
    assert longest_loop(words) == 1


def test_a_loop_compresses_better_than_speech():
    assert compression_ratio(SENTENCE) < 2.4 < compression_ratio(20 * "nanana ")
    assert compression_ratio("") == 0


def test_each_guard_finds_its_fault_and_can_be_turned_off():
    guards = Guards()
    assert guards.broken(SENTENCE, SENTENCE) is None
    assert guards.broken(LOOP, LOOP) == "repetition"
    assert guards.broken(20 * "na" + 60 * "b", "nab") == "compression"
    assert guards.broken("here you can see", SENTENCE) == "shortest"
    off = Guards(repetition=0, compression=0, shortest=0)
    assert not any(off.broken(text, SENTENCE) for text in (LOOP, 100 * "na", "", "here"))


def test_where_nothing_is_heard_nothing_is_too_short():
    assert Guards().broken("", "") is None


def test_a_model_s_guards_can_be_changed_one_by_one():
    own = Guards(repetition=7)
    assert choose_guards(own, None) is choose_guards(own, True) is own
    assert choose_guards(own, False) == Guards(silence=0, repetition=0, compression=0, shortest=0, evidence=0)
    assert choose_guards(own, {"evidence": 0.2}) == Guards(repetition=7, evidence=0.2)
    with pytest.raises(ConfigError, match="unknown key 'loops'"):
        choose_guards(own, {"loops": 1})
    with pytest.raises(ConfigError, match="guards: expected true, false or a mapping of settings, got 'no'"):
        choose_guards(own, "no")
