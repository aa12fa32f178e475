from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.metrics.alignment import IS21_RULE, SLIDESPEECH_RULE, align
from funasr_sap.metrics.interlinear import Cell, Column, interlinear

words = st.lists(st.sampled_from("abcd"), max_size=14)


@given(words, st.lists(words, min_size=1, max_size=3), st.sets(st.sampled_from("abcd")))
def test_lines_read_as_the_texts_and_mark_as_many_errors_as_the_alignment(ref, hyps, biased):
    for rule in (IS21_RULE, SLIDESPEECH_RULE):
        columns = interlinear(ref, hyps, biased, rule)
        assert " ".join(column.ref for column in columns).split() == ref
        for place, hyp in enumerate(hyps):
            cells = [column.cells[place] for column in columns]
            assert " ".join(c.text for c in cells if c.kind != "deleted").split() == hyp
            marked = sum(cell.kind in ("wrong", "inserted", "deleted") for cell in cells)
            assert marked == sum(r != h for r, h in align(ref, hyp, rule))


def test_a_biased_word_that_only_the_first_hypothesis_has_wrong_is_mended():
    ref, first, second = (
        text.split() for text in ("we saw a zebra run", "we saw zeb run", "we saw a zebra ran")
    )
    columns = interlinear(ref, [first, second], {"zebra"}, IS21_RULE)
    right = Cell("we saw", "right")
    assert columns == [
        Column("we saw", False, (right, right)),
        Column("a", False, (Cell("***", "deleted"), Cell("a", "right"))),
        Column("zebra", True, (Cell("zeb", "wrong"), Cell("zebra", "mended"))),
        Column("run", False, (Cell("run", "right"), Cell("ran", "wrong"))),
    ]


def test_insertions_share_columns():
    columns = interlinear(["a"], [["a", "x"], ["y", "z", "a"], ["a"]], set(), IS21_RULE)
    assert [column.ref for column in columns] == ["", "", "a", ""]
    assert [cell.text for cell in columns[0].cells] == ["", "y", ""]
    assert [cell.kind for cell in columns[3].cells] == ["inserted", "gap", "gap"]


def test_no_column_is_too_long_for_a_line():
    text = ["word"] * 20
    assert [column.ref.count("word") for column in interlinear(text, [text], (), IS21_RULE)] == [6, 6, 6, 2]
