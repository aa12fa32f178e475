import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import found_keywords, offered_keywords
from funasr_sap.decoding.decoder import decode
from funasr_sap.decoding.options import DecodingOptions
from funasr_sap.errors import ConfigError
from funasr_sap.models import causal_lm
from funasr_sap.models.causal_lm import PIECES_PER_SECOND, TAGS, Context, answer_limits
from funasr_sap.models.language_model import Prompt
from funasr_sap.models.losses import llm_loss

PLAIN = Prompt("transcribe", "en")


@pytest.fixture
def heard(taught, make_batch):
    batch = make_batch(taught.places)
    with torch.no_grad():
        return taught.model.encode(batch["speech"], batch["speech_lengths"])


@pytest.fixture
def memory(taught, heard):
    with torch.no_grad():
        return taught.model.language_model.attend(heard)


def test_a_score_is_the_log_likelihood_of_the_answer(taught, heard, memory):
    """The training loss is its mean over the tokens, turned round."""
    for row, utterance in enumerate(taught.utterances):
        text = utterance.text
        (score,) = taught.model.language_model.score(memory, [row], [text], PLAIN)
        with torch.no_grad():
            one, tasks = heard.select([row]), {"transcribe": 1.0}
            loss, _, tokens = llm_loss(taught.model, one, [text], [[]], [[]], tasks)
        assert score == pytest.approx(-float(loss) * int(tokens), rel=1e-4, abs=1e-4)


def test_what_was_taught_is_likelier_than_what_was_not(taught, memory):
    texts = [each.text for each in taught.utterances]
    for row, text in enumerate(texts):
        scores = taught.model.language_model.score(memory, [row] * len(texts), texts, PLAIN)
        assert max(zip(scores, texts, strict=True))[1] == text and max(scores) < 0


def test_scores_do_not_depend_on_the_batch(taught, memory, monkeypatch):
    rows = [2, 0, 1, 0, 2, 2]
    texts = ["", "xylem", *(each.text for each in taught.utterances), "one two three four five six seven"]
    score = taught.model.language_model.score
    together = score(memory, rows, texts, PLAIN)
    monkeypatch.setattr(causal_lm, "ROWS", 1)
    assert score(memory, rows, texts, PLAIN) == pytest.approx(together, rel=1e-3, abs=1e-3)


def test_one_utterance_may_be_taken_twice(heard):
    taken = heard.select([1, 1, 0])
    assert torch.equal(taken.frames[0], taken.frames[1]) and torch.equal(taken.frames[2], heard.frames[0])


def test_an_answer_may_be_as_long_as_what_is_spoken():
    assert answer_limits([1.0, 2.51], None) == [PIECES_PER_SECOND + TAGS, 51 + TAGS]
    context = Context(torch.zeros(2, 3, 1), torch.tensor([[True, True, True], [True, False, False]]))
    assert answer_limits([1.0, 2.0], context) == [23 + TAGS, 41 + TAGS]


def test_chinese_in_byte_pieces_has_room(tokenizer):
    """Six characters a second, of three bytes each."""
    text = "我们今天学习植物的光合作用和细胞"
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert len(ids) > 2 * len(text)
    assert answer_limits([len(text) / 6], None)[0] > len(ids)


def test_an_answer_that_is_cut_off_says_so(small_model, make_batch):
    """It never ends its answers."""
    batch = make_batch([0])
    llm = small_model.language_model
    with torch.no_grad():
        memory = llm.attend(small_model.encode(batch["speech"], batch["speech_lengths"]))
    assert [each.cut for each in llm.generate(memory, [PLAIN], [0.1])] == [True]


def with_room(monkeypatch, model, room: int):
    monkeypatch.setattr(model.llm.config, "max_position_embeddings", room)
    return model.language_model


def test_room_is_counted_exactly(small_model, features, monkeypatch):
    encoded = small_model.encode(features[0][None], torch.tensor([len(features[0])]))
    lists = [BiasingList(["xylem", "mitochondria", "cell wall"], small_model.tokenizer)]
    llm = small_model.language_model
    memory = llm.attend(encoded)
    (found,) = found_keywords(small_model.retrieve(encoded, lists, top=3, threshold=0.0), lists)
    prompt = Prompt("transcribe_with_context", "en", tuple(found))
    context = llm.embed_context(memory, [prompt])
    needed = llm.prompt_batch(memory, [prompt], context).input_ids.shape[1]
    with_room(monkeypatch, small_model, needed).check_room(memory, [prompt])
    with pytest.raises(
        ConfigError, match=rf"3 keywords .* prompt of {needed} tokens, .* takes {needed - 1} "
    ):
        with_room(monkeypatch, small_model, needed - 1).check_room(memory, [prompt])


def test_speech_alone_is_not_refused(small_model, features, monkeypatch):
    encoded = small_model.encode(features[0][None], torch.tensor([len(features[0])]))
    memory = small_model.language_model.attend(encoded)
    prompt = Prompt("transcribe", "en", offered_keywords(BiasingList([], small_model.tokenizer)))
    with_room(monkeypatch, small_model, 10).check_room(memory, [prompt])


def test_a_huge_list_is_refused_before_memory_runs_out(small_model, features):
    """Weighing 40,000 keywords against each other would take 1.6 billion places."""
    words = [f"{first}{second}" for first in "bdfgklmnprstvz" for second in range(3000)]
    biasing_list = BiasingList(words, small_model.tokenizer)
    speech, lengths = features[0][None], torch.tensor([len(features[0])])
    room = small_model.llm.config.max_position_embeddings
    with pytest.raises(ConfigError, match=rf"42,000 keywords .* takes {room:,} \(max_position_embeddings"):
        decode(small_model, speech, lengths, [biasing_list], DecodingOptions(prune="none"))
