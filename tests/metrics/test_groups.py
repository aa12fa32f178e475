import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.errors import DataError
from funasr_sap.metrics.groups import group_by_session, group_by_size, sessions_by_separator


def test_a_session_is_what_stands_before_the_first_separator():
    assert sessions_by_separator(["a-1-2", "b_c-1"], "-") == {"a-1-2": "a", "b_c-1": "b_c"}
    assert sessions_by_separator(["a--1"], "--") == {"a--1": "a"}


def test_ids_without_the_separator_are_named():
    with pytest.raises(DataError, match=r"1 of 2 utterance id\(s\) do not contain .* '-' \(b1\)"):
        sessions_by_separator(["a-1", "b1"], "-")
    with pytest.raises(DataError, match="empty"):
        sessions_by_separator(["a-1"], "")


def test_sessions_are_sorted_and_utterances_stay_in_order():
    assert group_by_session(["u1", "u2", "u3"], {"u1": "b", "u2": "a", "u3": "b"}) == {"a": [1], "b": [0, 2]}


def test_few_sizes_stand_for_themselves():
    assert list(group_by_size([1000, 100, 0, 100]).items()) == [("0", [2]), ("100", [1, 3]), ("1000", [0])]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 12))
def test_groups_part_the_utterances_by_size(sizes, max_groups):
    groups = group_by_size(sizes, max_groups)
    assert sorted(place for places in groups.values() for place in places) == list(range(len(sizes)))
    assert 1 <= len(groups) <= max_groups or len(set(sizes)) <= max_groups
    ranges = [(min(sizes[p] for p in places), max(sizes[p] for p in places)) for places in groups.values()]
    assert ranges == sorted(ranges)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))
    named = [f"{low}-{high}" if low < high else str(low) for low, high in ranges]
    assert list(groups) == named
