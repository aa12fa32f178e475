import numpy as np
import pytest

from funasr_sap.errors import DataError
from funasr_sap.metrics import Options, Run, evaluate, score

REFERENCES = {"s1-a": "the zebra ran", "s1-b": "a gnu", "s2-a": "we saw a zebra", "s2-b": "no"}
LISTS = {"s1-a": ["zebra"], "s1-b": ["gnu", "zebra"], "s2-a": ["zebra"], "s2-b": []}
WITHOUT = {"s1-a": "the zeb ran", "s1-b": "a new", "s2-a": "we saw a zebra", "s2-b": "no"}
WITH = {"s1-a": "the zebra ran", "s1-b": "a gnu", "s2-a": "we saw zebras", "s2-b": "no"}
SESSIONS = {utt_id: utt_id[:2] for utt_id in REFERENCES}


def run(hyp, texts, lenient=False):
    result = score(REFERENCES, texts, LISTS, lenient=lenient)
    return Run(hyp, "lists", texts, LISTS, None, result)


def test_a_report_without_options_is_the_score():
    report = evaluate([run("without", WITHOUT)])
    assert report["hyp"] == "without" and report["n"] == 1
    assert report["wer"] == {"error_rate": 20.0, "ref_words": 10, "subs": 2, "ins": 0, "dels": 0}
    assert not {"bootstrap", "sessions", "by_n", "runs", "compare", "per_utterance"} & report.keys()


@pytest.mark.parametrize("key", ["sessions", "by_n"])
def test_groups_add_up_to_the_whole(key):
    options = Options(samples=20, sessions=SESSIONS, by_size=True)
    report = evaluate([run("without", WITHOUT)], options=options)
    assert sum(row["utterances"] for row in report[key]) == 4
    for rate in ("wer", "u_wer", "b_wer"):
        for count in ("ref_words", "subs", "ins", "dels"):
            assert sum(row[rate][count] for row in report[key]) == report[rate][count]


def test_sessions_and_sizes_by_hand():
    report = evaluate([run("without", WITHOUT)], options=Options(sessions=SESSIONS, by_size=True))
    first, second = report["sessions"]
    assert (first["session"], first["wer"]["error_rate"], first["b_wer"]["error_rate"]) == ("s1", 40.0, 100.0)
    assert (second["session"], second["wer"]["error_rate"]) == ("s2", 0.0)
    assert [row["n"] for row in report["by_n"]] == ["0", "1", "2"]
    assert [row["b_wer"]["ref_words"] for row in report["by_n"]] == [0, 2, 1]


def test_comparison():
    report = evaluate([run("without", WITHOUT)], run("with", WITH), Options(samples=50, by_utterance=True))
    other = report["compare"]
    assert (other["helped"], other["hurt"], other["unchanged"]) == (["s1-a", "s1-b"], ["s2-a"], 1)
    assert other["paired_utterances"] == 4
    for rate in ("wer", "u_wer", "b_wer"):
        expected = other[rate]["error_rate"] - report[rate]["error_rate"]
        assert other["difference"][rate]["difference"] == pytest.approx(expected)
    rows = {row["id"]: row for row in report["per_utterance"]}
    assert rows["s2-a"]["errors"] == [0, 2] and rows["s2-a"]["gain"] == -2
    assert rows["s2-a"]["biased_errors"] == [0, 1] and rows["s1-b"]["biased_gain"] == 1
    for place, system in enumerate((report, other)):
        wrong = system["wer"]["subs"] + system["wer"]["ins"] + system["wer"]["dels"]
        assert sum(row["errors"][place] for row in rows.values()) == wrong


def test_leniently_only_utterances_of_both_systems_are_compared():
    part = {"s1-a": "the zebra ran"}
    report = evaluate([run("without", WITHOUT)], run("with", part, True), Options(10, by_utterance=True))
    assert report["utterances"] == 4 and report["compare"]["utterances"] == 1
    assert report["compare"]["paired_utterances"] == 1
    assert report["compare"]["difference"]["wer"]["difference"] == -100 / 3
    assert [row["id"] for row in report["per_utterance"]] == ["s1-a"]
    with pytest.raises(DataError, match="no utterance is in both"):
        evaluate([run("a", part, True)], run("b", {"s2-b": "no"}, True), Options(10))


def test_several_runs_stand_beside_each_other():
    report = evaluate([run("without", WITHOUT), run("with", WITH)])
    assert [row["hyp"] for row in report["runs"]] == ["without", "with"]
    assert report["runs"][0]["wer"] == report["wer"]


def test_utterances_without_a_session_are_named():
    with pytest.raises(DataError, match=r"3 utterance\(s\) have no session \(s1-b, s2-a, s2-b\)"):
        evaluate([run("without", WITHOUT)], options=Options(sessions={"s1-a": "s1"}))


def test_a_part_of_a_score_is_the_score_of_that_part():
    whole = run("without", WITHOUT).score
    for place, utt_id in enumerate(REFERENCES):
        alone = score(*({utt_id: table[utt_id]} for table in (REFERENCES, WITHOUT, LISTS)))
        part = whole.select([place])
        assert part.to_dict() == alone.to_dict()
        assert np.array_equal(part.hotwords, alone.hotwords)
