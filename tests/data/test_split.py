from collections import Counter, defaultdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.split import parse_ratio, split
from funasr_sap.errors import ConfigError, DataError


def test_parse_ratio():
    assert parse_ratio("8:1:1") == [Fraction(8, 10), Fraction(1, 10), Fraction(1, 10)]
    assert parse_ratio("9.5:0.5") == [Fraction(19, 20), Fraction(1, 20)]


@pytest.mark.parametrize("ratio", ["8", "8:1:1:1", "8:x", "8:0:1", "-1:2", ":1"])
def test_bad_ratios(ratio):
    with pytest.raises(ConfigError, match="the split"):
        parse_ratio(ratio)


@given(st.integers(3, 400), st.integers(0, 9))
def test_by_utterance_the_ratio_is_exact_to_one(number, seed):
    shares = parse_ratio("8:1:1")
    counts = Counter(split([f"u{index}" for index in range(number)], shares, seed))
    for part, share in enumerate(shares):
        assert counts[part] >= 1
        assert counts[part] - share * number < 1
        assert share * number - counts[part] < 2


@given(sizes=st.lists(st.integers(1, 30), min_size=3, max_size=40), data=st.data())
def test_groups_stay_together(sizes, data):
    groups = data.draw(
        st.permutations([f"g{group}" for group, size in enumerate(sizes) for _ in range(size)])
    )
    shares = parse_ratio("8:1:1")
    parts = split(groups, shares, seed=data.draw(st.integers(0, 3)))
    where = defaultdict(set)
    for group, part in zip(groups, parts, strict=True):
        where[group].add(part)
    assert all(len(found) == 1 for found in where.values())
    counts = Counter(parts)
    assert set(counts) == {0, 1, 2}
    assert all(counts[part] - share * len(groups) < max(sizes) for part, share in enumerate(shares))


def test_the_seed_decides_and_the_order_of_input_does_not():
    groups = [f"u{index}" for index in range(50)]
    shares = parse_ratio("8:1:1")
    first = dict(zip(groups, split(groups, shares, 1), strict=True))
    again = dict(zip(groups[::-1], split(groups[::-1], shares, 1), strict=True))
    other = dict(zip(groups, split(groups, shares, 2), strict=True))
    assert first == again != other


def test_too_few_groups():
    with pytest.raises(DataError, match=r"2 recordings .* cannot make 3 parts"):
        split(["a", "a", "b"], parse_ratio("8:1:1"), 0)
