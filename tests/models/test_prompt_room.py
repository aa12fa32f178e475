from types import SimpleNamespace

import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.errors import ConfigError
from funasr_sap.models.decoding import DecodingOptions, decode
from funasr_sap.models.prompt_room import TAGS, answer_limits, check_room
from funasr_sap.models.speech import Context, Speech


def make_speech(frames: list[int], audio: list[int]) -> Speech:
    """Speech of so many valid frames and audio embeddings."""
    frame_mask = torch.arange(max(frames)) < torch.tensor(frames)[:, None]
    audio_mask = torch.arange(max(audio)) < torch.tensor(audio)[:, None]
    return Speech(torch.zeros(*frame_mask.shape, 1), frame_mask, None, None, audio_mask)


@pytest.mark.parametrize("audio", [[20, 40], [3, 5]], ids=["all", "an eighth"])
def test_an_answer_may_be_as_long_as_what_is_spoken(audio):
    """Whatever the adaptor keeps, as ``use_low_frame_rate`` does."""
    speech = make_speech([20, 40], audio)
    assert answer_limits(speech, None, frame_ms=60) == [20 + TAGS, 40 + TAGS]
    assert answer_limits(speech, None, frame_ms=20) == [7 + TAGS, 14 + TAGS]
    context = Context(torch.zeros(2, 3, 1), torch.tensor([[True, True, True], [True, False, False]]))
    assert answer_limits(speech, context, frame_ms=60) == [23 + TAGS, 41 + TAGS]


def model_with_room(model, room: int):
    """The parts of a model that are asked, around an LLM that takes so many tokens."""
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=room))
    fields = {"prompts": model.prompts, "context_pooling": model.context_pooling}
    return SimpleNamespace(llm=SimpleNamespace(config=config), **fields)


def test_room_is_counted_exactly(small_model, features):
    speech = small_model.encode(features[0][None], torch.tensor([len(features[0])]))
    biasing_list = BiasingList(["xylem", "mitochondria", "cell wall"], small_model.tokenizer)
    shortlist = small_model.retrieve(speech, [biasing_list], top=3, threshold=float("-inf"))
    context = small_model.embed_context(speech, [biasing_list], shortlist, [[0, 1, 2]], "en")
    batch = small_model.prompt_batch(["transcribe_with_context"], speech, context, language="en")
    needed = batch.input_ids.shape[1]
    check_room(model_with_room(small_model, needed), speech, [biasing_list], "en")
    with pytest.raises(
        ConfigError, match=rf"3 keywords .* prompt of {needed} tokens, .* takes {needed - 1} "
    ):
        check_room(model_with_room(small_model, needed - 1), speech, [biasing_list], "en")


def test_speech_alone_is_not_refused(small_model):
    speech, empty = make_speech([40], [40]), BiasingList([], small_model.tokenizer)
    check_room(model_with_room(small_model, 10), speech, [empty], "en")


def test_a_huge_list_is_refused_before_memory_runs_out(small_model, features):
    """Weighing 40,000 keywords against each other would take 1.6 billion places."""
    words = [f"{first}{second}" for first in "bdfgklmnprstvz" for second in range(3000)]
    biasing_list = BiasingList(words, small_model.tokenizer)
    speech, lengths = features[0][None], torch.tensor([len(features[0])])
    room = small_model.llm.config.max_position_embeddings
    with pytest.raises(ConfigError, match=rf"42,000 keywords .* takes {room:,} \(max_position_embeddings"):
        decode(small_model, speech, lengths, [biasing_list], DecodingOptions(prune="none"))
