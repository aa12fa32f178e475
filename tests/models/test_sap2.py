import copy
import random
import unicodedata

import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import found_keywords
from funasr_sap.context.prompt_table import TASKS
from funasr_sap.context.prompts import IGNORE
from funasr_sap.models.language_model import Prompt

PARTS = {"audio_encoder", "ctc", "audio_adaptor", "llm", "evidence", "span_head"}
PLACES = [7, 0, 2]  # short, middle, long
ONLY = {task: 0.0 for task in TASKS}


@pytest.fixture
def spy(monkeypatch):
    """``spy(model)``: a list that gets the arguments of every answer that the model is to learn."""

    def watch(model):
        answers, write = [], model.prompts.answer_ids

        def remember(task, language, text, keywords):
            answers.append((task, text, list(keywords)))
            return write(task, language, text, keywords)

        monkeypatch.setattr(model.prompts, "answer_ids", remember)
        return answers

    return watch


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ({"ctc_weight": 0.3, "llm_weight": 1.0}, {"loss", "loss_ctc", "loss_llm", "acc"}),
        ({"ctc_weight": 1.0, "llm_weight": 0.0}, {"loss", "loss_ctc"}),
        ({"ctc_weight": 0.0, "llm_weight": 0.5}, {"loss", "loss_llm", "acc"}),
        ({"ctc_weight": 0.0, "llm_weight": 0.0, "span_weight": 0.5}, {"loss", "loss_span"}),
        ({"ctc_weight": 1.0, "llm_weight": 0.0, "letter_weight": 0.5}, {"loss", "loss_ctc", "loss_letters"}),
        (
            {"ctc_weight": 0.3, "llm_weight": 1.0, "span_weight": 0.5, "letter_weight": 0.2},
            {"loss", "loss_ctc", "loss_llm", "loss_span", "loss_letters", "acc"},
        ),
    ],
)
def test_forward_returns_what_funasrs_trainer_takes(weights, names, make_model, make_batch):
    loss, stats, weight = make_model(model_conf=weights)(**make_batch(PLACES))
    assert loss.shape == () and loss.requires_grad
    assert int(weight) > 3 * len(PLACES) if "acc" in names else int(weight) == len(PLACES)
    assert set(stats) == names
    assert all(value.shape == () and not value.requires_grad and value.isfinite() for value in stats.values())
    keys = {"ctc": "ctc_weight", "llm": "llm_weight", "span": "span_weight", "letters": "letter_weight"}
    parts = {name: weights.get(key, 0) * stats.get(f"loss_{name}", 0) for name, key in keys.items()}
    torch.testing.assert_close(loss.detach(), sum(parts.values()))
    assert "acc" not in stats or 0 <= stats["acc"] <= 1


def test_the_loss_falls(make_model, make_batch):
    model = make_model(for_training=True, model_conf={"ctc_weight": 1.0}).train()
    batch, losses = make_batch(PLACES), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    random.seed(0)
    for _ in range(20):
        loss, stats, _ = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append((float(stats["loss_ctc"]), float(stats["loss_llm"])))
    (first_ctc, first_llm), (last_ctc, last_llm) = losses[0], losses[-1]
    assert last_ctc < 0.6 * first_ctc and last_llm < 0.8 * first_llm


@pytest.mark.parametrize(
    "frozen",
    [
        set(),
        {"audio_encoder", "ctc"},
        {"llm"},
        {"audio_adaptor"},
        {"span_head"},
        {"audio_encoder", "audio_adaptor", "llm"},
        {"audio_encoder", "ctc", "audio_adaptor", "llm"},
    ],
    ids=lambda frozen: "+".join(sorted(frozen)) or "none",
)
def test_freeze_flags_say_what_one_step_changes(frozen, make_model, make_batch):
    confs = {f"{part}_conf": {"freeze": True} for part in frozen}
    confs |= {
        "task_weights": ONLY | {"transcribe_with_context": 1.0},
        "model_conf": {"span_weight": 1.0, "letter_weight": 1.0},
    }
    model = make_model(**confs).train()
    assert set(model.frozen) == frozen
    before = copy.deepcopy(model.state_dict())
    # As FunASR does: every parameter is given to the optimizer.
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    model(**make_batch(PLACES))[0].backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == PARTS - frozen
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in trained} == PARTS - frozen
    assert len(changed) > 0.9 * len(trained)  # a bias whose gradient is exactly 0 stays


def test_frozen_parts_stay_in_evaluation_mode(make_model):
    model = make_model(audio_encoder_conf={"freeze": True}, llm_conf={"freeze": True})
    for mode in (True, False, True):
        model.train(mode)
        assert model.training is mode and model.audio_adaptor.training is mode
        for part in (model.audio_encoder, model.llm):
            assert not any(module.training for module in part.modules())


def test_a_frozen_encoder_sees_no_masked_features(make_model, make_batch):
    batch = make_batch(PLACES)
    speech = batch["speech"].clone()
    for frozen in (True, False):
        model = make_model(audio_encoder_conf={"freeze": frozen, "dropout_rate": 0.0}).train()
        plain = copy.deepcopy(model).eval().encode(speech, batch["speech_lengths"]).frames
        same = torch.equal(model.encode(speech, batch["speech_lengths"]).frames, plain)
        assert same is frozen
        assert torch.equal(speech, batch["speech"])  # neither the encoder nor SpecAugment works in place


@pytest.mark.parametrize("task", ["transcribe", "transcribe_with_context", "joint"])
def test_padding_and_batching_do_not_change_the_loss(task, make_model, make_batch):
    model = make_model(
        model_conf={"ctc_weight": 1.0, "span_weight": 1.0, "letter_weight": 1.0},
        task_weights=ONLY | {task: 1.0},
        retrieval_conf={"top": 1, "threshold": 0.0},
    )
    batch = make_batch(PLACES)
    _, stats, _ = model(**batch)
    batch["speech"] = torch.nn.functional.pad(batch["speech"], (0, 0, 0, 13))
    _, padded, _ = model(**batch)
    torch.testing.assert_close(padded, stats, rtol=1e-4, atol=1e-5)

    # The lists of the batch: which keyword is kept must not depend on what else is offered.
    singles = [
        model(**make_batch([place]) | {"biasing_lists": [offered]})[1]
        for place, offered in zip(PLACES, batch["biasing_lists"], strict=True)
    ]
    lists = [BiasingList(words, model.tokenizer) for words in batch["biasing_lists"]]
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    found = model.retrieve(encoded, lists)
    tokens = []
    for row, text in enumerate(batch["texts"]):
        word = lists[row].words[found.index[row, 0]]
        kept = [word] if word in batch["keywords"][row] else []
        tokens.append(len(model.prompts.answer_ids(task, "en", text, kept)))
    for name in ("loss_llm", "loss_ctc", "loss_span"):
        mean = sum(n * each[name] for n, each in zip(tokens, singles, strict=True)) / sum(tokens)
        torch.testing.assert_close(mean, stats[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weights", [{"ctc_weight": 0.3}, {"ctc_weight": 1.0, "llm_weight": 0.0}])
def test_weighted_batches_give_what_all_their_utterances_give(weights, make_model, make_batch):
    model = make_model(model_conf=weights, task_weights=ONLY | {"joint": 1.0, "prune": 1.0})
    batch = make_batch(PLACES) | {"seeds": list(range(len(PLACES)))}
    loss, stats, weight = model(**batch)
    parts = [model(**take(batch, rows)) for rows in ([0], list(range(1, len(PLACES))))]
    assert sum(int(each) for _, _, each in parts) == int(weight)
    torch.testing.assert_close(sum(part * n for part, _, n in parts) / weight, loss, rtol=1e-4, atol=1e-4)
    for name in stats:
        mean = sum(part[name] * n for _, part, n in parts) / weight
        torch.testing.assert_close(mean, stats[name], rtol=1e-4, atol=1e-4)


def take(batch, rows):
    """Some utterances of a batch."""
    return {
        name: value[rows] if torch.is_tensor(value) else [value[row] for row in rows]
        for name, value in batch.items()
    }


def test_gradients_are_finite_with_left_padding(make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 0.3}, context_pooling_conf={"window": 2}).train()
    batch = make_batch([7, 10])
    batch["biasing_lists"][0] = []
    loss, _, _ = model(**batch)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_autocast_to_bf16(make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 0.3}, task_weights=ONLY | {"joint": 1.0})
    exact, _, _ = model(**make_batch(PLACES))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _, _ = model(**make_batch(PLACES))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    torch.testing.assert_close(loss, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("change", ["no lists", "no text", "silence"])
def test_batches_without_something(change, make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 1.0}).train()
    batch = make_batch(PLACES)
    if change == "no lists":
        batch |= {"biasing_lists": [[]] * 3, "keywords": [[]] * 3}
    elif change == "no text":
        batch |= {"texts": [""] * 3, "ctc_texts": [""] * 3}
    else:
        torch.nn.init.zeros_(model.ctc.ctc_lo.weight)
        model.ctc.ctc_lo.bias.data = 40.0 * torch.nn.functional.one_hot(torch.tensor(0), 400).float()
    loss, _, _ = model(**batch)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_text_with_more_pieces_than_frames_does_not_spoil_the_batch(make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 1.0})
    batch = make_batch(PLACES)
    batch["ctc_texts"][0] = "hippopotamus " * 200
    assert model(**batch)[0].isfinite()


def test_the_task_mix_covers_all_tasks(make_model, make_batch, spy):
    model = make_model(task_weights=dict.fromkeys(TASKS, 1.0)).train()
    answers, batch = spy(model), make_batch(PLACES)
    random.seed(0)
    with torch.no_grad():
        for _ in range(10):
            model(**batch)
    drawn = [task for task, _, _ in answers]
    assert set(drawn) == set(TASKS) and max(map(drawn.count, TASKS)) < 20
    answers.clear()
    batch |= {"biasing_lists": [[], batch["biasing_lists"][1], []]}
    with torch.no_grad():
        for _ in range(8):
            model(**batch)
    assert {task for task, _, _ in answers[0::3] + answers[2::3]} == {"transcribe"}
    assert len({task for task, _, _ in answers[1::3]}) > 1


def test_the_answers_name_the_offered_words_that_are_spoken(make_model, make_batch, spy):
    model = make_model(task_weights=ONLY | {"prune": 1.0}, retrieval_conf={"top": 9, "threshold": 0.0})
    answers, batch = spy(model), make_batch(PLACES)
    batch["biasing_lists"] = [["café", "b", "c d", "e"]] * 3
    # Kaldi files may hold accents as characters of their own, and any white space.
    batch["keywords"] = [[unicodedata.normalize("NFD", "café"), "c  d", "not offered"], ["b"], []]
    model(**batch)
    assert [sorted(keywords) for _, _, keywords in answers] == [["c d", "café"], ["b"], []]
    assert [text for _, text, _ in answers] == batch["texts"]


def test_keywords_stand_in_another_order_each_time(make_model, make_batch, spy):
    model = make_model(task_weights=ONLY | {"prune": 1.0}, retrieval_conf={"top": 9}).train()
    answers, batch = spy(model), make_batch([0])
    batch["keywords"] = batch["biasing_lists"] = [["a", "b", "c", "d", "e"]]
    with torch.no_grad():
        for _ in range(6):
            model(**batch)
    assert len({tuple(keywords) for _, _, keywords in answers}) > 1


def test_the_loss_of_validation_can_be_compared(make_model, make_batch):
    model, batch = make_model(task_weights=dict.fromkeys(TASKS, 1.0)), make_batch(PLACES)
    state = random.getstate()
    first, second = model(**batch)[0], model(**batch)[0]
    assert torch.equal(first, second) and random.getstate() == state


def encoded_context(model, batch):
    lists = [BiasingList(words, model.tokenizer) for words in batch["biasing_lists"]]
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    found = found_keywords(model.retrieve(encoded, lists, top=2, threshold=0.0), lists)
    keywords = [tuple(found[0]), (found[1][1],), ()]
    tasks = ["prune", "joint", "transcribe"]
    prompts = [Prompt(task, "en", words) for task, words in zip(tasks, keywords, strict=True)]
    return model.language_model.attend(encoded), prompts


def test_context_embeddings_carry_the_evidence(make_model, make_batch):
    model, batch = make_model(), make_batch(PLACES)
    memory, prompts = encoded_context(model, batch)
    context = model.language_model.embed_context(memory, prompts)
    table = model.llm.get_input_embeddings()
    for row, prompt in enumerate(prompts):
        ids, owner = model.prompts.context_ids([keyword.pieces for keyword in prompt.keywords], "en")
        assert context.mask[row].sum() == len(ids)
        added = context.embeddings[row][context.mask[row]] - table(torch.tensor(ids, dtype=torch.long))
        for place, who in enumerate(owner):
            expected = torch.zeros(32)
            if who >= 0:
                expected = model.evidence(prompt.keywords[who].features)
            torch.testing.assert_close(added[place], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [1, 3])
def test_a_prompt_holds_audio_and_context_in_their_places(window, make_model, make_batch):
    model, batch = make_model(context_pooling_conf={"window": window}), make_batch(PLACES)
    memory, prompts = encoded_context(model, batch)
    llm = model.language_model
    context = llm.embed_context(memory, prompts)
    prompt = llm.prompt_batch(memory, prompts, context)
    embeddings = llm.embed_prompt(prompt, memory, context)
    table = model.llm.get_input_embeddings()
    for row in range(3):
        audio, pooled = prompt.audio_mask[row], prompt.context_mask[row]
        assert torch.equal(embeddings[row][audio], memory.audio[row][memory.mask[row]])
        assert torch.equal(embeddings[row][pooled], context.embeddings[row][context.mask[row]])
        words = prompt.mask[row] & ~audio & ~pooled
        assert torch.equal(embeddings[row][words], table(prompt.input_ids[row][words]))
    assert (prompt.labels == IGNORE).all()
