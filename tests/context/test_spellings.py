"""N keywords, S pieces of all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.context.spellings import Spellings, pack

KEYWORDS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5).map(tuple), max_size=20)


@given(KEYWORDS)
def test_each_keyword_is_read_as_it_was_given(keywords):
    spellings = Spellings.join([pack(keyword) for keyword in keywords])
    assert [*spellings] == keywords and len(spellings) == len(keywords)
    assert spellings.lengths.tolist() == [len(keyword) for keyword in keywords]
    assert spellings.pieces.dtype == np.int32 and len(spellings.pieces) == sum(map(len, keywords))


def test_arrays_that_were_saved_come_back():
    spellings = Spellings.join([pack((3, 1)), pack((2,))])
    again = Spellings(spellings.pieces, spellings.lengths.astype(np.int32))
    assert [*again] == [(3, 1), (2,)]


@pytest.mark.parametrize("place", [-1, 2])
def test_a_place_outside_of_the_list(place):
    with pytest.raises(IndexError, match=f"keyword {place} of 2"):
        Spellings.join([pack((1,)), pack((2,))])[place]


def test_some_keywords_are_spelt_otherwise():
    spellings = Spellings.join([pack(ids) for ids in ((1, 2), (3,), (), (4, 5, 6))])
    changed = spellings.change({0: np.array([9], np.int32), 3: np.array([], np.int32)})
    assert list(changed) == [(9,), (3,), (), ()] and changed.pieces.dtype == np.int32
    assert list(spellings.change({})) == list(spellings)
    assert list(spellings) == [(1, 2), (3,), (), (4, 5, 6)]
