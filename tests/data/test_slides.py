import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.kaldi import Segment
from funasr_sap.data.slides import Slide, merge_neighbours, read_slides, slides_of_keywords
from funasr_sap.errors import DataError

# A talk of six slides, 10 s each; the utterances start 1 s into a slide and last 8 s.
SLIDES = {"talk": [Slide(10.0 * i, 10.0 * i + 10, (f"s{i}", "Every", f"t{i}")) for i in range(6)]}
SEGMENTS = {f"u{i}": Segment("talk", 10.0 * i + 1, 10.0 * i + 9) for i in range(6)}
KEYWORDS = {f"u{i}": [f"k{i}"] for i in range(6)}


def test_five_slides_are_two_more_on_either_side():
    lists = merge_neighbours(SEGMENTS, KEYWORDS, SLIDES, 5, str.lower)
    assert lists["u3"] == ["k3", "s3", "every", "t3", "s2", "t2", "s4", "t4", "s1", "t1", "s5", "t5"]
    assert lists["u0"] == ["k0", "s0", "every", "t0", "s1", "t1", "s2", "t2"]
    assert lists["u5"] == ["k5", "s5", "every", "t5", "s4", "t4", "s3", "t3"]


def test_one_slide_is_the_one_shown():
    assert merge_neighbours(SEGMENTS, KEYWORDS, SLIDES, 1)["u3"] == ["k3", "s3", "Every", "t3"]


def test_a_recording_without_slides_keeps_its_keywords():
    assert merge_neighbours(SEGMENTS, KEYWORDS, {"other": SLIDES["talk"]}, 5) == KEYWORDS


@pytest.mark.parametrize(
    ("start", "end", "slide"),
    [(8.0, 13.0, "s1"), (7.0, 12.0, "s0"), (55.0, None, "s5"), (99.0, 101.0, "s5"), (12.0, None, "s2")],
)
def test_the_slide_of_an_utterance_is_the_one_it_overlaps_most(start, end, slide):
    lists = merge_neighbours({"u": Segment("talk", start, end)}, {"u": []}, SLIDES, 1)
    assert lists["u"][0] == slide


def test_utterances_with_the_same_keywords_share_a_slide():
    segments = {
        "late": Segment("a", 20.0, 25.0),
        "first": Segment("a", 0.0, 4.0),
        "second": Segment("a", 4.5, 9.0),
        "other": Segment("b", 3.0, 4.0),
        "back": Segment("a", 30.0, 31.0),
    }
    keywords = {utt_id: ["x", "y"] for utt_id in segments} | {"late": ["z"]}
    slides = slides_of_keywords(segments, keywords)
    assert slides["a"] == [
        Slide(0.0, 9.0, ("x", "y")),
        Slide(20.0, 25.0, ("z",)),
        Slide(30.0, 31.0, ("x", "y")),
    ]
    assert slides["b"] == [Slide(3.0, 4.0, ("x", "y"))]


WORDS = st.lists(st.sampled_from("abcdefg"), max_size=3, unique=True)


@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_lists_without_ocr_are_those_of_the_runs_around(lists, data):
    """Brute force: split into runs of equal lists, take the runs at most two away."""
    segments = {f"u{i:02}": Segment("talk", float(i), i + 0.5) for i in range(len(lists))}
    keywords = dict(zip(segments, lists, strict=True))
    num = data.draw(st.sampled_from([1, 3, 5]))
    merged = merge_neighbours(segments, keywords, slides_of_keywords(segments, keywords), num)
    runs, number = [], -1
    for i, words in enumerate(lists):
        number += i == 0 or words != lists[i - 1]
        runs.append(number)
    for i, utt_id in enumerate(segments):
        near = {word for j, words in enumerate(lists) if abs(runs[j] - runs[i]) <= num // 2 for word in words}
        assert set(merged[utt_id]) == near and len(merged[utt_id]) == len(near)
        assert merged[utt_id][: len(lists[i])] == lists[i]


def test_reading_sorts_by_time(tmp_path):
    path = tmp_path / "slides.jsonl"
    rows = [
        {"talk": "a", "slide": 2, "start": 5, "end": 9.5, "title": "no OCR", "ocr": ["two"]},
        {"talk": "b", "start": 0, "end": 1, "ocr": []},
        {"talk": "a", "slide": 1, "start": 0.5, "end": 5, "ocr": ["one", "a b"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_slides(path) == {
        "a": [Slide(0.5, 5, ("one", "a b")), Slide(5, 9.5, ("two",))],
        "b": [Slide(0, 1, ())],
    }


def test_all_bad_slides_are_named(tmp_path):
    path = tmp_path / "slides.jsonl"
    good = {"talk": "a", "start": 0, "end": 1, "ocr": ["x"]}
    changes = ({"end": -1}, {"talk": 1}, {"start": "0"}, {"ocr": "x"})
    lines = ["{", "[]", *(json.dumps(good | change) for change in (*changes, {}))]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_slides(path)
    assert "6 bad line(s)" in str(error.value)
    for number in range(1, 7):
        assert f"{path}:{number}: " in str(error.value)
