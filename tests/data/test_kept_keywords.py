import json

import pytest

from funasr_sap.data.kept_keywords import read_kept_keywords, with_kept_keywords
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_kaldi_file_of_decode(tmp_path):
    (tmp_path / "keywords").write_text('u1 LoRA$deep speech\nu2\nu3 ["a$b", "none"]\n')
    assert read_kept_keywords(tmp_path / "keywords") == {
        "u1": ["LoRA", "deep speech"],
        "u2": [],
        "u3": ["a$b", "none"],
    }


def test_json_lines_of_funasr(tmp_path):
    result = {"text": "we", "keyword_scores": [-1.0], "timestamp": []}
    path = lines(
        tmp_path / "a.jsonl",
        {"key": "u1", "keywords": ["Paris, Texas"], **result},
        {"key": "u2", "keywords": [], **result},
    )
    assert read_kept_keywords(path) == {"u1": ["Paris, Texas"], "u2": []}


def test_results_of_sap2_asr(tmp_path):
    """Its inference writes ``response``, ``labels`` and ``audios`` (evaluate_slidespeech_process.py)."""
    path = lines(
        tmp_path / "result.jsonl",
        {"response": "LoRA, deep speech", "labels": "LoRA", "audios": "wav/u1.wav"},
        {"response": "none", "labels": "none", "audios": ["wav/u2.wav"]},
        {"response": " none\n", "key": "u3", "audios": "x.wav"},
    )
    assert read_kept_keywords(path) == {"u1": ["LoRA", "deep speech"], "u2": [], "u3": []}


def test_bad_results_are_named(tmp_path):
    path = lines(
        tmp_path / "a.jsonl",
        {"key": "u1", "keywords": ["x"]},
        {"key": "u2", "text": "", "keywords": [], "error": "u2: no such file: u2.wav"},
        {"key": "u1", "keywords": []},
        {"key": "u3", "keywords": "x, y"},
        {"key": "u4"},
        [1],
        {"response": "x"},
    )
    with pytest.raises(DataError, match=r"6 bad line\(s\)") as error:
        read_kept_keywords(path)
    for part in (
        "2: 'u2' was not decoded: u2: no such file",
        "3: the id 'u1' is on line 1 already",
        "4: expected a list of words",
        '5: expected "key" and "keywords"',
        "6: expected a JSON object",
        "7: expected one audio path",
    ):
        assert f"a.jsonl:{part}" in str(error.value)


def test_kept_keywords_become_the_biasing_lists():
    utterances = [Utterance(key, "a.wav", "x", ("LoRA", "y"), ("LoRA",)) for key in ("u1", "u2", "u3")]
    problems = []
    stage2 = list(with_kept_keywords(utterances, {"u2": [], "u1": ["LoRA"], "other": ["z"]}, problems))
    assert [(each.key, each.hotwords, each.keywords) for each in stage2] == [
        ("u1", ("LoRA",), ("LoRA",)),
        ("u2", (), ("LoRA",)),
    ]
    assert problems == ["'u3' has no result of stage 1, not even an empty one"]
