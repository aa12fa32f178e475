"""B utterances, T frames, E encoder width, P keywords."""

import copy
import dataclasses

import peft
import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.calibration import Calibration
from funasr_sap.models.losses import letter_loss, span_loss
from funasr_sap.models.span_head import SpanHead


@pytest.fixture
def weighed(small_model, make_batch):
    """``weighed(places)``: speech, lists and evidence of a batch of utterances."""

    def weigh(places, padding=0, **changes):
        batch = make_batch(places) | changes
        speech = torch.nn.functional.pad(batch["speech"], (0, 0, 0, padding))
        with torch.no_grad():
            encoded = small_model.encode(speech, batch["speech_lengths"])
            lists = [BiasingList(words, small_model.tokenizer) for words in batch["biasing_lists"]]
            return encoded, lists, small_model.weigh(encoded, lists), batch

    return weigh


def judge(head, speech, table, spelling, evidence):
    """The evidence with the judgement of another head."""
    return dataclasses.replace(evidence, span=head(listen(head, speech), table, spelling, evidence))


def listen(head, speech):
    """The speech with the letters that another head hears."""
    return dataclasses.replace(speech, letters=head.letters(speech.frames, speech.frame_mask))


def by_word(lists, evidence, row):
    """The head's log odds of an utterance's keywords, by their names."""
    found = zip(evidence.index[row].tolist(), evidence.pieces[row].tolist(), strict=True)
    return {
        lists[row].words[place]: evidence.span[row, column].item()
        for column, (place, pieces) in enumerate(found)
        if pieces
    }


def test_padding_and_batching_change_nothing(weighed):
    places = [7, 0, 2]
    _, lists, evidence, batch = weighed(places, padding=11)
    for row, place in enumerate(places):
        _, own, alone, _ = weighed([place], biasing_lists=batch["biasing_lists"][row : row + 1])
        assert by_word(lists, evidence, row) == pytest.approx(by_word(own, alone, 0), abs=1e-4)


def test_adapters_on_the_convolutions_count(small_model, weighed):
    encoded, _, evidence, _ = weighed([7, 0])
    head = copy.deepcopy(small_model.span_head)
    peft.inject_adapter_in_model(peft.LoraConfig(r=2, target_modules=["layer1"]), head)
    tables = small_model.ctc.ctc_lo.weight, small_model.spelling
    with torch.no_grad():
        untrained = judge(head, encoded, *tables, evidence).span
        torch.testing.assert_close(untrained, judge(small_model.span_head, encoded, *tables, evidence).span)
        head.layer1.lora_B["default"].weight.fill_(0.5)
        assert not torch.allclose(judge(head, encoded, *tables, evidence).span, untrained)


def test_only_the_best_are_judged_and_as_among_all(weighed, small_model):
    encoded, lists, everything, _ = weighed([7, 0])
    reward = small_model.calibration.reward
    evidence = small_model.weigh(encoded, lists, judged=[2, 1])
    for row, number in enumerate((2, 1)):
        judged, among_all = by_word(lists, evidence, row), by_word(lists, everything, row)
        assert len(judged) == number < len(among_all)
        assert judged == pytest.approx({word: among_all[word] for word in judged}, abs=1e-4)
    assert torch.equal(evidence.pieces, everything.best([2, 1], reward).pieces)


def test_the_head_alone_gets_gradients(small_model, weighed):
    encoded, lists, evidence, batch = weighed([7, 0])
    frames = encoded.frames.clone().requires_grad_()
    table = small_model.ctc.ctc_lo.weight.detach().clone().requires_grad_()
    torch.manual_seed(0)
    head = SpanHead(frames.shape[-1], 8)
    encoded = dataclasses.replace(encoded, frames=frames)
    evidence = judge(head, encoded, table, small_model.spelling, evidence)
    assert evidence.span.shape == evidence.index.shape and evidence.span.dtype == torch.float32
    span_loss(small_model, evidence, lists, batch["keywords"]).backward()
    assert frames.grad is None and table.grad is None
    for name, parameter in head.named_parameters():
        assert (parameter.grad is None) == name.startswith("letters.")


def test_letters_teach_the_encoder(small_model, weighed):
    encoded, _, _, batch = weighed([7, 0])
    frames = encoded.frames.clone().requires_grad_()
    head = SpanHead(frames.shape[-1], 8)
    letter_loss(listen(head, dataclasses.replace(encoded, frames=frames)), batch["texts"]).backward()
    assert (frames.grad[encoded.frame_mask].abs().amax(1) > 0).all()
    assert all(parameter.grad.any() for parameter in head.letters.parameters())


def test_it_learns_what_is_spoken(small_model, weighed):
    encoded, lists, evidence, batch = weighed([7, 0, 2])
    torch.manual_seed(0)
    head = SpanHead(encoded.frames.shape[-1], 8)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    for _ in range(60):
        tables = small_model.ctc.ctc_lo.weight, small_model.spelling
        evidence = judge(head, encoded, *tables, evidence)
        loss = span_loss(small_model, evidence, lists, batch["keywords"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for row, keywords in enumerate(batch["keywords"]):
        odds = by_word(lists, evidence, row)
        assert keywords and all((value > 0) is (word in keywords) for word, value in odds.items())


def test_letters_are_learnt_from_the_transcripts(weighed):
    encoded, _, _, batch = weighed([7, 0])
    torch.manual_seed(0)
    head = SpanHead(encoded.frames.shape[-1], 8, 16)
    optimizer, losses = torch.optim.AdamW(head.letters.parameters(), lr=0.02), []
    for _ in range(40):
        loss = letter_loss(listen(head, encoded), batch["ctc_texts"])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    weights = torch.tensor([1.0, 0.0])
    heard = listen(head, encoded)
    both = letter_loss(heard, batch["ctc_texts"])
    first, second = (letter_loss(heard, batch["ctc_texts"], w) for w in (weights, 1 - weights))
    torch.testing.assert_close(both, (first + second) / 2)


def test_what_is_spoken_counts_in_keywords_and_in_texts_whatever_its_capitals(small_model, weighed):
    _, lists, evidence, _ = weighed([7])
    sure = dataclasses.replace(evidence, span=torch.full_like(evidence.span, 20.0))
    listed = lists[0].words
    for spoken, wrong in (([], len(listed)), ([" ".join(listed).upper()], 0), (listed[:2], len(listed) - 2)):
        loss = span_loss(small_model, sure, lists, [spoken])
        assert loss.item() == pytest.approx(20.0 * wrong / len(listed), rel=1e-3, abs=1e-6)
    part = listed[0][:-1]  # a word is spoken as a whole, or not
    assert span_loss(small_model, sure, lists, [[part]]).item() == pytest.approx(20.0, rel=1e-3)


def test_without_lists_the_loss_is_0_and_has_gradients(make_model, make_batch):
    model = make_model(model_conf={"span_weight": 1.0, "llm_weight": 0.0}).train()
    loss, stats, _ = model(**make_batch([7]) | {"biasing_lists": [[]]})
    loss.backward()
    assert loss.item() == 0 and stats["loss_span"] == 0
    assert all(not parameter.grad.any() for parameter in model.span_head.parameters())


def test_the_calibration_weighs_its_odds(small_model, weighed):
    _, _, evidence, _ = weighed([7])
    without, with_span = (evidence.log_odds(Calibration(span=weight)) for weight in (0.0, 0.5))
    torch.testing.assert_close(with_span, without + 0.5 * evidence.span)
    assert evidence.span.abs().max() > 0


def test_half_precision_is_near(small_model, weighed):
    encoded, _, evidence, _ = weighed([7, 0])
    torch.manual_seed(0)
    head = SpanHead(encoded.frames.shape[-1], 8)
    tables = small_model.ctc.ctc_lo.weight, small_model.spelling
    exact = judge(head, encoded, *tables, evidence).span
    for dtype in (torch.bfloat16, torch.float16):
        near = judge(head.to(dtype), encoded, *tables, evidence).span
        assert near.dtype == torch.float32
        torch.testing.assert_close(near, exact, atol=0.1, rtol=0.1)
