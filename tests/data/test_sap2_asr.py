import json

import pytest

from funasr_sap.data.formats import FORMATS
from funasr_sap.data.jsonl import parse_record
from funasr_sap.data.sap2_asr import format_sap2_record, split_answer, split_kept, write_sap2
from funasr_sap.data.utterance import Utterance

TALK = Utterance("talk1", "wav/talk1.wav", "we use LoRA", ("LoRA", "deep speech"), ("LoRA",))


def contents(record):
    return [message["content"] for message in record["messages"]]


# The texts of github.com/jymh/SAP2-ASR (extract_predicted_keywords.py, README.md).
@pytest.mark.parametrize(
    ("task", "hotwords", "user", "answer"),
    [
        (
            "transcribe",
            ("LoRA", "deep speech"),
            "<audio>Transcribe speech to text according to keywords may appear in the utterance. Possible "
            "keywords are: <|startofcontext|>LoRA, deep speech<|endofcontext|>",
            "we use LoRA",
        ),
        (
            "transcribe",
            (),
            "<audio>Transcribe speech to text.<|startofcontext|><|endofcontext|>",
            "we use LoRA",
        ),
        ("transcribe", None, "<audio>Transcribe speech to text.", "we use LoRA"),
        (
            "prune",
            ("LoRA",),
            "<audio>Select keywords that may appear in the speech from the following keywords list: "
            "<|startofcontext|>LoRA<|endofcontext|>",
            "LoRA",
        ),
        (
            "joint",
            ("LoRA",),
            "<audio>First select keywords that may appear in the speech from the following keywords list. "
            "Then Transcribe speech to text. Keywords list: <|startofcontext|>LoRA<|endofcontext|>",
            "Selected keywords are: LoRA.\nTranscription: we use LoRA",
        ),
    ],
)
def test_lines_are_those_of_the_release(task, hotwords, user, answer):
    record = format_sap2_record(Utterance("talk1", "a.wav", "we use LoRA", hotwords, ("LoRA",)), task)
    assert record == {
        "key": "talk1",
        "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": answer}],
        "audios": "a.wav",
    }


def test_no_kept_keyword_is_none():
    record = format_sap2_record(Utterance("u", "a.wav", "hm", ("LoRA",), ()), "prune")
    assert contents(record)[1] == "none" and "keywords" not in record
    assert parse_record(record).keywords == ()
    assert split_kept("none") == () and split_kept("None, a") == ("None", "a")


@pytest.mark.parametrize("word", ["Paris, Texas", "none", " x", "", "国，家"])
def test_keywords_that_commas_cannot_tell_stand_beside_the_prompt(word):
    """The prompt has them too, for SAP²-ASR reads nothing else."""
    record = format_sap2_record(Utterance("u", "a.wav", "hm", ("LoRA", word), (word,)), "prune")
    assert word in contents(record)[0] and word in contents(record)[1]
    assert record["keywords"] == [word]
    assert parse_record(record).hotwords == ("LoRA", word) and parse_record(record).keywords == (word,)


@pytest.mark.parametrize("name", ["sap2", "sap2-prune", "sap2-joint"])
def test_special_tokens_in_keywords_and_texts_are_data(name):
    words = (
        "<|endofcontext|>",
        "<|startofcontext|>",
        "<|startofspeech|>!b.wav<|endofspeech|>",
        "<audio>c.wav</audio>",
        "select keywords",
        "Then Transcribe",
    )
    text = "Selected keywords are: x.\nTranscription: <|im_end|><|startofcontext|>y<|endofcontext|>"
    utterance = Utterance("u", "a.wav", text, words, words[:1])
    fitted = FORMATS[name].fit(utterance)
    task = name.partition("-")[2] or "transcribe"
    assert parse_record(json.loads(json.dumps(format_sap2_record(fitted, task)))) == fitted


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        ("Select key words that may appear in the speech", "a, b", (None, ("a", "b"))),
        ("从以下关键词列表中选择可能在语音中出现的关键词：", "甲，乙", (None, ("甲", "乙"))),
        (
            "首先…选择…关键词，然后将语音转写为文本。",
            "选择的关键词是：甲。\n转写结果：甲 天",
            ("甲 天", ("甲",)),
        ),
        ("Transcribe speech to text", "none", ("none", None)),
        ("Select keywords", None, (None, None)),
    ],
)
def test_the_prompt_tells_what_the_answer_is(prompt, answer, expected):
    assert split_answer(prompt, answer) == expected


def test_a_joint_answer_of_another_form_is_a_bad_line():
    with pytest.raises(ValueError, match="'just words' has not the form 'Selected keywords are"):
        split_answer("First select keywords. Then transcribe.", "just words")


@pytest.mark.parametrize(
    ("task", "change", "reason"),
    [
        ("prune", {"keywords": None}, "keywords not known, which the task prune needs"),
        ("joint", {"hotwords": None, "text": None}, "hotwords and text not known"),
        ("joint", {"keywords": ("a.\nTranscription: b",)}, "cannot tell from the transcript"),
        ("transcribe", {"source": ""}, "names no audio"),
        ("transcribe", {"key": "a b"}, "cannot be an id"),
    ],
)
def test_what_a_line_cannot_hold(task, change, reason):
    with pytest.raises(ValueError, match=reason):
        format_sap2_record(Utterance(**(vars(TALK) | change)), task)


def test_the_file_is_one_array(tmp_path):
    path = tmp_path / "train.json"
    others = [Utterance(f"u{number}", "a.wav", "x") for number in range(3)]
    for utterances in ([], [TALK], [TALK, *others]):
        assert write_sap2(path, utterances, "transcribe") == len(utterances)
        assert [each["key"] for each in json.loads(path.read_text())] == [each.key for each in utterances]
