"""Audio adaptor: from encoder frames to embeddings that the LLM reads.

Symbols:
    B   utterances   T   encoder frames   Ta  audio embeddings   E  encoder width   D  LLM width
    V   vocabulary, shared by the CTC head and the LLM
"""

import torch
from funasr.models.transformer.encoder import TransformerEncoder
from funasr.register import tables
from torch import nn
from transformers import FunAsrNanoAdaptorConfig, FunAsrNanoConfig
from transformers.models.fun_asr_nano.modeling_fun_asr_nano import FunAsrNanoMultiModalProjector

from funasr_sap.models.adapting import mask_of


@tables.register("adaptor_classes", "CTCAdaptor")
class CTCAdaptor(nn.Module):
    """Keep the frames that the CTC head does not call blank, and tell the LLM what it heard there.

    Each kept frame is the sum of a projection of the encoder's output and of the LLM's own token
    embeddings weighted by the CTC posteriors, so that a small LLM need not learn to read speech from
    nothing.

    Args:
        encoder_dim: E.
        llm_dim: D.
        hidden_dim: width of the projection's hidden layer.
        blank_threshold: a frame is dropped when its blank posterior is above this.
        dropout_rate: dropout of the projection, in training.
    """

    reads_ctc = True

    def __init__(
        self,
        encoder_dim: int,
        llm_dim: int,
        hidden_dim: int = 256,
        blank_threshold: float = 0.9,
        dropout_rate: float = 0.0,
    ):
        super().__init__()
        self.blank_threshold = blank_threshold
        self.projection = nn.Sequential(
            nn.LayerNorm(encoder_dim),
            nn.Linear(encoder_dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout_rate),
            nn.Linear(hidden_dim, llm_dim),
        )

    def forward(
        self,
        encoder_out: torch.Tensor,
        frame_mask: torch.Tensor,
        ctc_log_probs: torch.Tensor,
        token_embeddings: torch.Tensor,
        blank: int = 0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adapt encoder frames.

        Args:
            encoder_out: (B, T, E).
            frame_mask: (B, T) bool.
            ctc_log_probs: (B, T, V).
            token_embeddings: (V, D), the LLM's input embeddings.
            blank: the CTC blank's id.

        Returns:
            audio: (B, Ta, D), Ta the most frames kept by an utterance, 0 for a silent batch.
            mask: (B, Ta) bool.
        """
        posterior = ctc_log_probs.exp()
        keep = frame_mask & (posterior[..., blank] < self.blank_threshold)
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(keep.sum(1).max())]
        mask = keep.gather(1, order)
        heard = posterior.gather(1, order[..., None].expand(-1, -1, posterior.shape[-1])).clone()
        heard[..., blank] = 0
        heard = heard / heard.sum(-1, keepdim=True).clamp(min=1e-6)
        frames = encoder_out.gather(1, order[..., None].expand(-1, -1, encoder_out.shape[-1]))
        heard = heard.to(token_embeddings.dtype) @ token_embeddings  # parts may differ in precision
        return self.projection(frames) + heard.to(frames.dtype), mask


@tables.register("adaptor_classes", "LinearProjection")
class LinearProjection(nn.Module):
    """One linear layer, as Qwen2-Audio has it.

    Args:
        encoder_dim: E.
        llm_dim: D.
    """

    def __init__(self, encoder_dim: int, llm_dim: int):
        super().__init__()
        self.linear = nn.Linear(encoder_dim, llm_dim)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Project (B, T, E) to (B, T, D); the lengths stay."""
        return self.linear(frames), lengths


@tables.register("adaptor_classes", "FunAsrNanoProjector")
class FunAsrNanoProjector(nn.Module):
    """The adaptor of Fun-ASR-Nano as transformers has it; FunASR's own is ``Transformer``.

    Args:
        encoder_dim: E.
        llm_dim: D.
        **conf: fields of ``FunAsrNanoAdaptorConfig``.
    """

    def __init__(self, encoder_dim: int, llm_dim: int, **conf):
        super().__init__()
        defaults = {"hidden_size": llm_dim, "intermediate_size": llm_dim // 4}
        config = FunAsrNanoConfig(
            audio_config={"model_type": "fun_asr_nano_encoder", "hidden_size": encoder_dim},
            adaptor_config=defaults | conf,
            text_config={"model_type": "qwen3", "hidden_size": llm_dim},
        )
        config._attn_implementation = "sdpa"
        self.projector = FunAsrNanoMultiModalProjector(config)

    @staticmethod
    def known_keys() -> list[str]:
        """List the fields that ``conf`` may have."""
        return list(FunAsrNanoAdaptorConfig().to_dict())

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Adapt (B, T, E) to (B, T, D); the lengths stay."""
        return self.projector(frames, mask_of(lengths, frames.shape[1])), lengths


@tables.register("adaptor_classes", "OSUMAdaptor")
class OSUMAdaptor(nn.Module):
    """OSUM's adaptor (arXiv:2501.13306): convolutions to a quarter of the frame rate, then a Transformer.

    Args:
        encoder_dim: E.
        llm_dim: D.
        attention_heads: of the Transformer.
        linear_units: width of its feed-forward layers.
        num_blocks: its layers.
        speech_tokens: rows of its table of speech tokens, whose last two mark begin and end of the speech.
        dropout_rate: of its layers, in training.
    """

    KERNEL = 3  # frames
    NORM_EPS = 1e-5

    def __init__(
        self,
        encoder_dim: int,
        llm_dim: int,
        attention_heads: int = 4,
        linear_units: int = 2560,
        num_blocks: int = 4,
        speech_tokens: int = 4099,
        dropout_rate: float = 0.1,
    ):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(encoder_dim, encoder_dim, self.KERNEL, stride) for stride in (1, 2, 2)
        )
        self.transformer = TransformerEncoder(
            input_size=encoder_dim,
            output_size=encoder_dim,
            attention_heads=attention_heads,
            linear_units=linear_units,
            num_blocks=num_blocks,
            dropout_rate=dropout_rate,
            positional_dropout_rate=dropout_rate,
            input_layer="linear",
        )
        # What WeNet's Transformer, which OSUM is made of, does otherwise than FunASR's.
        self.transformer.get_submodule("embed").add_module("3", nn.Identity())
        for module in self.transformer.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = self.NORM_EPS
        self.projection = nn.Linear(encoder_dim, llm_dim)
        self.speech_tokens = nn.Embedding(speech_tokens, llm_dim)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Adapt (B, T, E) to (B, ceil(T / 4) + 2, D), the marks of begin and end included."""
        x = frames.transpose(1, 2)
        for convolution in self.convolutions:  # causal: padded on the left only
            x = nn.functional.gelu(convolution(nn.functional.pad(x, (self.KERNEL - 1, 0))))
        lengths = (lengths + 3) // 4
        x, _, _ = self.transformer(x.transpose(1, 2), lengths)
        begin, end = self.speech_tokens.weight[-2:]
        x = nn.functional.pad(self.projection(x), (0, 0, 1, 1))
        place = torch.arange(x.shape[1], device=x.device)[None, :, None]
        x = torch.where(place == 0, begin, x)
        return torch.where(place == lengths[:, None, None] + 1, end, x), lengths + 2
