import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tokenizers
from encoding import encode

from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.data.kaldi import write_kaldi
from funasr_sap.data.scp2jsonl import Scp2JsonlOptions, scp2jsonl, speech_length
from funasr_sap.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "scp2jsonl.py"
TOKENIZER = ROOT / "funasr_sap" / "pretrained" / "sap2_tiny" / "tokenizer"


def write_wav(path, samples=16000, rate=16000, channels=1):
    soundfile.write(path, np.zeros((samples, channels), np.float32), rate)
    return str(path)


@pytest.fixture
def data(tmp_path):
    """Three utterances, not in order of their ids, with every file that the tool takes."""
    wavs = {name: write_wav(tmp_path / f"{name}.wav", 1600 * number) for number, name in enumerate("cab", 3)}
    (tmp_path / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in wavs.items()))
    (tmp_path / "text").write_text("a one two\nb 你好 world\nc\n")
    (tmp_path / "lists").write_text('a one$x\nb ["y"]\nc\nunused z\n')
    return tmp_path


def options(data, **more):
    files = {"scp_file": data / "wav.scp", "transcript_file": data / "text", "jsonl_file": data / "out.jsonl"}
    return Scp2JsonlOptions(**{name: str(path) for name, path in files.items()}, **more)


def arguments(data, *more):
    return [
        f"++scp_file={data / 'wav.scp'}",
        f"+transcript_file={data / 'text'}",
        f"jsonl_file={data / 'out.jsonl'}",
        *more,
    ]


def run_tool(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, TOOL, *arguments], env=environment, capture_output=True, text=True)


def test_join(data):
    both = str(data / "lists")
    assert scp2jsonl(options(data, biasing_list=both, keywords=both)) == (3, 0)
    utterances = read_jsonl(data / "out.jsonl")
    assert [each.key for each in utterances] == ["c", "a", "b"]
    assert [each.source for each in utterances] == [str(data / f"{name}.wav") for name in "cab"]
    assert [each.text for each in utterances] == ["", "one two", "你好 world"]
    assert [each.hotwords for each in utterances] == [(), ("one", "x"), ("y",)]
    assert [each.keywords for each in utterances] == [(), ("one", "x"), ("y",)]
    assert [each.speech_length for each in utterances] == [28, 38, 48]
    assert [each.text_length for each in utterances] == [0, 2, 3]


def test_without_lists_the_keys_are_absent(data):
    scp2jsonl(options(data))
    assert set(json.loads((data / "out.jsonl").read_text().splitlines()[0])) == {
        "key",
        "messages",
        "speech_length",
        "text_length",
    }


def test_a_callable_counts_tokens(data):
    scp2jsonl(options(data), tokenize=list)
    assert [each.text_length for each in read_jsonl(data / "out.jsonl")] == [0, 7, 8]


@pytest.mark.parametrize(
    ("samples", "rate", "frames"),
    [
        (16000, 16000, 98),
        (400, 16000, 1),
        (399, 16000, 0),
        (1, 16000, 0),
        (560, 16000, 2),
        (44100, 44100, 98),
        (8000, 8000, 98),
    ],
)
def test_speech_length(tmp_path, samples, rate, frames):
    assert speech_length(write_wav(tmp_path / "a.wav", samples, rate, channels=2)) == frames


def test_empty_transcripts_are_told_and_left_out_where_wanted(data, caplog):
    (data / "text").write_text("a one two\nb <unk> ...\nc\n")
    assert scp2jsonl(options(data)) == (3, 0)
    assert f"{data}/text: 2 utterance(s) have an empty transcript" in caplog.text
    assert "the first is b;" in caplog.text and "++keep_empty=false" in caplog.text
    assert scp2jsonl(options(data, keep_empty=False)) == (1, 0)
    assert [each.key for each in read_jsonl(data / "out.jsonl")] == ["a"]
    (data / "text").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match="all 3 transcripts are empty"):
        scp2jsonl(options(data, keep_empty=False))


def test_audio_without_a_frame_is_told(data, caplog):
    write_wav(data / "b.wav", 160)
    assert scp2jsonl(options(data)) == (3, 0)
    assert "1 utterance(s) are shorter than 25 ms" in caplog.text and "the first is b" in caplog.text


def make_bad(data):
    """Replace two of the three audio files; returns what is said about them."""
    (data / "a.wav").write_text("not audio")
    write_wav(data / "b.wav", 0)
    (data / "wav.scp").write_text((data / "wav.scp").read_text() + f"d {data}/none.wav\ne sox x.wav - |\n")
    (data / "text").write_text((data / "text").read_text() + "d x\ne y\n")
    return [
        f"a ({data}/a.wav): Format not recognised",
        f"b ({data}/b.wav): no samples",
        f"d ({data}/none.wav): no such file",
        "e (sox x.wav - |): a command",
    ]


def test_all_unreadable_audio_is_named(data):
    (data / "out.jsonl").write_text("old")
    expected = make_bad(data)
    with pytest.raises(DataError, match=r"4 bad line\(s\)") as error:
        scp2jsonl(options(data))
    assert all(line in str(error.value) for line in expected)
    assert (data / "out.jsonl").read_text() == "old"


def test_unreadable_audio_is_skipped_and_named(data, caplog):
    expected = make_bad(data)
    assert scp2jsonl(options(data, skip_bad=True)) == (1, 4)
    assert [each.key for each in read_jsonl(data / "out.jsonl")] == ["c"]
    assert all(line in caplog.text for line in expected)


def test_nothing_readable_is_an_error_even_when_skipping(data):
    make_bad(data)
    (data / "c.wav").unlink()
    with pytest.raises(DataError, match=r"5 bad line\(s\)"):
        scp2jsonl(options(data, skip_bad=True))


def test_ids_without_partner_are_all_named(data):
    (data / "text").write_text("b x\nd y\ne z\n")
    (data / "lists").write_text("b x\nc y\n")
    with pytest.raises(DataError) as error:
        scp2jsonl(options(data, biasing_list=str(data / "lists")))
    for line in ("c: in", "a: in", "d: in", "e: in", f"a: in {data}/wav.scp, not in {data}/lists"):
        assert f"  {line}" in str(error.value)


def test_bad_options(data):
    with pytest.raises(ConfigError, match="jobs is 0"):
        scp2jsonl(options(data, jobs=0))
    with pytest.raises(ConfigError, match="is not a directory"):
        scp2jsonl(options(data, tokenizer="Qwen/none"))
    (data / "wav.scp").write_text("")
    (data / "text").write_text("")
    with pytest.raises(DataError, match="has no utterances"):
        scp2jsonl(options(data))


def test_processes_give_what_one_gives(tmp_path):
    files = [write_wav(tmp_path / f"{number}.wav", 480 + 160 * number) for number in range(300)]
    (tmp_path / "wav.scp").write_text("".join(f"u{number} {path}\n" for number, path in enumerate(files)))
    (tmp_path / "text").write_text("".join(f"u{number} text {number}\n" for number in reversed(range(300))))
    assert scp2jsonl(options(tmp_path, jobs=1)) == (300, 0)
    alone = (tmp_path / "out.jsonl").read_bytes()
    assert scp2jsonl(options(tmp_path, jobs=2)) == (300, 0)
    assert (tmp_path / "out.jsonl").read_bytes() == alone
    assert [each.speech_length for each in read_jsonl(tmp_path / "out.jsonl")] == list(range(1, 301))


def test_tokens_are_those_of_the_model_directory(data):
    from transformers import AutoTokenizer

    texts = {"a": "photosynthesis, naïve é", "b": "你好 world <|im_end|>", "c": ""}
    write_kaldi(data / "text", texts)
    scp2jsonl(options(data, tokenizer=str(TOKENIZER)))
    theirs = AutoTokenizer.from_pretrained(TOKENIZER, local_files_only=True)
    expected = [len(theirs.tokenize(texts[name])) for name in "cab"]
    assert [each.text_length for each in read_jsonl(data / "out.jsonl")] == expected


def test_a_tokenizer_that_truncates_and_pads_still_counts_all(data, tmp_path):
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"one": 0, "two": 1, "[UNK]": 2}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(1)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    scp2jsonl(options(data, tokenizer=str(tmp_path)))
    assert [each.text_length for each in read_jsonl(data / "out.jsonl")] == [0, 2, 2]


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_directory_without_a_tokenizer(data, tmp_path, content):
    (tmp_path / "empty").mkdir()
    if content:
        (tmp_path / "empty" / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match="no tokenizer in"):
        scp2jsonl(options(data, tokenizer=str(tmp_path / "empty")))


def test_the_name_that_fun_asr_has_for_jobs(data):
    assert scp2jsonl(options(data, max_workers=1)) == (3, 0)
    with pytest.raises(ConfigError, match="jobs is 0"):
        scp2jsonl(options(data, max_workers=0))


def test_main(data, capsys):
    main = runpy.run_path(str(TOOL))["main"]
    main(arguments(data, f"++biasing_list='{data}/lists'", "++jobs=2", "++skip_bad=true"))
    assert capsys.readouterr().out == f"{data}/out.jsonl: 3 utterances, 0 left out for unreadable audio\n"
    assert read_jsonl(data / "out.jsonl")[1].hotwords == ("one", "x")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("++scp_fil=x", "unknown key 'scp_fil'; did you mean 'scp_file'?"),
        ("++zzz=x", "unknown key 'zzz'; known keys: scp_file,"),
        ("--scp_file", "got '--scp_file', expected"),
        ("++jobs=many", "cannot use ++jobs=many"),
        ("++skip_bad=[", r"cannot use ++skip_bad=["),
    ],
)
def test_bad_arguments(data, argument, message):
    main = runpy.run_path(str(TOOL))["main"]
    with pytest.raises(ConfigError) as error:
        main(arguments(data, argument))
    assert message in str(error.value)


def test_values_are_kept_as_they_are(data, monkeypatch):
    main = runpy.run_path(str(TOOL))["main"]
    monkeypatch.chdir(data)
    main([*arguments(data)[:2], "++jsonl_file=007"])
    assert (data / "007").exists()
    with pytest.raises(ConfigError, match=r"missing \+\+jsonl_file"):
        main(arguments(data)[:2])


def test_command_line(data):
    done = run_tool(*arguments(data))
    assert (done.returncode, done.stdout.split(":")[0]) == (0, str(data / "out.jsonl"))
    make_bad(data)
    failed = run_tool(*arguments(data))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "error: unreadable audio in" in failed.stderr
    assert "Traceback" not in failed.stderr
    missing = run_tool("++scp_file=none", *arguments(data)[1:])
    assert (missing.returncode, missing.stderr) == (1, "error: none: No such file or directory\n")
    help_text = run_tool("--help").stdout
    assert all(name in help_text for name in Scp2JsonlOptions.__dataclass_fields__)


def test_no_file_stops_the_others(data):
    contents = {
        "raw": bytes(range(256)) * 9,
        "m4a": b"\0\0\0\x1cftypM4A " + bytes(400),
        "mp3": b"<html></html>",
    }
    with open(data / "wav.scp", "a") as scp, open(data / "text", "a") as text:
        for name, content in contents.items():
            (data / f"{name}.{name}").write_bytes(content)
            scp.write(f"{name} {data / name}.{name}\n")
            text.write(f"{name} word\n")
        encode(data / "talk.webm", np.sin(np.arange(32000) / 20).astype(np.float32) / 2)
        scp.write(f"webm {data}/talk.webm\npipe cat a.wav |\nurl s3://bucket/a.wav\n")
        text.write("webm word\npipe word\nurl word\n")
    assert scp2jsonl(options(data, skip_bad=True)) == (4, 5)
    (webm,) = [each for each in read_jsonl(data / "out.jsonl") if each.key == "webm"]
    assert webm.speech_length == pytest.approx(200, abs=8)
