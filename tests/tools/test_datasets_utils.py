import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import soundfile

from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "datasets_utils.py"
TEXTS = {"t1_1": "hello world", "t1_2": "你好", "t2_1": "a third"}


@pytest.fixture
def wavs(tmp_path):
    """Three wavs of 0.5 s at 8 kHz, in a subfolder."""
    (tmp_path / "wavs" / "sub").mkdir(parents=True)
    for name in TEXTS:
        soundfile.write(tmp_path / "wavs" / "sub" / f"{name}.wav", np.zeros(4000), 8000)
    return tmp_path / "wavs"


@pytest.fixture
def convert(tmp_path, wavs, capsys):
    """Run the tool on a file made of ``content``, with more arguments; returns output folder and stdout."""

    def run(name, content, *arguments, audio=True):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        audio_dir = [f"--audio-dir={wavs}"] if audio else []
        main = runpy.run_path(str(TOOL))["main"]
        main([f"--input={path}", *audio_dir, f"--output-dir={tmp_path}/out", "--jobs=1", *arguments])
        return tmp_path / "out", capsys.readouterr().out

    return run


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


TEXT = "".join(f"{name}.wav {text}\n" for name, text in TEXTS.items())


def test_text_to_kaldi(convert, wavs):
    out, report = convert("a.txt", TEXT, "--target=kaldi")
    assert read_kaldi(out / "text") == TEXTS
    assert read_kaldi(out / "wav.scp") == {name: str(wavs / "sub" / f"{name}.wav") for name in TEXTS}
    assert sorted(path.name for path in out.iterdir()) == ["text", "wav.scp"]
    assert report == f"{out}: 3 utterances, 0.000 hours, 2 recordings\n"


def test_csv_to_chatml(convert, wavs):
    content = "File,Words,Keywords\n" + "".join(
        f"{name},{text},{text[:2]}$x\n" for name, text in TEXTS.items()
    )
    fields = ["--fields", "audio=File", "text=Words", "hotwords=Keywords"]
    out, _ = convert("a.csv", content, *fields, "--keep", "File")
    utterances = read_jsonl(out / "data.jsonl")
    assert {each.key: each.text for each in utterances} == TEXTS
    assert [each.hotwords for each in utterances] == [("he", "x"), ("你好", "x"), ("a", "x")]
    assert [(each.speech_length, each.text_length) for each in utterances] == [(48, 2), (48, 2), (48, 2)]
    assert [record["File"] for record in records(out / "data.jsonl")] == list(TEXTS)


def test_json_to_funasr(convert, wavs):
    out, _ = convert("a.json", json.dumps(TEXTS), "--target=funasr", "--add", "text_language=<|zh|>")
    source = str(wavs / "sub" / "t1_2.wav")
    assert records(out / "data.jsonl")[1] == {
        "key": "t1_2",
        "source": source,
        "source_len": 50,
        "target": "你好",
        "target_len": 2,
        "text_language": "<|zh|>",
    }


def test_whisper_to_funasr_and_back(convert, wavs, tmp_path):
    lines = [
        {
            "audio": {"path": f"{wavs}/sub/{name}.wav"},
            "sentence": text,
            "language": "Chinese",
            "duration": 0.5,
        }
        for name, text in TEXTS.items()
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    out, _ = convert("a.jsonl", content, "--target=funasr", "--keep", "language", audio=False)
    assert [each.text for each in read_jsonl(out / "data.jsonl")] == list(TEXTS.values())
    middle = (out / "data.jsonl").read_text(encoding="utf-8")
    out, _ = convert("b.jsonl", middle, "--target=whisper", "--keep", "language", audio=False)
    assert records(out / "data.jsonl") == [
        {"key": name, **line} for name, line in zip(TEXTS, lines, strict=True)
    ]


def test_chatml_to_kaldi(convert, tmp_path):
    keys = {"hotwords": ["x", "y"], "keywords": []}
    lines = [{"audio": name, "text": text, **keys} for name, text in TEXTS.items()]
    out, _ = convert("a.json", json.dumps(lines), "--target=chatml")
    chatml = (out / "data.jsonl").read_text(encoding="utf-8")
    out, _ = convert("b.jsonl", chatml, "--target=kaldi", audio=False)
    assert read_kaldi(out / "text") == TEXTS
    assert read_biasing_list(out / "biasing_list") == {key: ["x", "y"] for key in TEXTS}
    assert read_biasing_list(out / "keywords") == {key: [] for key in TEXTS}


def test_excel(convert, wavs, tmp_path):
    book = openpyxl.Workbook()
    for row in [("file", "sentence"), *TEXTS.items()]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    main = runpy.run_path(str(TOOL))["main"]
    main(
        [
            f"--input={tmp_path}/a.xlsx",
            f"--audio-dir={wavs}",
            f"--output-dir={tmp_path}/out",
            "--target=kaldi",
        ]
    )
    assert read_kaldi(tmp_path / "out" / "text") == TEXTS


@pytest.mark.parametrize("target", ["kaldi", "whisper"])
def test_split_by_recording(convert, wavs, tmp_path, target):
    names = [f"talk{number:02}_{part}" for number in range(20) for part in range(3)]
    for name in names:
        soundfile.write(wavs / f"{name}.wav", np.zeros(100), 8000)
    content = TEXT + "".join(f"{name} words\n" for name in names)
    arguments = ["--split=8:1:1", "--by=recording", f"--target={target}"]
    out, report = convert("a.txt", content, *arguments)
    keys = {
        part: list(read_kaldi(out / part / "text"))
        if target == "kaldi"
        else [record["key"] for record in records(out / f"{part}.jsonl")]
        for part in ("train", "valid", "test")
    }
    talks = {part: {key.split("_")[0] for key in found} for part, found in keys.items()}
    assert sum(map(len, talks.values())) == len(set.union(*talks.values())) == 22
    assert sorted(key for found in keys.values() for key in found) == sorted([*TEXTS, *names])
    assert len(keys["train"]) in range(48, 54)
    written = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert convert("a.txt", content, *arguments)[1] == report
    assert written == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_what_is_a_recording(convert):
    rows = [{"audio": name, "text": text, "recording": "all"} for name, text in TEXTS.items()]
    assert "1 recordings" in convert("a.json", json.dumps(rows))[1]
    assert "3 recordings" in convert("a.txt", TEXT, "--recording=.+")[1]
    assert "1 recordings" in convert("a.txt", TEXT, "--recording=(t)")[1]
    with pytest.raises(ConfigError, match="is not a regular expression"):
        convert("a.txt", TEXT, "--recording=(")


def test_what_has_no_partner_is_named(convert, wavs, caplog):
    content = TEXT.replace("t2_1", "t9_1")
    with pytest.raises(DataError, match=r"2 bad line\(s\)") as error:
        convert("a.txt", content)
    lonely = ["a.txt:3: no audio file in", f"{wavs}/sub/t2_1.wav: no transcript"]
    assert all(line in str(error.value) for line in lonely)
    out, _ = convert("a.txt", content, "--lenient")
    assert [each.key for each in read_jsonl(out / "data.jsonl")] == ["t1_1", "t1_2"]
    assert all(line in caplog.text for line in lonely)
    with pytest.raises(DataError, match="without a partner"):
        convert("a.txt", "other words\n", "--lenient")


def test_unreadable_audio(convert, wavs, caplog):
    (wavs / "sub" / "t1_1.wav").write_text("not audio")
    with pytest.raises(DataError, match=r"a.txt:1: .*t1_1.wav: Format not recognised"):
        convert("a.txt", TEXT)
    out, _ = convert("a.txt", TEXT, "--lenient")
    assert [each.key for each in read_jsonl(out / "data.jsonl")] == ["t1_2", "t2_1"]
    assert "t1_1.wav: Format not recognised" in caplog.text


def test_columns_are_found_in_any_case_and_empty_cells_told(convert, caplog):
    cells = "".join(f"{name}.wav,{text}\n" for name, text in TEXTS.items()).replace("你好", "")
    out, _ = convert("a.csv", "File,Transcript\n" + cells)
    assert [each.text for each in read_jsonl(out / "data.jsonl")] == ["hello world", "", "a third"]
    assert "1 utterance(s) have an empty transcript" in caplog.text


def test_a_mapped_field_that_is_not_there(convert):
    with pytest.raises(DataError, match=r"a\.csv:2: no audio \(fields: File, Transcript; expected Wav\)"):
        convert("a.csv", "File,Transcript\nt1_1,x\n", "--fields", "audio=Wav")


def test_a_wrong_split_is_told_before_any_file_is_read(convert):
    with pytest.raises(ConfigError, match="got the split '8:1:x'"):
        convert("a.txt", "no such utterance", "--split=8:1:x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"sentence": "x"}', r"no audio \(fields: sentence; expected one of .*, or --fields audio=FIELD\)"),
        ('{"audio": "t1_1"}', r"no text \(fields: audio; expected one of text sentence"),
        ('{"audio": "", "text": "x"}', "the audio is empty"),
        ('{"audio": 3, "text": "x"}', "the audio is 3, expected text"),
        ('{"audio": "t1_1", "text": ["x"]}', r"the text is \['x'\], expected text"),
        ('{"audio": "t1_1", "text": "x", "key": "a b"}', "'a b' cannot be an id"),
        ('{"audio": "t1_1", "text": "x", "hotwords": [1]}', r"got the words \[1\], expected text"),
        (
            '{"audio": "t1_1", "text": "x"}\n{"audio": "t1_1", "text": "x"}',
            "the id 't1_1' is in .*a.jsonl:1 already",
        ),
    ],
)
def test_bad_rows(convert, content, reason):
    with pytest.raises(DataError, match=rf"a.jsonl:[12]: {reason}"):
        convert("a.jsonl", content)


def test_two_transcripts_for_one_file(convert):
    with pytest.raises(DataError, match=r"a.jsonl:2: its audio .*t1_1.wav is that of .*a.jsonl:1"):
        convert("a.jsonl", '{"audio": "t1_1", "text": "x"}\n{"audio": "t1_1", "text": "x", "key": "b"}')


def test_an_empty_transcript_is_one(convert):
    out, _ = convert("a.txt", TEXT.replace("hello world", ""))
    assert read_jsonl(out / "data.jsonl")[0].text == ""


def test_computed_fields_are_not_overwritten(convert):
    lines = [{"audio": name, "text": text, "duration": 99, "more": [1]} for name, text in TEXTS.items()]
    out, _ = convert("a.json", json.dumps(lines), "--target=whisper", "--keep", "duration", "more")
    assert [(each["duration"], each["more"]) for each in records(out / "data.jsonl")] == [(0.5, [1])] * 3


def test_lists_of_some_utterances_only(convert):
    lines = [{"audio": name, "text": text} for name, text in TEXTS.items()]
    lines[0]["hotwords"] = "a$b"
    with pytest.raises(DataError, match=r"biasing_list needs the hotwords of all utterances.*: 2 bad line"):
        convert("a.json", json.dumps(lines), "--target=kaldi")


def test_bad_options(convert):
    with pytest.raises(ConfigError, match="cannot map words; expected some of key, audio"):
        convert("a.txt", TEXT, "--fields", "words=x")
    with pytest.raises(ConfigError, match="Kaldi files hold no further fields"):
        convert("a.txt", TEXT, "--target=kaldi", "--add", "a=b")
    with pytest.raises(DataError, match=r"2 recordings .* cannot make 3 parts"):
        convert("a.txt", TEXT, "--split=8:1:1", "--by=recording")


def test_command_line(tmp_path, wavs):
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    command = [
        sys.executable,
        TOOL,
        "--input",
        tmp_path / "a.txt",
        "--output-dir",
        tmp_path / "out",
        "--audio-dir",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, wavs], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    failed = subprocess.run([*command, tmp_path / "out"], env=environment, capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith(f"error: {tmp_path}/out holds no audio files")
