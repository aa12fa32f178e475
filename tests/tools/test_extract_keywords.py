import importlib.util
import json
from pathlib import Path

import pytest

from funasr_sap.data.jsonl import read_jsonl, write_jsonl
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

TOOL = Path(__file__).parents[2] / "tools" / "extract_keywords.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("extract_keywords", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main = load_tool().main
UTTERANCES = [
    Utterance("u1", "u1.wav", "we use LoRA", ("LoRA", "x"), ("LoRA",), 100, 3),
    Utterance("u2", "u2.wav", "hm", ("y",), ()),
]


@pytest.fixture
def extract(tmp_path):
    """Run the tool on UTTERANCES; gives the path of its output."""

    def extracted(keywords, *options):
        write_jsonl(tmp_path / "data.jsonl", UTTERANCES)
        (tmp_path / "kept").write_text(keywords)
        files = {"keywords": "kept", "input": "data.jsonl", "output": "stage2"}
        main(
            [
                *(part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))),
                *options,
            ]
        )
        return tmp_path / "stage2"

    return extracted


def test_only_the_biasing_lists_change(extract):
    assert read_jsonl(extract("u2\nu1 LoRA\nother z\n")) == [
        Utterance("u1", "u1.wav", "we use LoRA", ("LoRA",), ("LoRA",), 100, 3),
        Utterance("u2", "u2.wav", "hm", (), ()),
    ]


def test_prompts_of_sap2_asr(extract):
    """As its extract_predicted_keywords.py writes them, of answers "LoRA" and "none"."""
    results = [{"response": "LoRA", "audios": "x/u1.wav"}, {"response": "none", "audios": "x/u2.wav"}]
    path = extract("".join(json.dumps(each) + "\n" for each in results), "--to", "sap2")
    prompts = [entry["messages"][0]["content"] for entry in json.loads(path.read_text())]
    assert prompts == [
        "<audio>Transcribe speech to text according to keywords may appear in the utterance. Possible "
        "keywords are: <|startofcontext|>LoRA<|endofcontext|>",
        "<audio>Transcribe speech to text.<|startofcontext|><|endofcontext|>",
    ]


def test_a_missing_result_fails_and_writes_nothing(extract, tmp_path):
    with pytest.raises(DataError, match=r"1 bad line\(s\):\n  'u2' has no result of stage 1"):
        extract("u1 LoRA\n")
    assert not (tmp_path / "stage2").exists()
