import random

import pytest
import torch
from transformers import GenerationMixin

from funasr_sap.models import generation
from funasr_sap.models.generation import _go_on, can_read_drafts, read_drafts, write_answers
from funasr_sap.models.language_model import Prompt
from funasr_sap.models.llm import build_llm

PROMPTS = [Prompt("transcribe", "en")] * 3
LLAMA = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def heard(taught, make_batch):
    return hear(taught.model, make_batch(taught.places))


def hear(model, batch):
    with torch.no_grad():
        return model.language_model.attend(model.encode(batch["speech"], batch["speech_lengths"]))


def write(model, memory, limits, temperature=0.0):
    """Answer token by token."""
    llm = model.language_model
    batch = llm.prompt_batch(memory, PROMPTS, None)
    embeddings = llm.embed_prompt(batch, memory, None)
    return write_answers(llm.llm, embeddings, batch.mask, limits, llm.prompts.end_id, temperature)


def read(model, memory, drafts, limits):
    """Answer by reading drafts."""
    llm = model.language_model
    drafts = [draft[:limit] for draft, limit in zip(drafts, limits, strict=True)]
    batch = llm.prompt_batch(memory, PROMPTS, None, drafts)
    with torch.no_grad():
        return read_drafts(llm, llm.embed_prompt(batch, memory, None), batch.mask, drafts, limits)


def answer_ids(model, texts):
    return [model.prompts.answer_ids("transcribe", "en", text) for text in texts]


def drafts_of(answers) -> dict[str, list[list[int]]]:
    """Guesses at some answers, from right ones to nonsense."""
    rng = random.Random(0)
    return {
        "right": answers,
        "without an end": [answer[:-1] or answer for answer in answers],
        "one token": [[1]] * len(answers),
        "another's": [*answers[1:], answers[0]],
        "left out": [answer[: len(answer) // 2] + answer[len(answer) // 2 + 1 :] for answer in answers],
        "put in": [[*answer[:2], 7, 8, *answer[2:]] for answer in answers],
        "another token": [[*answer[:3], 7, *answer[4:]] for answer in answers],
        "nonsense": [rng.choices(range(50), k=40) for _ in answers],
        "of all lengths": [answers[0], [5], answers[2] * 3],
    }


def count_calls(model, monkeypatch) -> list:
    """Record the tokens that the LLM reads at a time."""
    calls, forward = [], model.llm.forward

    def counted(*args, **kwargs):
        calls.append(kwargs["inputs_embeds"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.llm, "forward", counted)
    return calls


def test_whatever_the_draft_the_answer_is_that_of_decoding_token_by_token(taught, heard):
    model, limits = taught.model, [60] * 3
    expected = write(model, heard, limits)
    answers = answer_ids(model, [each.text for each in taught.utterances])
    for answer, padded in zip(answers, expected, strict=True):
        assert padded[: len(answer)] == answer and not any(padded[len(answer) :])
    for name, drafts in drafts_of(answers).items():
        found = read(model, heard, drafts, limits)
        assert [answer[-1] for answer in found] == [model.prompts.end_id] * 3, name
        assert found == answers, name


@pytest.mark.parametrize("llm", [None, {"llm": "llama", "llm_conf": LLAMA}])
@pytest.mark.parametrize("limits", [[30, 7, 1], [5, 5, 5]])
def test_so_it_is_where_an_answer_never_ends(make_model, features, llm, limits):
    model = make_model(**(llm or {}))
    lengths = [31, 24, 18]
    speech = [each[:length] for each, length in zip(features, lengths, strict=False)]
    batch = {
        "speech": torch.nn.utils.rnn.pad_sequence(speech, batch_first=True),
        "speech_lengths": torch.tensor(lengths),
    }
    heard = hear(model, batch)
    expected = write(model, heard, limits)
    assert [len(answer) for answer in expected] == limits
    for name, drafts in drafts_of(expected).items():
        assert read(model, heard, drafts, limits) == expected, name


def test_a_right_draft_is_read_at_once(taught, heard, monkeypatch):
    answers = answer_ids(taught.model, [each.text for each in taught.utterances])
    calls = count_calls(taught.model, monkeypatch)
    read(taught.model, heard, answers, [60] * 3)
    assert len(calls) == 1
    longest = max(map(len, answers))
    wrong = [[*answer[:3], 7, *answer[4:]] for answer in answers]
    calls.clear()
    read(taught.model, heard, wrong, [60] * 3)
    assert 1 < len(calls) < longest / 2 and max(calls[1:]) <= 1 + generation.AHEAD


def test_a_draft_is_read_no_further_than_its_answer_may_go(taught, heard, monkeypatch):
    answers = answer_ids(taught.model, [each.text for each in taught.utterances])
    calls = count_calls(taught.model, monkeypatch)
    read(taught.model, heard, [[answer[0]] for answer in answers], [3, 4, 5])
    shortest = calls[0]
    calls.clear()
    found = read(taught.model, heard, [answer * 100 for answer in answers], [3, 4, 5])
    assert found == [answers[0][:3], answers[1][:4], answers[2][:5]] and calls[0] <= shortest + 4


def test_drafts_may_be_read_in_groups(taught, heard, monkeypatch):
    answers = answer_ids(taught.model, [each.text for each in taught.utterances])
    for rows in (1, 2):
        monkeypatch.setattr(generation, "ROWS", rows)
        for drafts in drafts_of(answers).values():
            assert read(taught.model, heard, drafts, [60] * 3) == answers


def test_each_draw_is_the_same_and_leaves_chance_alone(taught, heard):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn = [write(taught.model, heard, [20] * 3, temperature=3.0) for _ in range(2)]
    assert drawn[0] == drawn[1] != write(taught.model, heard, [20] * 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "conf", "expected"),
    [
        ("qwen3", {**LLAMA, "head_dim": 8, "num_key_value_heads": 2}, True),
        ("llama", LLAMA, True),
        ("mistral", {**LLAMA, "num_key_value_heads": 2, "sliding_window": 16}, False),
        (
            "gpt_neo",
            {"hidden_size": 32, "num_layers": 2, "attention_types": [[["global", "local"], 1]]},
            False,
        ),
        ("rwkv", {"hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 2}, False),
        (
            "qwen3_next",
            {**LLAMA, "num_key_value_heads": 2, "layer_types": ["linear_attention", "full_attention"]},
            False,
        ),
    ],
)
def test_an_llm_that_cannot_pass_over_what_it_read_gets_no_drafts(name, conf, expected):
    llm = build_llm(name, 40, **conf)
    assert isinstance(llm, GenerationMixin) and can_read_drafts(llm) is expected


@pytest.mark.parametrize(
    ("draft", "answer", "rest"),
    [
        ("the xylem grows", "the x", "ylem g"),
        ("the xylem grows", "the k", "ylem g"),  # another one
        ("the xylem", "thee xy", "lem"),  # one more
        ("the xylem", "te", " xylem"),  # one less
        ("the", "the xylem", ""),
        ("a", "b", ""),
        ("xylem", "", "xylem"),
    ],
)
def test_a_draft_goes_on_behind_what_is_most_like_the_answer(draft, answer, rest):
    found = _go_on([ord(letter) for letter in draft], [ord(letter) for letter in answer])
    assert "".join(map(chr, found)) == rest
