import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from funasr_sap.errors import ConfigError, DataError
from funasr_sap.metrics import ErrorCounts, format_table, score

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there: a clone of the project does not hold the shared data")
    return path


def read_table(path, separator=None):
    rows = (line.rstrip("\n").split(separator, 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows}


def published_counts(text, name):
    """Read `NAME: error_rate=..., ref_words=..., subs=..., ins=..., dels=...` of a published result."""
    line = re.search(rf"^{name}: (.*)$", text, re.MULTILINE).group(1)
    return {key: float(value) for key, value in (item.split("=") for item in line.split(", "))}


def test_is21_published_figures_to_the_last_digit():
    data = shared("is21_deep_bias")
    rows = [line.split("\t") for line in (data / "ref/test-clean.biasing_100.tsv").read_text().splitlines()]
    references = {row[0]: row[1] for row in rows}
    rare_words = {row[0]: json.loads(row[2]) for row in rows}
    biasing = {row[0]: json.loads(row[3]) for row in rows}
    hypotheses = read_table(data / "hyp/test-clean.b1.rnnt_baseline.tsv", "\t")
    published = (data / "results/test-clean.b1.rnnt_baseline.tsv.result").read_text()

    by_rare_words = score(references, hypotheses, biasing, "is21", rare_words=rare_words)
    by_list = score(references, hypotheses, biasing, "is21")
    for result in (by_rare_words, by_list):
        assert result.wer.to_dict() == published_counts(published, "WER")
        assert result.u_wer.to_dict() == published_counts(published, "U-WER")
        assert result.b_wer.to_dict() == published_counts(published, "B-WER")
    assert by_list.b_wer.error_rate == 14.077417115084186
    # Every rare word is wrong or right by occurrence as well as by alignment.
    assert by_list.hotword.tp + by_list.hotword.fn == by_list.b_wer.ref_words


def test_slidespeech_example_of_the_authors():
    data = shared("slidespeech_recall_demo")
    biasing = {utt_id: words.split("$") for utt_id, words in read_table(data / "ocr").items()}
    result = score(read_table(data / "ref"), read_table(data / "rec"), biasing, "slidespeech")
    expected = (data / "expected.base.txt").read_text().replace("\r", "")
    assert result.wer.to_dict() == published_counts(expected, "WER")
    assert result.u_wer.to_dict() == published_counts(expected, "U-WER")
    assert result.b_wer.to_dict() == published_counts(expected, "B-WER")
    tp, tn, fp, fn, _, recall = re.findall(r"[\d.]+", re.findall("hotword: .*", expected)[-1])
    hotword = result.hotword
    assert [hotword.tp, hotword.tn, hotword.fp, hotword.fn] == [int(n) for n in (tp, tn, fp, fn)]
    assert hotword.recall == float(recall)


def test_is21_counts_by_hand():
    references = {"u1": "the cat sat on the mat", "u2": "a zebra ran", "u3": "quiet"}
    hypotheses = {"u1": "the bat sat on mat zebra", "u2": "a zebra zebra ran", "u3": ""}
    result = score(references, hypotheses, {"u1": ["cat", "dog"], "u2": ["zebra"], "u3": []})
    assert result.wer == ErrorCounts(ref_words=10, subs=1, ins=2, dels=2)
    assert result.b_wer == ErrorCounts(ref_words=2, subs=1, ins=1, dels=0)
    assert result.u_wer == ErrorCounts(ref_words=8, subs=0, ins=1, dels=2)
    assert result.sentence_error_rate == 100.0
    assert result.wer.error_rate == 50.0


def test_an_insertion_is_biased_when_the_word_is_a_rare_word():
    references, hypotheses = {"u": "a b"}, {"u": "a b rare"}
    known = score(references, hypotheses, {"u": ["rare"]}, rare_words={"u": ["rare"]})
    assert (known.b_wer.ins, known.u_wer.ins) == (1, 0)
    # As a distractor of the list it is no rare word: it does not occur in the reference.
    listed = score(references, hypotheses, {"u": ["rare"]})
    assert (listed.b_wer.ins, listed.u_wer.ins) == (0, 1)
    assert listed.hotword.fp == 1


def test_slidespeech_ignores_case_and_is21_does_not():
    references, hypotheses, biasing = {"u": "Hello World"}, {"u": "HELLO world"}, {"u": ["world"]}
    assert score(references, hypotheses, biasing, "slidespeech").wer.error_rate == 0.0
    assert score(references, hypotheses, biasing, "slidespeech").b_wer.ref_words == 1
    assert score(references, hypotheses, biasing, "is21").wer.subs == 2


def test_words_of_a_phrase_count_only_with_the_whole_phrase():
    references = {"u1": "in new york", "u2": "a new hat"}
    hypotheses = {"u1": "in new pork", "u2": "a blue hat"}
    result = score(references, hypotheses, {"u1": ["new york"], "u2": ["new york"]})
    assert result.b_wer == ErrorCounts(ref_words=2, subs=1)
    assert result.u_wer == ErrorCounts(ref_words=4, subs=1)


def test_rates_without_words_are_none_in_json_and_dashes_in_the_table():
    result = score({"u": ""}, {"u": "word"})
    assert result.wer == ErrorCounts(ins=1)
    loaded = json.loads(json.dumps(result.to_dict()))
    assert loaded["wer"] == {"error_rate": None, "ref_words": 0, "subs": 0, "ins": 1, "dels": 0}
    assert loaded["hotword"]["recall"] is None and "pruning" not in loaded
    assert loaded["sentence_error_rate"] == 100.0 and loaded["utterances"] == 1
    assert re.search(r"^WER +- +0 +0 +1 +0$", format_table(result.to_dict()), re.MULTILINE)


def test_table_columns_are_aligned():
    lines = format_table(score({"u": "a b"}, {"u": "a c"}, {"u": ["b"]}).to_dict()).splitlines()
    assert len({len(line) for line in lines[2:6]}) == 1
    assert re.fullmatch(r"B-WER +100\.00 +1 +1 +0 +0", lines[5])


def test_differing_ids_are_an_error_unless_lenient():
    references, hypotheses = {"u1": "a", "u2": "b"}, {"u1": "a", "u3": "c"}
    with pytest.raises(DataError, match=r"^hyp\.txt lacks 1 of 2 .*u2.* and has 1 .*u3"):
        score(references, hypotheses, source="hyp.txt")
    result = score(references, hypotheses, lenient=True)
    assert (result.utterances, result.missing, result.unknown) == (1, ["u2"], ["u3"])
    assert result.wer.ref_words == 1


def test_a_missing_biasing_list_is_an_error_unless_lenient():
    with pytest.raises(DataError, match=r"the biasing list lacks 1 of 1 .*u1"):
        score({"u1": "a"}, {"u1": "a"}, {"u2": ["a"]})
    with pytest.raises(DataError, match="the list of rare words lacks"):
        score({"u1": "a"}, {"u1": "a"}, {"u1": ["a"]}, rare_words={})
    assert score({"u1": "a"}, {"u1": "a"}, {}, lenient=True).b_wer.ref_words == 0


def test_nothing_to_score_and_unknown_convention_are_errors():
    with pytest.raises(DataError, match="nothing to score"):
        score({}, {})
    with pytest.raises(DataError, match="nothing to score"):
        score({"u": "a"}, {}, lenient=True)
    with pytest.raises(ConfigError, match="'is22': expected is21 or slidespeech"):
        score({"u": "a"}, {"u": "a"}, convention="is22")


def test_importing_the_metrics_loads_neither_torch_nor_funasr():
    code = "import sys, funasr_sap.metrics; print({'torch', 'funasr', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
