"""A deeper audio encoder that hears what the shallower one heard.

A model need not be trained anew to become larger: new blocks that pass on what they get start where the old
ones are, and learn what to add (Chen et al. 2016, "Net2Net", arXiv:1511.05641). For FunASR's SAN-M encoders.

Symbols:
    E   encoder width
"""

import re

import torch

from funasr_sap.errors import ConfigError

# The first block, "encoders0", changes the width; all the others are alike.
BLOCK = re.compile(r"audio_encoder\.encoders\.(\d+)\.(.+)")
# What a block adds to its input comes through these, and through its values; without them it adds nothing.
ZEROED = ("self_attn.linear_out.bias", "feed_forward.w_2.weight", "feed_forward.w_2.bias")
PROJECTION = "self_attn.linear_q_k_v."  # to queries, keys and values: (3 E, E) and (3 E,)


def deepen_encoder(state: dict[str, torch.Tensor], num_blocks: int) -> dict[str, torch.Tensor]:
    """Add blocks to the audio encoder of a checkpoint, evenly spread: identities made of the one before.

    Args:
        state: names and weights of a model.
        num_blocks: blocks that the encoder is to have, with the first.

    Returns:
        The weights of a model whose outputs are those of the old one.

    Raises:
        ConfigError: for another kind of encoder, and for one that has so many blocks already.
    """
    blocks: dict[int, dict[str, torch.Tensor]] = {}
    rest = {}
    for name, value in state.items():
        if found := BLOCK.fullmatch(name):
            blocks.setdefault(int(found[1]), {})[found[2]] = value
        else:
            rest[name] = value
    if not blocks or PROJECTION + "weight" not in blocks[0]:
        raise ConfigError("the audio encoder has no SAN-M blocks to add to; expected one such as SANMEncoder")
    number = num_blocks - 1 - len(blocks)
    if number < 1:
        raise ConfigError(f"the audio encoder has {len(blocks) + 1} blocks; expected fewer than {num_blocks}")
    copied = torch.linspace(0, len(blocks) - 1, number).round().long().tolist()
    deeper = []
    for place in range(len(blocks)):
        deeper.append(blocks[place])
        deeper += [_identity(blocks[place]) for _ in range(copied.count(place))]
    named = {
        f"audio_encoder.encoders.{place}.{name}": value
        for place, block in enumerate(deeper)
        for name, value in block.items()
    }
    return rest | named


def _identity(block: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy a block such that it passes on what it gets."""
    copy = {name: value.clone() for name, value in block.items()}
    for name, value in copy.items():
        if name in ZEROED:
            value.zero_()
        elif name.startswith(PROJECTION):
            value.chunk(3)[2].zero_()  # the values
    return copy
