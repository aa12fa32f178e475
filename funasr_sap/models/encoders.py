"""Audio encoders of transformers behind FunASR's interface: features and lengths in, frames and lengths out.

Symbols:
    B   utterances of a batch   F   feature frames (10 ms, or 60 ms where they are stacked)
    T   encoder frames          E   encoder width
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from funasr.register import tables
from torch import nn
from transformers import AutoConfig, AutoModel, WhisperConfig
from transformers.models.whisper import modeling_whisper

from funasr_sap.errors import ConfigError
from funasr_sap.models.adapting import mask_of
from funasr_sap.models.whisper_mel import DYNAMIC_RANGE, FLOOR, LOOKAHEAD

if TYPE_CHECKING:
    from transformers.models.qwen2_audio import modeling_qwen2_audio

    # Of both, the layers have the same names.
    WhisperLike = modeling_whisper.WhisperEncoder | modeling_qwen2_audio.Qwen2AudioEncoder


def transformers_fields(model_type: str) -> list[str]:
    """List the fields of an architecture's configuration."""
    return list(AutoConfig.for_model(model_type).to_dict())


def subsampling(encoder: nn.Module) -> int:
    """Tell how many feature frames make an encoder frame; FunASR's convolutional encoders say it, too."""
    embed = getattr(encoder, "embed", None)
    return getattr(encoder, "subsampling", getattr(embed, "subsampling_rate", 1))


@tables.register("encoder_classes", "WhisperEncoder")
class WhisperEncoder(nn.Module):
    """The encoder of Whisper, a frame each 20 ms, and of the models that grew out of it.

    It takes the features of ``WhisperMel``. Whisper itself hears 30 s, silence included, and the frames of
    the speech are handed on. Its descendants mask the silence (``mask_padding``) or never see it
    (``pad`` false).

    Args:
        input_size: mel bands, unless ``num_mel_bins`` says it.
        pad: extend the features to 30 s, as Whisper was trained.
        mask_padding: let frames attend to the speech only.
        **conf: fields of the architecture's configuration in transformers.
    """

    model: WhisperLike
    model_type = "whisper"
    pool = 1  # frames averaged into one

    @property
    def subsampling(self) -> int:
        """Feature frames an encoder frame."""
        return 2 * self.pool  # the second convolution halves the frame rate

    def __init__(self, input_size: int | None = None, pad: bool = True, mask_padding: bool = False, **conf):
        super().__init__()
        if input_size:
            conf = {"num_mel_bins": input_size, **conf}
        self.model = self.build(conf)
        self.pad, self.mask_padding = pad, mask_padding

    @classmethod
    def known_keys(cls) -> list[str]:
        """List the fields that ``conf`` may have."""
        return transformers_fields(cls.model_type)

    @staticmethod
    def build(conf: dict) -> WhisperLike:
        """Build the model of transformers: of Whisper the encoder alone."""
        return modeling_whisper.WhisperEncoder(WhisperConfig(**conf))

    def output_size(self) -> int:
        """Tell E."""
        return self.model.config.d_model

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode.

        Args:
            speech: (B, F, mel bands) of ``WhisperMel``.
            lengths: (B,) feature frames, the frontend's look-ahead included.

        Returns:
            frames: (B, T, E).
            lengths: (B,) frames of the speech.
        """
        speech, lengths = self._extend(speech, lengths)
        frames, lengths = self._convolve(speech, lengths)
        mask = self._attention_mask(frames, lengths) if self.mask_padding else None
        for layer in self.model.layers:
            frames = layer(frames, mask)
        if self.pool > 1:
            frames = nn.functional.avg_pool1d(frames.transpose(1, 2), self.pool).transpose(1, 2)
            lengths = ((lengths - self.pool) // self.pool + 1).clamp(min=0)
        return self.model.layer_norm(frames)[:, : int(lengths.max())], lengths

    def _extend(self, speech: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put after the speech of each utterance what the log-mel features of silence are, or zeros."""
        size = 2 * self.model.config.max_source_positions
        real = mask_of(lengths if self.pad else lengths - LOOKAHEAD, speech.shape[1])[..., None]
        silence = 0.0
        if self.pad:
            loudest = speech.masked_fill(~real, FLOOR).amax((1, 2), keepdim=True)
            silence = (loudest - DYNAMIC_RANGE).clamp(min=FLOOR)
            missing = max(0, size - speech.shape[1])
            speech, real = (nn.functional.pad(each, (0, 0, 0, missing)) for each in (speech, real))
        lengths = (lengths - LOOKAHEAD).clamp(1, size)
        return torch.where(real, speech, silence)[:, : size if self.pad else int(lengths.max())], lengths

    def _convolve(self, speech: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Halve the frame rate, and add positions."""
        model = self.model
        frames = nn.functional.gelu(model.conv1(speech.transpose(1, 2).to(model.conv1.weight.dtype)))
        if not self.pad:  # what a shorter utterance has after its end must not differ from the end itself
            frames = frames * mask_of(lengths, frames.shape[2])[:, None]
        frames = nn.functional.gelu(model.conv2(frames)).transpose(1, 2)
        frames = frames + model.embed_positions.weight[: frames.shape[1]]
        return nn.functional.dropout(frames, p=model.dropout, training=self.training), (lengths - 1) // 2 + 1

    @staticmethod
    def _attention_mask(frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Write the mask of padding as what is added to attention: (B, 1, T, T)."""
        real = mask_of(lengths, frames.shape[1])[:, None, None, :]
        added = torch.zeros(real.shape, dtype=frames.dtype, device=frames.device)
        return added.masked_fill(~real, torch.finfo(frames.dtype).min).expand(-1, 1, frames.shape[1], -1)


@tables.register("encoder_classes", "Qwen2AudioEncoder")
class Qwen2AudioEncoder(WhisperEncoder):
    """The encoder of Qwen2-Audio: Whisper's with the silence masked, a frame each 40 ms."""

    model_type = "qwen2_audio_encoder"
    pool = 2

    def __init__(self, input_size: int | None = None, pad: bool = True, mask_padding: bool = True, **conf):
        super().__init__(input_size, pad, mask_padding, **conf)

    @staticmethod
    def build(conf: dict) -> WhisperLike:
        """Build the model of transformers."""
        return AutoModel.from_config(AutoConfig.for_model("qwen2_audio_encoder", **conf))


@tables.register("encoder_classes", "FunAsrNanoEncoder")
class FunAsrNanoEncoder(nn.Module):
    """The encoder of Fun-ASR-Nano as transformers has it: SenseVoice's SAN-M, on stacked features of 60 ms.

    Args:
        input_size: width of the features; transformers derives it from ``num_mel_bins``.
        **conf: fields of ``FunAsrNanoEncoderConfig``.
    """

    def __init__(self, input_size: int | None = None, **conf):
        super().__init__()
        config = AutoConfig.for_model("fun_asr_nano_encoder", **conf)
        if input_size not in (None, config.input_size):
            raise ConfigError(
                f"audio_encoder_conf: num_mel_bins x num_stacked_frames is {config.input_size}, "
                f"the frontend's features have a width of {input_size}"
            )
        self.model = AutoModel.from_config(config)

    @classmethod
    def known_keys(cls) -> list[str]:
        """List the fields that ``conf`` may have."""
        return transformers_fields("fun_asr_nano_encoder")

    def output_size(self) -> int:
        """Tell E."""
        return self.model.config.hidden_size

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode (B, F, width) features: (B, F, E) frames and their lengths."""
        mask = mask_of(lengths, speech.shape[1])
        frames = self.model(input_features=speech, input_features_mask=mask).last_hidden_state
        return frames, lengths
