"""From configuration to parts: their classes, their weights, and what of them trains."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import torch
from accelerate import init_empty_weights
from funasr.models.ctc.ctc import CTC
from funasr.register import tables
from torch import nn

from funasr_sap.context.retrieval import Shortlist
from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import build, lookup
from funasr_sap.models.evidence import EvidenceEmbedding
from funasr_sap.models.llm import build_llm
from funasr_sap.models.loading import assign, fill_missing, load_published, state_of
from funasr_sap.models.parts import PartOptions, prepare, split_options
from funasr_sap.models.pooling import SpeechDrivenPooling
from funasr_sap.models.published import Published, find_published
from funasr_sap.models.span_head import SpanHead

if TYPE_CHECKING:
    from funasr_sap.models.llm import LLM
    from funasr_sap.models.sap2 import SAP2

# In the order in which they are built: random weights depend on it.
PARTS = ("audio_encoder", "ctc", "llm", "audio_adaptor", "context_pooling", "span_head")
HEADS = {"ctc": "CTC head", "span_head": "span head"}  # parts that a model can do without
BACKBONE_PARTS = ("audio_encoder", "audio_adaptor", "llm")


class Blueprint:
    """What the parts are built from.

    Args:
        names: by part, the name of its class; None leaves the part out.
        sections: by part, its section of the configuration.
        input_size: width of the frontend's features.
        vocab_size: rows of the LLM's embedding, unless ``llm_conf`` says it.

    Attributes:
        options: by part, what of it trains and how; see ``PartOptions``.
        encoder_dim: E, once the encoder is built.
        llm_dim: D, once the LLM is built.
    """

    encoder_dim: int
    llm_dim: int

    def __init__(self, names: dict, sections: dict, input_size: int | None, vocab_size: int):
        self.names, self.input_size = names, input_size
        self.options: dict[str, PartOptions] = {}
        self.confs = {}
        for part in PARTS:
            self.options[part], self.confs[part] = split_options(f"{part}_conf", sections.get(f"{part}_conf"))
        self.low_frame_rate = bool(self.confs["audio_adaptor"].pop("use_low_frame_rate", False))
        self.vocab_size = self.confs["llm"].pop("vocab_size", vocab_size)

    def build(self, part: str) -> nn.Module | None:
        """Build a part with random weights; encoder and LLM before those that need their widths."""
        return getattr(self, f"_build_{part}")(self.confs[part])

    def _build_audio_encoder(self, conf: dict[str, Any]) -> nn.Module:
        component = lookup("audio_encoder", tables.encoder_classes, self.names["audio_encoder"])
        encoder = build("audio_encoder_conf", component, conf, input_size=self.input_size)
        self.encoder_dim = encoder.output_size()
        return encoder

    def _has(self, part: str, name: str) -> bool:
        """Tell whether a part that only one class can be is wanted."""
        if self.names[part] not in (None, name):
            raise ConfigError(f"{part}: expected {name}, or null for none, got {self.names[part]!r}")
        return self.names[part] is not None

    def _build_ctc(self, conf: dict[str, Any]) -> CTC | None:
        if not self._has("ctc", "CTC"):
            return None
        return build("ctc_conf", CTC, conf, odim=self.vocab_size, encoder_output_size=self.encoder_dim)

    def _build_llm(self, conf: dict[str, Any]) -> LLM:
        llm = build_llm(self.names["llm"], self.vocab_size, **conf)
        self.llm_dim = llm.config.hidden_size
        return llm

    def _build_audio_adaptor(self, conf: dict[str, Any]) -> nn.Module:
        adaptors = vars(tables)["adaptor_classes"]  # FunASR makes this table as it registers the first
        component = lookup("audio_adaptor", adaptors, self.names["audio_adaptor"])
        if self.names["ctc"] is None and getattr(component, "reads_ctc", False):
            raise ConfigError(f"audio_adaptor: {self.names['audio_adaptor']} reads the CTC head; ctc is null")
        dims = {"encoder_dim": self.encoder_dim, "llm_dim": self.llm_dim}
        for name, dim in dims.items():
            if conf.get(name, dim) != dim:
                raise ConfigError(f"audio_adaptor_conf.{name}: got {conf[name]}, but this model has {dim}")
        return build("audio_adaptor_conf", component, conf, **dims)

    def _build_context_pooling(self, conf: dict[str, Any]) -> SpeechDrivenPooling:
        if conf.get("dim", self.llm_dim) != self.llm_dim:
            raise ConfigError(
                f"context_pooling_conf.dim (compressor_hidden_size): got {conf['dim']}, expected the LLM's "
                f"width, {self.llm_dim}"
            )
        return build("context_pooling_conf", SpeechDrivenPooling, conf, dim=self.llm_dim)

    def _build_span_head(self, conf: dict[str, Any]) -> SpanHead | None:
        if not self._has("span_head", "SpanHead"):
            return None
        if self.names["ctc"] is None:
            raise ConfigError("span_head: SpanHead reads the CTC head's alignments; ctc is null")
        return build("span_head_conf", SpanHead, conf, encoder_dim=self.encoder_dim)


def build_specaug(name: str | None, conf: dict | None) -> nn.Module | None:
    """Build SpecAugment, for training only; None without a name."""
    if name is None:
        return None
    return build("specaug_conf", lookup("specaug", tables.specaug_classes, name), conf)


@dataclasses.dataclass(frozen=True)
class Source:
    """Published weights for some parts.

    Attributes:
        published: where they are.
        parts: whom they are for.
    """

    published: Published
    parts: tuple[str, ...]


def find_sources(blueprint: Blueprint, backbone: str | None, hub: str) -> list[Source]:
    """Find the weights that a model starts from; those of a part's own section come before the backbone's."""
    sources = [
        Source(find_published(options.init_param_path, hub), (part,))
        for part, options in blueprint.options.items()
        if options.init_param_path
    ]
    others = tuple(part for part in BACKBONE_PARTS if not blueprint.options[part].init_param_path)
    if backbone and others:
        sources.append(Source(find_published(backbone, hub), others))
    return sources


def assemble(
    model: SAP2, blueprint: Blueprint, sources: list[Source], ignore_init_mismatch: bool
) -> frozenset[str]:
    """Build the parts into a model, load their published weights, add adapters and freeze.

    Parts with published weights take no memory before these are read, one tensor after another.

    Args:
        model: gets each part under its name.
        blueprint: what to build.
        sources: published weights.
        ignore_init_mismatch: names that do not fit are printed, and are no error.

    Returns:
        The names of the parameters that were loaded.

    Raises:
        ConfigError: for unknown keys and names, and weights that do not fit.
    """
    covered = {part for source in sources for part in source.parts}
    for part in PARTS:
        empty = init_empty_weights(include_buffers=False) if part in covered else contextlib.nullcontext()
        with empty:
            model.add_module(part, blueprint.build(part))
    model.evidence = EvidenceEmbedding(Shortlist.NUM_FEATURES, blueprint.llm_dim)
    loaded, adapters = set(), {}
    for source in sources:
        names, tensors = _load(model, blueprint, source, ignore_init_mismatch)
        loaded |= names
        adapters |= tensors
    for part in PARTS:
        if getattr(model, part) is not None:
            prepare(f"{part}_conf", getattr(model, part), blueprint.options[part])
    if blueprint.options["context_pooling"].freeze:
        model.evidence.requires_grad_(False)
    loaded |= load_adapters(model, adapters, ignore_init_mismatch)
    return frozenset(loaded)


def _load(
    model: SAP2, blueprint: Blueprint, source: Source, ignore: bool
) -> tuple[set[str], dict[str, torch.Tensor]]:
    dtypes = {part: blueprint.options[part].dtype for part in source.parts}
    report, loaded, adapters = load_published(model, source.published, source.parts, dtypes)
    report.settle(f"backbone {source.published.path}", ignore)
    empty = [name for name, value in state_of(model).items() if value.is_meta]
    empty = [name for name in empty if name.partition(".")[0] in source.parts]
    fill_missing(model, empty, blueprint.build)
    return loaded, adapters


def load_adapters(model: nn.Module, adapters: dict, ignore: bool) -> set[str]:
    """Load published adapters into those that the configuration has asked for."""
    expected = state_of(model)
    unknown = [
        name for name in adapters if name not in expected or expected[name].shape != adapters[name].shape
    ]
    if unknown and not ignore:
        raise ConfigError(
            f"backbone: {len(unknown)} adapter weights have no place here: {', '.join(unknown[:20])}; "
            "give the part a lora_conf with the same r and target_modules"
        )
    if unknown:
        logging.warning("backbone: %d adapter weights are left out", len(unknown))
    for name in adapters.keys() - set(unknown):
        assign(model, name, adapters[name].to(expected[name].dtype))
    return adapters.keys() - set(unknown)
