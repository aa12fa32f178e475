import json

from funasr_sap.decoding.result import FoundKeyword, Result, Word


def part(text, start=0.5, **fields):
    """A stretch whose words last a tenth of a second each."""
    words = [Word(word, start + n / 10, start + (n + 1) / 10, 0.9) for n, word in enumerate(text.split())]
    return Result("piece", text, tuple(words), **fields)


def test_stretches_are_put_together():
    keyword = FoundKeyword("xylem", 0.8, 1, ((0.6, 0.7),))
    again = FoundKeyword("xylem", 0.9, 1, ((0.5, 0.6),))
    parts = [
        part("the xylem", keywords=(keyword,), guards=("silence",)),
        Result("piece", guards=("silence",)),
        part("xylem grows", keywords=(again, FoundKeyword("stoma", 0.3)), cut=True),
    ]
    merged = Result.merge("talk", parts, [0.0, 2.0, 10.25])
    assert (merged.key, merged.text) == ("talk", "the xylem xylem grows")
    assert [(word.text, word.start) for word in merged.words] == [
        ("the", 0.5),
        ("xylem", 0.6),
        ("xylem", 10.75),
        ("grows", 10.85),
    ]
    assert merged.keywords == (
        FoundKeyword("xylem", 0.9, 2, ((0.6, 0.7), (10.75, 10.85))),
        FoundKeyword("stoma", 0.3),
    )
    assert merged.guards == ("silence",) and merged.cut and merged.error is None


def test_a_stretch_without_times_shifts_no_others():
    """Its words are heard, and have no times: each word that has one brings its text."""
    parts = [part("one two"), Result("piece", "three four"), part("five six")]
    merged = Result.merge("talk", parts, [0.0, 5.0, 10.0])
    assert merged.text == "one two three four five six"
    assert [(word.text, word.start) for word in merged.words][2:] == [("five", 10.5), ("six", 10.6)]


def test_chinese_stretches_have_no_blank_between_them():
    parts = [Result("piece", "我们学习。"), Result("piece", "光合作用"), Result("piece", "with GPT")]
    assert Result.merge("talk", parts, [0.0] * 3).text == "我们学习。光合作用 with GPT"


def test_an_unreadable_stretch_takes_no_others_with_it():
    bad = Result("piece", error="piece: too short")
    assert Result.merge("talk", [part("one"), bad], [0.0, 1.0]).error is None
    assert Result.merge("talk", [bad, bad], [0.0, 1.0]).error == "piece: too short"
    assert Result.merge("talk", [], []) == Result("talk")


def test_the_form_that_funasrs_users_know():
    result = part("the xylem", keywords=(FoundKeyword("xylem", 0.8, 1, ((0.6, 0.7),)),)).to_funasr()
    assert result == json.loads(json.dumps(result))
    assert (result["keywords"], result["keyword_scores"]) == (["xylem"], [0.8])
    assert result["timestamp"] == [[500, 600], [600, 700]]
    assert result["keyword_details"][0]["times"] == [[0.6, 0.7]]
    assert "error" not in result and "guards" not in result and "cut" not in result
