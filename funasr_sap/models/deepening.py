"""A deeper audio encoder that hears what the shallower one heard.

A model need not be trained anew to become larger: new blocks that pass on what they get start where the old
ones are, and learn what to add (Chen et al. 2016, "Net2Net", arXiv:1511.05641). For FunASR's SAN-M encoders.
"""

import re

import torch

from funasr_sap.errors import ConfigError

# The first block, "encoders0", changes the width; all the others are alike.
BLOCK = re.compile(r"audio_encoder\.encoders\.(\d+)\.(.+)")
# What a block adds to its input goes through these; without them it adds nothing.
SILENCED = ("self_attn.linear_out.bias", "feed_forward.w_2.weight", "feed_forward.w_2.bias")
VALUES = "self_attn.linear_q_k_v."  # queries, keys and values; the values' part is silenced


def deepen_encoder(state: dict[str, torch.Tensor], num_blocks: int) -> dict[str, torch.Tensor]:
    """Add blocks to the audio encoder of a checkpoint, evenly spread, each a silenced copy of the one before.

    Args:
        state: names and weights of a model.
        num_blocks: blocks that the encoder is to have, with the first.

    Returns:
        The weights of a model whose outputs are those of the old one.

    Raises:
        ConfigError: for another kind of encoder, and for one that has so many blocks already.
    """
    blocks: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        if found := BLOCK.fullmatch(name):
            blocks.setdefault(int(found[1]), {})[found[2]] = value
    if not blocks or VALUES + "weight" not in blocks[0]:
        raise ConfigError("the audio encoder has no SAN-M blocks to add to; expected one such as SANMEncoder")
    number = num_blocks - 1 - len(blocks)
    if number < 1:
        raise ConfigError(f"the audio encoder has {len(blocks) + 1} blocks; expected fewer than {num_blocks}")
    copied = torch.linspace(0, len(blocks) - 1, number).round().long().tolist()
    deeper = []
    for place in range(len(blocks)):
        deeper.append(blocks[place])
        deeper += [_silence(blocks[place])] * copied.count(place)
    new = {name: value for name, value in state.items() if not BLOCK.fullmatch(name)}
    for place, block in enumerate(deeper):
        new |= {f"audio_encoder.encoders.{place}.{name}": value for name, value in block.items()}
    return new


def _silence(block: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy a block such that it passes on what it gets."""
    copy = {name: value.clone() for name, value in block.items()}
    for name in SILENCED:
        copy[name].zero_()
    for name in copy:
        if name.startswith(VALUES):
            copy[name].chunk(3)[2].zero_()
    return copy
