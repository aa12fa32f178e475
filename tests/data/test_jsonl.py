import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.jsonl import Utterance, iter_jsonl, read_jsonl, write_jsonl
from funasr_sap.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SOURCES = TEXT.filter(lambda s: s.strip() and not s.startswith("!") and "<|endofspeech|>" not in s)
WORDS = st.none() | st.lists(TEXT).map(tuple)
LENGTHS = st.none() | st.integers(0, 10**9)
UTTERANCES = st.builds(
    Utterance,
    key=st.from_regex(r"[A-Za-z0-9_语音\-./]{1,12}", fullmatch=True),
    source=SOURCES,
    text=st.none() | TEXT,
    hotwords=WORDS,
    keywords=WORDS,
    speech_length=LENGTHS,
    text_length=LENGTHS,
)


def lines(path, *records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def chat(user, answer=None, **more):
    messages = [{"role": "user", "content": user}]
    messages += [{"role": "assistant", "content": answer}] if answer is not None else []
    return {"messages": messages, **more}


@given(utterances=st.lists(UTTERANCES, unique_by=lambda u: u.key, max_size=5))
def test_round_trip(tmp_path_factory, utterances):
    path = tmp_path_factory.mktemp("jsonl") / "data.jsonl"
    assert write_jsonl(path, utterances) == len(utterances)
    assert read_jsonl(path) == utterances


def test_written_line_is_fun_asr_nanos(tmp_path):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [Utterance("u1", "a b.wav", "你好", ("好",), None, 120, 2)])
    assert json.loads(path.read_text()) == {
        "key": "u1",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "语音转写：<|startofspeech|>!a b.wav<|endofspeech|>"},
            {"role": "assistant", "content": "你好"},
        ],
        "speech_length": 120,
        "text_length": 2,
        "hotwords": ["好"],
    }
    assert "你好" in path.read_text()


@pytest.mark.slow  # importing FunASR takes seconds
def test_fun_asr_reads_the_line(tmp_path):
    datasets = pytest.importorskip("funasr.datasets.fun_asr_datasets.datasets")
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [Utterance("u1", "a.wav", "text", ("word",), None, 120, 2)])
    (item,) = datasets.FunASR(str(path))
    assert (item["key"], item["assistant"], item["hotwords"], item["source_len"]) == (
        "u1",
        ["text"],
        ["word"],
        122,
    )
    speech = re.split(r"(<\|startofspeech\|>.*?<\|endofspeech\|>)", item["user"][0])[1]
    assert speech == "<|startofspeech|>!a.wav<|endofspeech|>"


def test_funasr_lines(tmp_path):
    path = lines(
        tmp_path / "a.jsonl",
        {"key": "u1", "source": "a.wav", "source_len": 300, "target": "some text", "target_len": 2},
        {"key": ["u2"], "source": "b.wav", "hotwords": "one, two"},
    )
    assert read_jsonl(path) == [
        Utterance("u1", "a.wav", "some text", speech_length=300, text_length=2),
        Utterance("u2", "b.wav", None, hotwords=("one", "two")),
    ]


def test_fun_asr_line_without_key_is_named_after_its_audio(tmp_path):
    record = chat("语音转写：<|startofspeech|>!/data/my talk.wav<|endofspeech|>", "hi", speech_length=[12])
    assert read_jsonl(lines(tmp_path / "a.jsonl", record)) == [
        Utterance("my_talk", "/data/my talk.wav", "hi", speech_length=12)
    ]


TRANSCRIBE = (
    "Transcribe speech to text according to keywords may appear in the utterance. Possible keywords are: "
)
PRUNE = "Select keywords that may appear in the speech from the following keywords list: "
CONTEXT = "<|startofcontext|>alpha, beta gamma,delta<|endofcontext|>"
HOTWORDS = ("alpha", "beta gamma", "delta")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (chat(f"<audio>{TRANSCRIBE}{CONTEXT}", "said so", audios=["a.wav"]), ("said so", HOTWORDS, None)),
        (chat(f"<audio>a.wav</audio>{TRANSCRIBE}{CONTEXT}", "said so"), ("said so", HOTWORDS, None)),
        (chat("Transcribe.<|startofcontext|><|endofcontext|>", "said", audios="a.wav"), ("said", (), None)),
        (chat("Transcribe speech to text.", "said", audios="a.wav"), ("said", None, None)),
        (
            chat(f"<audio>{PRUNE}{CONTEXT}", "alpha, delta", audios="a.wav"),
            (None, HOTWORDS, ("alpha", "delta")),
        ),
        (chat(f"<audio>{PRUNE}{CONTEXT}", "none", audios="a.wav"), (None, HOTWORDS, ())),
        (
            chat(
                f"First select keywords. Then Transcribe: {CONTEXT}",
                "Selected keywords are: delta.\nTranscription: the delta",
                audios="a.wav",
            ),
            ("the delta", HOTWORDS, ("delta",)),
        ),
    ],
)
def test_sap2_asr_lines(tmp_path, record, expected):
    (utterance,) = read_jsonl(lines(tmp_path / "a.jsonl", record))
    assert (utterance.key, utterance.source) == ("a", "a.wav")
    assert (utterance.text, utterance.hotwords, utterance.keywords) == expected


def test_sap2_asr_array(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(
        json.dumps([chat("x", "y", audios="a.wav"), chat("x", "z", audios="b.wav"), {}], indent=2)
    )
    with pytest.raises(DataError, match="entry 3: expected "):
        read_jsonl(path)
    path.write_text(json.dumps([chat("x", "y", audios="a.wav"), chat("x", "z", audios="b.wav")], indent=2))
    assert [each.text for each in read_jsonl(path)] == ["y", "z"]
    path.write_text(path.read_text()[:-10])
    with pytest.raises(DataError, match=r"train.json:\d+: not JSON"):
        read_jsonl(path)


GOOD = {"key": "ok", "source": "a.wav"}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([1], "expected a JSON object"),
        ({"key": "u"}, 'expected "messages" or "source"'),
        ({"key": "u", "source": ""}, "expected one audio path"),
        ({"key": "u", "source": ["a.wav", "b.wav"]}, "expected one audio path"),
        ({"key": "u u", "source": "a.wav"}, "cannot be an id"),
        ({"key": 7, "source": "a.wav"}, '"key" is 7, expected a string'),
        ({"key": "u", "source": "a.wav", "target": 3}, "the transcript is 3"),
        ({"key": "u", "source": "a.wav", "hotwords": [1]}, "expected a list of words"),
        ({"key": "u", "source": "a.wav", "source_len": -1}, '"source_len" is -1'),
        ({"key": "u", "source": "a.wav", "speech_length": 1.5}, '"speech_length" is 1.5'),
        ({"key": "u", "source": "a.wav", "speech_length": float("inf")}, "not JSON"),
        ({"key": "u", "messages": "x"}, '"messages" is not a list'),
        ({"key": "u", "messages": []}, "expected one user message"),
        (chat("no audio", "x"), "expected one audio path"),
        (chat("<|startofspeech|>!!<|endofspeech|>", "x"), "expected one audio path"),
        ({"key": "ok", "source": "b.wav"}, "the id 'ok' is on line 1 already"),
    ],
)
def test_bad_lines_are_named(tmp_path, record, reason):
    with pytest.raises(DataError) as error:
        read_jsonl(lines(tmp_path / "a.jsonl", GOOD, record, {"key": "last", "source": "z.wav"}))
    assert f"a.jsonl:2: {reason}" in str(error.value) or f":2: 'u u' {reason}" in str(error.value)


def test_iter_gives_the_good_lines_then_one_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n{\n\xff\n\n" + b'{"key": "z", "source": "z.wav"}')
    seen = []
    with pytest.raises(DataError, match=r"2 bad line\(s\)") as error:
        for utterance in iter_jsonl(path):
            seen.append(utterance.key)
    assert seen == ["ok", "z"]
    assert "a.jsonl:2: not JSON" in str(error.value)
    assert "a.jsonl:3: byte 1 (0xff) is not UTF-8" in str(error.value)


@pytest.mark.parametrize(
    "utterances",
    [
        [Utterance("u", "a.wav", "x"), Utterance("u", "b.wav", "y")],
        [Utterance("u u", "a.wav", "x")],
        [Utterance("u", "", "x")],
        [Utterance("u", "!", "x")],
        [Utterance("u", "a<|endofspeech|>b", "x")],
    ],
)
def test_bad_utterances_are_not_written(tmp_path, utterances):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with pytest.raises(DataError, match="cannot write"):
        write_jsonl(path, utterances)
    assert path.read_text() == "old"


CONTEXT_TAGS = "<|startofcontext|>x<|endofcontext|>"
SPEECH_TAGS = "<|startofspeech|>!b.wav<|endofspeech|>"


@pytest.mark.parametrize(
    ("record", "source", "hotwords"),
    [
        (chat(f"<|startofspeech|>!a{CONTEXT_TAGS}.wav<|endofspeech|>"), f"a{CONTEXT_TAGS}.wav", None),
        (chat(f"<|startofcontext|>{SPEECH_TAGS}, y<|endofcontext|><|startofspeech|>!a.wav<|endofspeech|>"),
         "a.wav", (SPEECH_TAGS, "y")),
        (chat(f"<|startofspeech|>!a.wav<|endofspeech|><|startofcontext|>{SPEECH_TAGS}<|endofcontext|>"),
         "a.wav", (SPEECH_TAGS,)),
        (chat(f"<audio><|startofcontext|>{CONTEXT_TAGS}, <audio>b</audio><|endofcontext|>", audios="a.wav"),
         "a.wav", (CONTEXT_TAGS, "<audio>b</audio>")),
    ],
)  # fmt: skip
def test_tags_inside_a_frame_are_data(tmp_path, record, source, hotwords):
    (utterance,) = read_jsonl(lines(tmp_path / "a.jsonl", record | {"key": "u"}))
    assert (utterance.source, utterance.hotwords) == (source, hotwords)


def test_ids_of_a_one_line_array_are_told_apart(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([GOOD, {"key": "other", "source": "b.wav"}, GOOD]))
    with pytest.raises(DataError, match=r"a\.json:1, entry 3: the id 'ok' is on line 1 already"):
        read_jsonl(path)


def test_texts_that_utf8_cannot_hold_are_bad_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "u", "source": "a.wav", "target": "\\ud800"}\n' + "[" * 100_000 + "\n")
    with pytest.raises(
        DataError, match=r"2 bad line\(s\):\n.*:1: not JSON: .*surrogate.*\n.*:2: not JSON: depth"
    ):
        read_jsonl(path)
