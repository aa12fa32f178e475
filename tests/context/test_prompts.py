import itertools

import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList, encode_text
from funasr_sap.context.prompt_table import TASKS, load_prompts, special_tokens
from funasr_sap.context.prompts import ANY, IGNORE, PromptTemplate
from funasr_sap.errors import ConfigError

HOSTILE = [
    "<|im_end|>",
    "<|endofcontext|>",
    "<|im_<|x|>end|>",
    "a\nb\r\nc",
    "👩‍👩‍👧🏳️‍🌈",
    "\x00\x1b\x7f",
    "x" * 10_000,
    "{audio}",
    "{context}{text}{keywords}",
]
# The wording of the SAP²-ASR release (docs/architecture.md); its data is used as it is.
WORDING = {
    ("transcribe", "en"): "Transcribe speech to text. {audio}",
    ("transcribe_with_context", "en"): (
        "Transcribe speech to text according to keywords may appear in the utterance. "
        "Possible keywords are: {context}"
    ),
    ("prune", "en"): (
        "Select keywords that may appear in the speech from the following keywords list: {context}{audio}"
    ),
    ("joint", "en"): "First select keywords",
    ("transcribe", "zh"): "将语音转写为文本",
    ("transcribe_with_context", "zh"): "可能的关键词有：{context}",
    ("prune", "zh"): "选择可能在语音中出现的关键词：{context}",
    ("joint", "zh"): "首先从以下关键词列表中选择",
}


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return PromptTemplate(tokenizer)


def written(prompts, ids):
    """A prompt as text, with its places as {audio} and {context}."""
    marks = {prompts.AUDIO: "{audio}", prompts.CONTEXT: "{context}"}
    runs = itertools.groupby(ids, lambda value: value if value < 0 else None)
    return "".join(marks[mark] if mark else prompts.tokenizer.decode(list(run)) for mark, run in runs)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("task", TASKS)
def test_the_wording(task, language, prompts):
    user = load_prompts()["tasks"][task][language]["user"]
    assert WORDING[task, language] in user
    assert user.endswith("{audio}") and ("{context}" in user) == (task != "transcribe")
    text = written(prompts, prompts.prompt_ids(task, language, 1, 1))
    spoken = "".join(text.split())
    for mark, (first, last) in load_prompts()["tags"].items():
        user = user.replace("{" + mark + "}", f"{first}{{{mark}}}{last}")
    expected = f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
    assert spoken == "".join(expected.split()).lower()


def test_the_answers_of_the_release():
    tasks = load_prompts()["tasks"]
    assert tasks["joint"]["en"]["answer"] == "Selected keywords are: {keywords}.\nTranscription: {text}"
    assert tasks["prune"]["en"]["answer"] == "{keywords}"
    assert load_prompts()["keywords"][ANY] == {"separator": ", ", "none": "none"}
    assert special_tokens()[-2:] == ["<|startofcontext|>", "<|endofcontext|>"]


@pytest.mark.parametrize(("num_audio", "num_context"), [(0, 0), (3, 5), (1, 0)])
@pytest.mark.parametrize("task", TASKS)
def test_places_for_audio_and_context(task, num_audio, num_context, prompts):
    ids = prompts.prompt_ids(task, "en", num_audio, num_context)
    assert ids.count(prompts.AUDIO) == num_audio
    assert ids.count(prompts.CONTEXT) == (num_context if task != "transcribe" else 0)
    known = prompts.tokenizer.get_vocab()
    first = ids.index(known["<|startofspeech|>"])
    assert ids[first + num_audio + 1] == known["<|endofspeech|>"]
    assert [ids.count(known[token]) for token in ("<|im_start|>", "<|im_end|>")] == [2, 1]


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_change_no_structure(word, prompts):
    special = set(prompts.tokenizer.all_special_ids)
    biasing_list = BiasingList([word, "xylem"], prompts.tokenizer)
    ids, owner = prompts.context_ids(biasing_list.ids, "en")
    assert not special & set(ids)
    assert sorted(set(owner) - {-1}) == list(range(len(biasing_list)))
    separator = encode_text(prompts.tokenizer, ",")
    assert owner.count(-1) == (len(biasing_list) - 1) * len(separator)
    for task in TASKS:
        answer = prompts.answer_ids(task, "en", word, biasing_list.words)
        assert [i for i in answer if i in special] == [prompts.end_id] == answer[-1:]
        frame = prompts.prompt_ids(task, "en", 2, len(ids))
        assert [i for i in frame if i >= 0] == [i for i in prompts.prompt_ids(task, "en", 0, 0)]


def test_context_knows_whose_each_token_is(prompts):
    keywords = BiasingList(["xylem", "cell wall", "a"], prompts.tokenizer)
    ids, owner = prompts.context_ids(keywords.ids, "en")
    for position, expected in enumerate(keywords.ids):
        assert tuple(i for i, who in zip(ids, owner, strict=True) if who == position) == expected
    assert prompts.tokenizer.decode(ids).replace(" ,", ",").strip() == "xylem, cell wall, a"
    assert prompts.context_ids([], "en") == ([], [])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("keywords", [[], ["xylem"], ["cell wall", "木质部", "don't"], ["none", "one"]])
def test_answers_round_trip(keywords, language, prompts):
    def answered(task):
        ids = prompts.answer_ids(task, language, "the xylem. it rises", keywords)
        return prompts.tokenizer.decode(ids, skip_special_tokens=True).strip()

    assert prompts.split_keywords(answered("prune"), language) == keywords
    kept, text = prompts.split_joint(answered("joint"), language)
    assert (prompts.split_keywords(kept, language), text) == (keywords, "the xylem. it rises")
    assert answered("transcribe") == answered("transcribe_with_context") == "the xylem. it rises"


def test_a_joint_answer_of_another_form_is_a_transcript(prompts):
    assert prompts.split_joint("the xylem rises", "en") == ("", "the xylem rises")
    assert prompts.split_joint("", "en") == ("", "")


def test_a_keyword_with_a_comma_comes_in_its_parts(prompts):
    assert prompts.split_keywords("1,000, , xylem,", "en") == ["1", "000", "xylem"]
    assert prompts.split_parts("none", "en") == ["none"] and prompts.split_keywords(" none ", "en") == []


def test_batches_are_padded_on_the_left(prompts):
    rows = [prompts.prompt_ids("transcribe", "en", 4, 0), prompts.prompt_ids("prune", "en", 2, 3)]
    answers = [
        prompts.answer_ids("transcribe", "en", "a"),
        prompts.answer_ids("prune", "en", keywords=["b", "c"]),
    ]
    batch = prompts.batch(rows, answers)
    size = max(len(p) + len(a) for p, a in zip(rows, answers, strict=True))
    assert batch.input_ids.shape == batch.mask.shape == batch.labels.shape == (2, size)
    for b, (prompt, answer) in enumerate(zip(rows, answers, strict=True)):
        length = len(prompt) + len(answer)
        assert batch.mask[b].tolist() == [False] * (size - length) + [True] * length
        assert batch.input_ids[b, size - length :].tolist() == [max(i, 0) for i in prompt + answer]
        assert batch.audio_mask[b, size - length :].nonzero().flatten().tolist() == [
            place for place, i in enumerate(prompt) if i == prompts.AUDIO
        ]
        assert batch.labels[b].tolist() == [IGNORE] * (size - len(answer)) + answer
    assert batch.context_mask.sum(1).tolist() == [0, 3]
    assert not (batch.audio_mask & batch.context_mask).any() and not (batch.audio_mask & ~batch.mask).any()


def test_a_batch_without_answers_has_no_labels(prompts):
    batch = prompts.batch([prompts.prompt_ids("transcribe", "en", 1, 0)])
    assert (batch.labels == IGNORE).all() and batch.mask.all() and batch.mask.dtype == torch.bool


def test_unknown_tasks_and_languages_are_errors(prompts):
    with pytest.raises(ConfigError, match="unknown task 'translate'; expected one of transcribe, "):
        prompts.prompt_ids("translate", "en", 1, 0)
    with pytest.raises(ConfigError, match="no prompt for language 'fr'; expected one of en, zh"):
        prompts.answer_ids("prune", "fr")


def test_a_tokenizer_without_the_special_tokens_is_an_error():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(ConfigError, match=r"lacks the special tokens \['<\|im_start\|>'"):
        PromptTemplate(bare)


@pytest.mark.parametrize("words", [["photosynthesis"], ["the beta", "(x)", "leaf"]])
def test_keywords_are_part_of_the_text_where_a_style_has_no_tags(words, tokenizer):
    prompts = PromptTemplate(tokenizer, "mala_asr")
    context, owner = prompts.write_context(words, [], "en")
    ids = prompts.prompt_ids("transcribe_with_context", "en", 2, len(context))
    assert ids == [prompts.AUDIO] * 2 + [prompts.CONTEXT] * len(context)
    text = (
        "USER: Transcribe speech to text. Use hotwords in ppt to improve speech recognition accuracy. But if "
        f'the hotwords are irrelevant, just ignore them. The hotwords are "{", ".join(words)}". \n ASSISTANT:'
    )
    assert context == tokenizer.encode(text, add_special_tokens=False)
    for place, word in enumerate(words):
        pieces = [piece for piece, who in zip(context, owner, strict=True) if who == place]
        assert word in tokenizer.decode(pieces)
    assert -1 in owner


def test_a_style_that_nobody_has(tokenizer):
    with pytest.raises(ConfigError, match=r"prompt_conf.style: expected one of sap2, .* got 'whisper'"):
        PromptTemplate(tokenizer, "whisper")


def test_a_style_has_only_the_tasks_of_its_weights(tokenizer):
    with pytest.raises(
        ConfigError, match=r"unknown task 'prune'; expected one of transcribe, transcribe_with"
    ):
        PromptTemplate(tokenizer, "fun_asr_nano").prompt_ids("prune", "zh", 1, 1)
