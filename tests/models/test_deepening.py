"""A deepened encoder: the same outputs, and blocks that can learn."""

import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.models.deepening import PROJECTION, deepen_encoder


@pytest.fixture
def deepened(make_model, small_model):
    """The small model with four blocks in place of two."""
    model = make_model(audio_encoder_conf={"num_blocks": 4})
    model.load_state_dict(deepen_encoder(small_model.state_dict(), 4))
    return model


def test_the_outputs_stay_and_new_blocks_learn(deepened, small_model, features):
    speech, lengths = features[0][None], torch.tensor([len(features[0])])
    expected = small_model.encode(speech, lengths)
    found = deepened.encode(speech, lengths)
    assert torch.equal(found.frames, expected.frames)
    found.frames.square().sum().backward()
    blocks = deepened.audio_encoder.encoders
    assert len(blocks) == 3
    for block in blocks:
        gradients = {name: parameter.grad for name, parameter in block.named_parameters()}
        assert (
            gradients[PROJECTION + "weight"].chunk(3)[2].any() and gradients["feed_forward.w_2.weight"].any()
        )


def test_new_blocks_are_spread_evenly():
    def block(value):
        names = ("self_attn.linear_q_k_v.weight", "self_attn.linear_q_k_v.bias", "self_attn.linear_out.bias")
        names += ("feed_forward.w_2.weight", "feed_forward.w_2.bias", "norm1.weight")
        return {name: torch.full((6,), float(value)) for name in names}

    blocks = {f"audio_encoder.encoders.{n}.{name}": v for n in range(5) for name, v in block(n + 1).items()}
    found = deepen_encoder(blocks | {"ctc.bias": torch.ones(2)}, 9)
    norms = [found[f"audio_encoder.encoders.{n}.norm1.weight"][0].item() for n in range(8)]
    assert norms == [1, 1, 2, 3, 3, 4, 5, 5] and torch.equal(found["ctc.bias"], torch.ones(2))
    values = [found[f"audio_encoder.encoders.{n}.{PROJECTION}weight"].tolist() for n in range(2)]
    assert values == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]


def test_no_two_blocks_share_a_tensor(small_model):
    """Of two names of one tensor, safetensors would keep one."""
    found = deepen_encoder(small_model.state_dict(), 6)
    blocks = [value.data_ptr() for name, value in found.items() if ".encoders." in name]
    assert len(set(blocks)) == len(blocks)


def test_what_cannot_be_deepened(small_model):
    state = small_model.state_dict()
    with pytest.raises(ConfigError, match="the audio encoder has 2 blocks; expected fewer than 2"):
        deepen_encoder(state, 2)
    other = {name: value for name, value in state.items() if not name.startswith("audio_encoder")}
    with pytest.raises(ConfigError, match="no SAN-M blocks to add to; expected one such as SANMEncoder"):
        deepen_encoder(other, 4)
