import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from funasr_sap.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "score.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("score_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main = load_tool().main


def run_tool(*arguments):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def files(tmp_path):
    """Write named files, return a function that scores them and gives the JSON."""

    def scored(*options, **contents):
        arguments = ["--json", str(tmp_path / "score.json"), *map(str, options)]
        for name, content in contents.items():
            path = tmp_path / name
            path.write_text(content, encoding="utf-8")
            arguments += [f"--{name.replace('_', '-')}", str(path)]
        if "--convention" not in options:
            arguments += ["--convention", "is21"]
        main(arguments)
        return json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))

    return scored


TEXT = "u1 the new york times\nu2 a zebra\n"
LIST = 'u1 new york$london\nu2 ["zebra", "gnu"]\n'


def test_kaldi_files(files, capsys):
    result = files(ref=TEXT, hyp="u1 the new pork times\nu2\n", biasing_list=LIST)
    assert result["wer"] == {"error_rate": 50.0, "ref_words": 6, "subs": 1, "ins": 0, "dels": 2}
    assert result["b_wer"] == {"error_rate": 200 / 3, "ref_words": 3, "subs": 1, "ins": 0, "dels": 1}
    assert result["u_wer"]["dels"] == 1
    assert result["hotword"]["fn"] == 2 and result["hotword"]["tn"] == 2
    assert (result["utterances"], result["sentence_error_rate"]) == (2, 100.0)
    assert "B-WER" in capsys.readouterr().out


def test_tab_separated_hypotheses_and_biasing_tsv(files):
    ref = 'u1\tthe new york times\t["york"]\t["york", "london"]\nu2\ta zebra\t["zebra"]\t["zebra"]\n'
    result = files(ref=ref, hyp="u2\ta zebra\nu1\tthe new pork times\n")
    assert result["b_wer"] == {"error_rate": 50.0, "ref_words": 2, "subs": 1, "ins": 0, "dels": 0}
    assert result["hotword"]["tn"] == 1
    rare_only = files(ref='u1\tthe york\t["york"]\n', hyp="u1\t\n")
    assert rare_only["b_wer"]["dels"] == 1 and rare_only["wer"]["dels"] == 2


def test_jsonl_with_text_and_with_messages(files):
    lines = [
        {"key": "u1", "text": "the york", "hotwords": ["york", "london"], "keywords": ["york"]},
        {
            "key": "u2",
            "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a zebra"}],
            "hotwords": ["zebra"],
            "keywords": ["zebra"],
        },
    ]
    ref = "".join(json.dumps(line) + "\n" for line in lines)
    result = files(ref=ref, hyp='{"key": "u1", "text": "the pork"}\n{"key": "u2", "text": "a zebra"}\n')
    assert result["b_wer"] == {"error_rate": 50.0, "ref_words": 2, "subs": 1, "ins": 0, "dels": 0}
    assert result["hotword"]["tn"] == 1


def test_pruning_is_judged_in_json_and_table(files, capsys):
    result = files(ref=TEXT, hyp=TEXT, biasing_list=LIST, keywords="u1 new york$london\nu2\n")
    assert {key: result["pruning"][key] for key in ("tp", "fp", "fn")} == {"tp": 1, "fp": 1, "fn": 1}
    assert result["pruning"]["precision"] == result["pruning"]["recall"] == result["pruning"]["f1"] == 50.0
    assert "pruning" in capsys.readouterr().out


def test_slidespeech_folds_case_everywhere(files, caplog):
    caplog.set_level(logging.INFO)
    result = files(
        "--convention", "slidespeech", ref="u1 THE ZEBRA\n", hyp="u1 the zebra\n",
        biasing_list="u1 Zebra$Gnu\n", keywords="u1 ZEBRA\n",
    )  # fmt: skip
    assert result["wer"]["error_rate"] == 0.0 and result["b_wer"]["ref_words"] == 1
    assert (result["pruning"]["tp"], result["pruning"]["tn"]) == (1, 1)
    assert "upper case" in caplog.text


def test_normalisation_covers_the_lists_and_is_announced(files, caplog):
    caplog.set_level(logging.INFO)
    result = files(
        "--normalize", "zh", ref="u1 我去广州市\n", hyp="u1 我去广洲市。\n", biasing_list="u1 广州$北京\n"
    )
    assert result["wer"] == {"error_rate": 20.0, "ref_words": 5, "subs": 1, "ins": 0, "dels": 0}
    assert result["b_wer"]["ref_words"] == 2
    assert "Chinese character" in caplog.text
    result = files(
        "--normalize", "en", ref="u1 Mr. Smith.\n", hyp="u1 mister SMITH\n", biasing_list="u1 Smith$!\n"
    )
    assert (
        result["wer"]["error_rate"] == 0.0 and result["hotword"]["tp"] == 1 and result["hotword"]["tn"] == 0
    )
    assert result["normalize"] == "en" and result["unit"] == "word"


def test_characters_can_be_scored_without_normalisation(files):
    result = files("--unit", "char", ref="u1 我去广州 Asia\n", hyp="u1 我去广洲 Asia Pacific\n")
    assert result["wer"] == {"error_rate": 40.0, "ref_words": 5, "subs": 1, "ins": 1, "dels": 0}
    assert (result["normalize"], result["unit"]) == ("none", "char")
    words = files("--unit", "word", "--normalize", "zh", ref="u1 我去廣州\n", hyp="u1 我去广州。\n")
    assert words["wer"]["error_rate"] == 0.0 and words["wer"]["ref_words"] == 1


def test_a_biasing_tsv_is_a_list_with_rare_words(files):
    tsv = 'u1\tthe york\t["york", "gnu"]\t["york", "gnu", "london"]\n'
    result = files(ref="u1 the york\n", hyp="u1 the york gnu london\n", biasing_list=tsv)
    # "gnu" is a rare word there, so that inserting it is an error of a biased word; "london" is not.
    assert (result["b_wer"]["ins"], result["u_wer"]["ins"]) == (1, 1)
    assert result["hotword"]["fp"] == 2
    with pytest.raises(DataError, match="no biasing lists: expected them in the fourth column"):
        files(ref="u1 the york\n", hyp="u1 the york\n", biasing_list='u1\tthe york\t["york"]\n')


def test_comparison_with_sessions_lists_and_a_page(files, tmp_path, capsys):
    (tmp_path / "sessions").write_text("u1 s<1>\nu2 s2\n")
    options = ("--html", tmp_path / "page.html", "--utt2session", tmp_path / "sessions", "--by-n")
    contents = {"ref": TEXT, "hyp": "u1 the new pork times\nu2\n", "compare": TEXT, "biasing_list": LIST}
    result = files(*options, "--bootstrap", "50", **contents)
    assert result["compare"]["helped"] == ["u2", "u1"] and result["compare"]["hurt"] == []
    assert result["compare"]["difference"]["wer"]["difference"] == -50.0
    assert result["bootstrap"]["samples"] == result["compare"]["samples"] == 50
    assert [row["session"] for row in result["sessions"]] == ["s2", "s<1>"]
    assert [row["n"] for row in result["by_n"]] == ["2"]
    printed = capsys.readouterr().out
    assert "helped 2, hurt 0, unchanged 0 of 2 utterances" in printed and "s<1>" in printed
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "s&lt;1&gt;" in page and 'class="data mended">zebra<' in page
    assert files(*options, "--bootstrap", "50", **contents) == result
    assert files(*options, "--bootstrap", "50", "--seed", "1", **contents) != result


def test_a_session_is_the_beginning_of_the_id(files):
    result = files("--session-separator", "-", ref="a-1 x\na-2 y\nb-1 z\n", hyp="a-1 x\na-2 x\nb-1 z\n")
    assert [(row["session"], row["wer"]["error_rate"]) for row in result["sessions"]] == [
        ("a", 50.0),
        ("b", 0.0),
    ]
    with pytest.raises(DataError, match="do not contain the session separator"):
        files("--session-separator", "-", ref="a1 x\n", hyp="a1 x\n")


def test_several_runs_with_a_list_each(files, tmp_path, capsys):
    for name, content in {"hyp2": TEXT, "list0": "u1\nu2\n"}.items():
        (tmp_path / name).write_text(content)
    more = ("--hyp", tmp_path / "hyp2", "--biasing-list", tmp_path / "list0")
    result = files(*more, ref=TEXT, hyp="u1 the new pork times\nu2 a\n", biasing_list=LIST)
    assert [(run["n"], run["wer"]["error_rate"]) for run in result["runs"]] == [(0, 0.0), (2, 100 * 2 / 6)]
    assert "Runs" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="got 2 --biasing-list for 1 --hyp"):
        files("--biasing-list", tmp_path / "list0", ref=TEXT, hyp=TEXT, biasing_list=LIST)


def test_an_impossible_number_of_samples_is_an_error(files, capsys):
    for options in (["--bootstrap", "-1"], ["--bootstrap", "0", "--compare", "hyp"]):
        with pytest.raises(SystemExit):
            files(*options, ref=TEXT, hyp=TEXT)
        assert "expected a number of samples above 0" in capsys.readouterr().err


def test_differing_ids_name_the_file_and_the_ids(files):
    with pytest.raises(DataError, match=r"hyp lacks 1 of 2 utterance\(s\) \(u2\) and has 1 .* \(u3\)"):
        files(ref=TEXT, hyp="u1 the\nu3 a\n")
    with pytest.raises(DataError, match=r"biasing_list lacks 1 of 2 utterance\(s\) \(u2\)"):
        files(ref=TEXT, hyp=TEXT, biasing_list="u1 new\n")
    with pytest.raises(DataError, match=r"keywords lacks 1 of 2 utterance\(s\) \(u1\)"):
        files(ref=TEXT, hyp=TEXT, biasing_list=LIST, keywords="u2 zebra\n")


def test_lenient_counts_and_names_what_it_leaves_out(files, caplog, capsys):
    result = files(
        "--lenient",
        ref=TEXT,
        hyp="u1 the new york times\nu3 a\n",
        biasing_list="u1 new\n",
        keywords="u1 new\n",
    )
    assert (result["utterances"], result["missing"], result["unknown"]) == (1, ["u2"], ["u3"])
    assert result["pruning"]["recall"] == 100.0
    assert "lacks 1 utterance(s): u2" in caplog.text
    assert "has beyond the reference 1 utterance(s): u3" in caplog.text
    assert "left out 1 without a hypothesis; left out 1 without a reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"ref": TEXT, "hyp": "u1 a\nu1 b\n"}, r"hyp:2: the id 'u1' is on line 1 already"),
        ({"ref": "u1 a\nu1 a\n", "hyp": "u1 a\n"}, r"ref:2: the id 'u1'"),
        ({"ref": "u1 a\n", "hyp": "u1 a\n", "biasing_list": "u1 a\nu1 a\n"}, r"biasing_list:2: the id 'u1'"),
        ({"ref": TEXT, "hyp": "\n"}, "hyp holds no utterance"),
        ({"ref": "", "hyp": TEXT}, "ref holds no utterance"),
        ({"ref": "u1\ta\t[]\t[]\nu2\ta\n", "hyp": TEXT}, r"ref:2: 2 columns, expected"),
        ({"ref": "u1\ta\t[oops]\n", "hyp": TEXT}, r"ref:1: not JSON"),
        ({"ref": 'u1\ta\t"word"\n', "hyp": TEXT}, r"ref:1: expected a list of words"),
        ({"ref": '{"key": "u1"}\n', "hyp": TEXT}, r"ref:1: expected a transcript"),
        ({"ref": '{"key": "u1", "text": "a"}\n[1]\n', "hyp": TEXT}, r"ref:2: expected a JSON object"),
        ({"ref": '{"key": "u1", "text": 3}\n', "hyp": TEXT}, r"ref:1: the transcript is 3"),
        ({"ref": '{"text": "a"}\n', "hyp": TEXT}, r"ref:1: "),
        ({"ref": "u1 a\n", "hyp": "u1 a\n", "keywords": "u1 a\n"}, "--keywords needs a biasing list"),
        ({"ref": "u1 a\n", "hyp": "u1 a\n", "biasing_list": "u1 [1]\n"}, "expected a list of words"),
    ],
)
def test_bad_files_are_errors(files, contents, message):
    with pytest.raises(DataError, match=message):
        files(**contents)


def test_errors_are_one_sentence_on_stderr_and_status_1(tmp_path):
    (tmp_path / "ref").write_text("u1 a\n")
    (tmp_path / "hyp").write_text("")
    done = run_tool("--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp", "--convention", "is21")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path / 'hyp'} holds no utterance."
    assert "Traceback" not in done.stderr
    absent = run_tool("--ref", tmp_path / "ref", "--hyp", tmp_path / "absent", "--convention", "is21")
    assert absent.returncode == 1 and "absent: No such file" in absent.stderr


def test_help_and_logs_stay_off_stdout(tmp_path):
    done = run_tool("--help")
    assert done.returncode == 0 and "--biasing-list" in done.stdout and "slidespeech" in done.stdout
    (tmp_path / "ref").write_text("u1 a\n")
    done = run_tool("--ref", tmp_path / "ref", "--hyp", tmp_path / "ref", "--convention", "is21")
    assert done.returncode == 0 and done.stdout.startswith("1 utterances, convention is21")
    assert "no biasing list" in done.stderr and "normalisation none" in done.stderr


def test_the_worked_example_of_the_documentation(tmp_path):
    document = (ROOT / "docs/scoring.md").read_text(encoding="utf-8")
    commands = re.search(r"```bash\n(.*?)```", document, re.DOTALL).group(1)
    printed = re.search(r"```text\n(.*?)```", document, re.DOTALL).group(1)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{commands}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(printed)
    assert "helped 2, hurt 2, unchanged 0 of 4 utterances" in done.stdout
    assert (tmp_path / "outputs/example/score.html").stat().st_size > 10_000


def test_published_pair_from_the_command_line(files, tmp_path):
    data = ROOT.parent / "shared/data/is21_deep_bias"
    if not data.exists():
        pytest.skip(f"{data} is not there: a clone of the project does not hold the shared data")
    ref, hyp = data / "ref/test-clean.biasing_100.tsv", data / "hyp/test-clean.b1.rnnt_baseline.tsv"
    result = files("--ref", ref, "--hyp", hyp, "--bootstrap", "200")
    rates = {name: result[name]["error_rate"] for name in ("wer", "u_wer", "b_wer")}
    assert rates == {"wer": 3.6537583688374924, "u_wer": 2.3710349247036206, "b_wer": 14.077417115084186}
    for name, rate in rates.items():
        low, high = result["bootstrap"][name]
        assert low < rate < high < 1.2 * rate
