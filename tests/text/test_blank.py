import logging

import pytest

from funasr_sap.text.blank import is_blank, warn_of_blank


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \u3000\t",
        "-",
        "...?!",
        "<unk>",
        "<|nospeech|>",
        "[Music] [laughter].",
        "＜ＵＮＫ＞",
        "【笑】",
        "♪",
        "😀",
    ],
)
def test_these_say_nothing(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "7", "你好", "<unk> yes", "привет", "สวัสดี", "½", "C++", "(noise)"])
def test_these_say_something(text):
    assert not is_blank(text)


def test_the_warning_counts_and_names_the_first(caplog):
    caplog.set_level(logging.WARNING)
    warn_of_blank("a.text", [], "x")
    assert not caplog.records
    warn_of_blank("a.text", ["u2", "u1"], "they are kept")
    assert "a.text: 2 utterance(s)" in caplog.text and "the first is u2; they are kept" in caplog.text
