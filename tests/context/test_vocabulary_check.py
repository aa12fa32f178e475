import random
import time

import pytest

from funasr_sap.context.vocabulary_check import check_vocabulary

WORDS = {
    "photosynthesis": (None, "", "photosynthesis"),
    " \t": ("empty", "", ""),
    "x" * 101: ("too long", "", ""),
    "Ｐhotosynthesis": ("doubled", "photosynthesis", "photosynthesis"),
    "東京": ("unheard", "", ""),
    "2021": ("unheard", "", ""),
    "V": ("short", "", "v"),
    "naïve": (None, "", "naive"),
    "Fischer": ("confusable", "Visher", "fischer"),
    "Visher": ("confusable", "Fischer", "visher"),
    "GPT-4": (None, "", "gpt"),
}


def test_one_of_each(hearing):
    entries = check_vocabulary(WORDS, hearing)
    assert [entry.written for entry in entries] == [*WORDS]
    assert {e.written: (e.problem, e.other, e.heard) for e in entries} == WORDS


def test_without_a_ctc_head_more_is_heard():
    problems = {
        entry.written: entry.problem for entry in check_vocabulary(["東京", "2021", "!!!", "мир", "я"])
    }
    assert problems == {"東京": None, "2021": None, "!!!": "unheard", "мир": None, "я": "short"}


@pytest.mark.parametrize(
    ("one", "other", "confusable"),
    [
        ("phase", "faze", True),
        ("Zhang Wei", "Zang Wei", False),
        ("章伟", "张卫", True),
        ("keyword", "key word", True),
        ("affect", "effect", True),
        ("britney", "brisket", False),
        ("metal", "pedal", False),  # two sounds differ
    ],
)
def test_words_that_sound_nearly_alike_are_confusable(one, other, confusable):
    found = [(entry.problem, entry.other) for entry in check_vocabulary([one, "elsewhere", other])]
    expected = [("confusable", other), (None, ""), ("confusable", one)] if confusable else 3 * [(None, "")]
    assert found == expected


def test_long_lists_take_time_in_proportion():
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghiklmnoprstuvwyz", k=8)) for _ in range(20_000)]
    start = time.process_time()
    check_vocabulary(words)
    assert time.process_time() - start < 20  # 200,000 in a few times ten seconds, on a slow machine
