import json
import logging
import resource
import shutil
import signal
import sys
from pathlib import Path

import pytest

from funasr_sap import cli
from funasr_sap.data.kaldi import read_kaldi, write_kaldi


@pytest.fixture
def call(capfd, monkeypatch):
    """Run the command line in this process, which has FunASR already: (exit status, stdout, stderr)."""
    import funasr.cli  # noqa: F401  (a first import prints notices)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main(list(arguments))
        stdout, stderr = capfd.readouterr()
        return left.value.code, stdout, stderr

    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", sys.argv)
    level = logging.getLogger().level
    yield run
    logging.getLogger().setLevel(level)


def test_one_json_line_and_nothing_else(shell, model_dir, wavs, model):
    words = ["photosynthesis", "chlorophyll"]
    status, stdout, stderr = shell(
        f"+model={model_dir}", f"+input={wavs[0]}", f"+hotwords=[{','.join(words)}]", "+ncpu=1"
    )
    assert status == 0, stderr
    assert [json.loads(line) for line in stdout.splitlines()] == model.generate(wavs[0], hotwords=words)
    assert stdout.endswith("}\n")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["+model=sap2", "--help"]])
def test_help(arguments, call):
    status, stdout, stderr = call(*arguments)
    assert (status, stderr) == (0, "")
    assert stdout.startswith("usage: funasr +model=sap2 +input=INPUT")


def test_help_is_quick(shell):
    """It does not wait for FunASR's import."""
    status, stdout, stderr = shell("--help")
    assert (status, stderr) == (0, "") and stdout.startswith("usage: funasr +model=sap2")


def test_forms_of_overrides(model_dir, wavs, call, model, tmp_path):
    folder = tmp_path / "讲座 (1) a=b"
    folder.mkdir()
    talk = shutil.copy(wavs[0], folder / "it's.wav")
    status, stdout, _ = call(
        *(f"++model={model_dir}", f"input=[{talk},'{wavs[1]}']", "+hotwords=光合作用,O'Brien"),
        *("+prune=none", "+top=3", "+threshold=0.25", "+batch_size=1", "+ncpu=1", "+disable_pbar=true"),
    )
    assert status == 0
    first, second = (json.loads(line) for line in stdout.splitlines())
    assert first["key"] == "it's" and first["keywords"] == ["光合作用", "O'Brien"]
    assert second == model.generate(wavs[1], hotwords=["光合作用", "O'Brien"], prune="none")[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[photosynthesis,chlorophyll]", ["photosynthesis", "chlorophyll"]),
        ("[New York, Los Angeles]", ["New York", "Los Angeles"]),
        ("[\"a, b\",'c, d', e]", ["a, b", "c, d", "e"]),
        ("[5G,2024,007,true,1e5,C++,R&D,.NET]", ["5G", "2024", "007", "true", "1e5", "C++", "R&D", ".NET"]),
        ("[O'Brien,'tis,rock 'n' roll]", ["O'Brien", "'tis", "rock 'n' roll"]),
        ("[光合作用,叶绿素]", ["光合作用", "叶绿素"]),
        ("['[laughter]']", ["[laughter]"]),
        ("[]", []),
        ("[a,,b,]", ["a", "b"]),
        ("a,b", "a,b"),
        ("'a, b'", "a, b"),
        ("data/biasing_list", "data/biasing_list"),
        ("{xylem: 20, leaf: 3}", "{xylem: 20, leaf: 3}"),
        ("null", None),
        ("", ""),
    ],
)
def test_hotwords_are_text_as_it_stands(text, value):
    config = cli.parse_overrides(["+model=sap2", "+input=a.wav", f"+hotwords={text}"])
    assert config == {"model": "sap2", "input": "a.wav", "hotwords": value}


def test_the_shell_may_name_any_file_of_hotwords(model_dir, wavs, tmp_path, capsys):
    (tmp_path / "words").write_text("xylem\nleaf\n")
    (tmp_path / "lists").write_text(f"{Path(wavs[0]).stem} xylem$leaf\n")
    files = (f"+hotwords={tmp_path}/words", f"+hotword={tmp_path}/words", f"+biasing_list={tmp_path}/lists")
    for hotwords in (*files, "+hotwords={xylem: 20, leaf: 3}"):
        call = [f"+model={model_dir}", f"+input={wavs[0]}", hotwords, "+prune=none", "+ncpu=1"]
        assert cli.recognise_overrides(call) == 0
        assert json.loads(capsys.readouterr().out)["keywords"] == ["xylem", "leaf"]


def test_other_values_are_hydras():
    config = cli.parse_overrides(
        ["+model=m", "+input=http://h/a.wav?x=1&y=(2)", "+top=3", "++retrieval_conf.top=7", "+itn=true"]
    )
    assert config["input"] == "http://h/a.wav?x=1&y=(2)"
    assert (config["top"], config["retrieval_conf"], config["itn"]) == (3, {"top": 7}, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["+model=sap2"], "command line: +input=... is missing; see --help"),
        (["+input=a.wav"], "command line: +model=... is missing; see --help"),
        (["+model=sap2", "+input="], "command line: +input=... is missing; see --help"),
        (["+model=sap2", "+input=a.wav", "photosynthesis"], "got 'photosynthesis', expected +key=value"),
        (["+model=sap2", "+input=a.wav", "--hotwords"], "got '--hotwords', expected +key=value"),
        (["+model=sap2", "+input=a.wav", "+top=[3"], "command line: no viable alternative at input '[3'"),
        (["+model=sap2", "+input=a.wav", "+hotwords=[[a],[b]]"], "a list in a list: [[a],[b]]"),
        (["+model=sap2", "+input=[fmt/[x].wav]"], "+input: a list in a list: [fmt/[x].wav]; expected quotes"),
        (
            ["+model=sap2", "+input=a.wav", "+log_level=loud"],
            "log_level: expected one of DEBUG, INFO",
        ),
        (["+model=DIR", "+input=WAV", "+device=gpu"], "device: expected cpu, cuda, cuda:0"),
        (["+model=DIR", "+input=WAV", "+fp16=maybe"], "fp16: expected true or false, got 'maybe'"),
        (["+model=DIR", "+input=WAV", "+batch_size_s=abc"], "batch_size_s: expected a number of seconds"),
        (["talk.wav", "--model", "sap2"], "expected +model=sap2 +input=talk.wav"),
        (["talk.wav", "--model=SAP2-tiny"], "expected +model=sap2-tiny +input=talk.wav"),
        (["+model=sap3", "+input=a.wav"], "model: 'sap3' is neither a known name nor a model directory"),
        (["+model=DIR", "+input=/none.wav"], "none: audio /none.wav: no such file"),
        (["+model=DIR", "+input=/none.scp"], "input: no such file: /none.scp"),
        (["+model=DIR", "+input=WAV", "+hotwords=/none.txt"], "hotwords: no such file: /none.txt"),
        (["+model=DIR", "+input=WAV", "+prune=best"], "prune: expected one of"),
        (["+model=DIR", "+input=WAV", "+prunee=llm"], "unknown key 'prunee' (did you mean 'prune'?)"),
        (["+model=DIR", "+input=WAV", "+retrieval_conf.topp=3"], "unknown key 'topp' (did you mean 'top'?)"),
        (["+model=DIR", "+input=WAV", "+batch_size=0"], "batch_size: expected a whole number above 0, got 0"),
        (["+model=DIR", "+input=WAV", "+output_dir=WAV/x"], "WAV"),
    ],
)
def test_errors_are_one_sentence(arguments, sentence, call, model_dir, wavs):
    names = {"DIR": model_dir, "WAV": wavs[0]}
    for name, path in names.items():
        arguments = [argument.replace(name, path) for argument in arguments]
        sentence = sentence.replace(name, path)
    status, stdout, stderr = call(*arguments)
    assert (status, stdout) == (1, "")
    last = stderr.splitlines()[-1]
    assert last.startswith("error: ") and sentence in last
    assert "Traceback" not in stderr


def test_a_bad_utterance_and_a_full_disk(shell, model_dir, wavs, tmp_path):
    """The transcripts are printed although one audio is missing and no file can be written."""
    write_kaldi(tmp_path / "wav.scp", {"one": wavs[0], "three": wavs[1], "two": "/none.wav"})
    text = tmp_path / "out/1best_recog/text"
    write_kaldi(text, {"old": "words"})
    # No file can grow: as on a full disk.
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}
    status, stdout, stderr = shell(
        *(f"+model={model_dir}", f"+input={tmp_path}/wav.scp", f"+output_dir={tmp_path}/out", "+ncpu=1"),
        **(limit if sys.platform == "linux" else {}),
    )
    assert status == 1
    results = [json.loads(line) for line in stdout.splitlines()]
    assert [result["key"] for result in results] == ["one", "three", "two"]
    assert [result.get("error") for result in results] == [None, None, "two: audio /none.wav: no such file"]
    assert stderr.splitlines()[-1] == f"error: {text}: File too large"
    assert "Traceback" not in stderr
    assert read_kaldi(text) == {"old": "words"} and [each.name for each in text.parent.iterdir()] == ["text"]


def test_output_files(call, model_dir, wavs, tmp_path):
    status, stdout, _ = call(
        f"+model={model_dir}", f"+input={wavs[0]}", f"+output_dir={tmp_path}", "+hotwords=cat", "+ncpu=1"
    )
    result = json.loads(stdout)
    assert status == 0
    assert read_kaldi(tmp_path / "1best_recog/keywords") == {result["key"]: "cat"}


def test_other_models(call, wavs, tmp_path):
    status, stdout, _ = call("+model=silero-vad", f"+input={wavs[0]}", f"+output_dir={tmp_path}", "+ncpu=1")
    result = json.loads(stdout)
    assert status == 0 and result["value"]
    assert read_kaldi(tmp_path / "1best_recog/text", allow_empty=True) == {result["key"]: ""}


def test_interrupt(start_shell, small_model_dir, wavs, tmp_path):
    write_kaldi(tmp_path / "wav.scp", {f"utt{number:05}": wavs[number % 12] for number in range(3000)})
    text = tmp_path / "out/1best_recog/text"
    write_kaldi(text, {"old": "words"})
    process = start_shell(
        f"+model={small_model_dir}", f"+input={tmp_path}/wav.scp", f"+output_dir={tmp_path}/out", "+ncpu=1"
    )
    seen = ""
    while "%|" not in seen:  # the progress bar: it is at work
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.endswith("error: interrupted\n") and "Traceback" not in stderr
    assert read_kaldi(text) == {"old": "words"} and [each.name for each in text.parent.iterdir()] == ["text"]


def test_funasrs_own_program(call):
    status, stdout, stderr = call("--help-funasr")
    assert (status, stderr) == (0, "")
    assert stdout.startswith("usage: funasr [-h]") and "--subtitle-segment-mode" in stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talk.wav", "--model", "nosuch"], "argument --model/-m: invalid choice: 'nosuch'"),
        (["talk.wav", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["talk=1.wav", "--model", "nosuch"], "invalid choice: 'nosuch'"),
        (["--model", "sensevoice"], "the following arguments are required: audio"),
    ],
)
def test_upstream_calls_reach_funasrs_own_program(arguments, message, call):
    status, stdout, stderr = call(*arguments)
    assert (status, stdout) == (2, "")
    assert stderr.startswith("usage: funasr [-h]") and message in stderr


def test_audio_alone_is_recognised_by_the_embedded_model(call, wavs, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/funasr-sap"])
    talk = shutil.copy(wavs[0], tmp_path / "it's [1].wav")
    told = call("+model=sap2", f'+input=["{talk}",{wavs[1]}]', "+hotwords=cat", "+ncpu=1")
    found = call(str(talk), wavs[1], "+hotwords=cat", "+ncpu=1")
    assert found[:2] == told[:2] and found[0] == 0 and len(found[1].splitlines()) == 2
    status, stdout, _ = call(str(talk), "ncpu=1")
    assert status == 0 and json.loads(stdout)["text"]
    status, stdout, stderr = call("none.wav")
    assert (status, stdout) == (1, "") and "no such file" in stderr.splitlines()[-1]


def test_under_funasrs_name_audio_is_for_funasrs_program(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/funasr"])
    assert cli.name_audio(["talk.wav"]) == ["talk.wav"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/funasr-sap"])
    assert cli.name_audio(["talk.wav"]) == ["+model=sap2", "+input='talk.wav'"]
    assert cli.name_audio(["talk.wav", "--language", "zh"]) == ["talk.wav", "--language", "zh"]


def test_versions_of_both_programs(call):
    import funasr

    from funasr_sap import __version__

    status, stdout, stderr = call("--version")
    assert (status, stderr) == (0, "")
    assert stdout == f"funasr-sap {__version__}\nfunasr {funasr.__version__}\n"


def test_transcribe_is_the_form_with_overrides(call, model_dir, wavs):
    arguments = (f"+input={wavs[0]}", "+hotwords=[chlorophyll]", f"+model={model_dir}", "+ncpu=1")
    status, stdout, _ = call("transcribe", *arguments)
    assert (status, stdout) == (0, call(*arguments)[1]) and stdout.startswith('{"key": ')
    status, stdout, _ = call("transcribe", wavs[0])  # by the embedded model
    assert status == 0 and stdout.count("\n") == 1
