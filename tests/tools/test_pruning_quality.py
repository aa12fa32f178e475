import importlib.util
import json
import sys
from pathlib import Path

import pytest

from funasr_sap.data.jsonl import write_jsonl
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import ConfigError, DataError

TOOL = Path(__file__).parents[2] / "tools" / "pruning_quality.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("pruning_quality", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


main = load_tool().main
WORDS = tuple(f"w{number}" for number in range(12))
# Kept a and c of the true a and b; nothing of nothing; the one true word.
REFERENCES = [
    Utterance("u1", "a.wav", "a and b", ("a", "b", "c"), ("a", "b")),
    Utterance("u2", "b.wav", "nothing", WORDS, ()),
    Utterance("u3", "c.wav", "only w0 here", WORDS, ("w0",)),
]
KEPT = "u3 w0\nu1 a$c\nu2\n"


@pytest.fixture
def judge(tmp_path):
    """Judge kept keywords against REFERENCES; gives the JSON."""

    def judged(*options, kept=KEPT, references=REFERENCES):
        write_jsonl(tmp_path / "ref.jsonl", references)
        (tmp_path / "kept").write_text(kept)
        files = [
            "--ref",
            tmp_path / "ref.jsonl",
            "--keywords",
            tmp_path / "kept",
            "--json",
            tmp_path / "out.json",
        ]
        main([*map(str, files), *map(str, options)])
        return json.loads((tmp_path / "out.json").read_text())

    return judged


def test_micro_macro_and_sizes(judge, capsys):
    result = judge()
    assert list(result) == ["all", "3", "12"]
    total = result["all"]
    assert {name: total["micro"][name] for name in ("tp", "fp", "fn", "tn")} == {
        "tp": 2, "fp": 1, "fn": 1, "tn": 23
    }  # fmt: skip
    assert [total["micro"][name] for name in ("precision", "recall", "f1")] == [pytest.approx(200 / 3)] * 3
    # u2 has nothing to find and kept nothing: it has no rates.
    assert total["macro"] == {"precision": 75.0, "recall": 75.0, "f1": 75.0}
    assert (total["utterances"], total["kept_per_utterance"]) == (3, 1.0)
    assert result["3"]["macro"] == {"precision": 50.0, "recall": 50.0, "f1": 50.0}
    assert result["12"]["micro"]["f1"] == 100.0 and result["12"]["utterances"] == 2
    table = capsys.readouterr().out.splitlines()
    assert table[2].split("|")[1:5] == [" all          ", "          3 ", " 1.00 ", "   66.67 "]


def test_truth_from_the_transcript(judge):
    references = [Utterance(each.key, each.source, each.text, each.hotwords) for each in REFERENCES]
    assert judge("--truth", "text", references=references) == judge()
    with pytest.raises(DataError, match=r"has no keywords \(see --truth\) for utterances: 3"):
        judge(references=references)


def test_normalisation_is_that_of_all_words(judge):
    assert judge("--normalize", "en", kept="u1 A.$C\nu2\nu3 W0\n")["all"]["micro"]["tp"] == 2


def test_several_decodings_count_together(judge, tmp_path):
    longer = "".join(f"{each.key} {'$'.join([*each.hotwords, 'more'])}\n" for each in REFERENCES)
    (tmp_path / "long").write_text(longer)
    (tmp_path / "short").write_text("u1 a\nu2 x\nu3 w0\n")
    options = ("--biasing-list", tmp_path / "long", tmp_path / "short")
    with pytest.raises(ConfigError, match="got 1 files of --keywords and 2 of --biasing-list"):
        judge(*options)
    # An option that comes again replaces what the fixture gave.
    (tmp_path / "none").write_text("u1\nu2\nu3\n")
    result = judge("--keywords", tmp_path / "kept", tmp_path / "none", *options)
    assert {name: group["utterances"] for name, group in result.items()} == {
        "all": 6,
        "1": 3,
        "4": 1,
        "13": 2,
    }
    assert (result["all"]["micro"]["tp"], result["all"]["micro"]["fn"]) == (2, 3)


@pytest.mark.parametrize(
    ("kept", "reason"), [("u1 a\nu2\n", "'u3' is missing"), (KEPT + "u4\n", "'u4' is not in the reference")]
)
def test_ids_must_be_those_of_the_reference(judge, kept, reason):
    with pytest.raises(DataError, match=f"differ in their utterances: 1 bad .*\n  {reason}"):
        judge(kept=kept)
