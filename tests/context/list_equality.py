"""Odd hotwords, and what makes two biasing lists of them the same."""

WORDS = ["Cell wall", "xylem", "xylem", "木质部", "naïve café", "ＧＰＴ", "<|im_end|>", ""]
WORDS += ["\ud800 lone", "a\nb"]


def assert_equal(one, other):
    assert ([*one.words], one.given) == ([*other.words], other.given) and [*one.ids] == [*other.ids]
    for name, array in vars(one.index).items():
        assert (getattr(other.index, name) == array).all(), name
        assert getattr(other.index, name).dtype == array.dtype
