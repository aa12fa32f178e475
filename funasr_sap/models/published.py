"""Published weights: where a directory keeps them, and what its names are called here.

A format is a table of prefixes. The left one is what the publisher calls a part; the right one is its place
in ``SAP2``, or None for what SAP² does not use. The longest prefix that fits a name counts.
"""

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from funasr_sap.errors import ConfigError

OWN_PARTS = ("audio_encoder", "audio_adaptor", "ctc", "llm", "evidence", "span_head", "new_tokens")
OWN = {f"{part}.": f"{part}." for part in OWN_PARTS}
PREFIXES = {
    "sap2": OWN,
    "FunASRNano": {
        "audio_encoder.": "audio_encoder.",
        "audio_adaptor.": "audio_adaptor.",
        "llm.": "llm.",
        "ctc_decoder.": None,  # another vocabulary than the LLM's
        "ctc.": None,
    },
    "fun_asr_nano": {
        "model.audio_tower.": "audio_encoder.model.",
        "model.multi_modal_projector.": "audio_adaptor.projector.",
        "model.language_model.": "llm.model.",
        "lm_head.": "llm.lm_head.",
    },
    "qwen2_audio": {
        "model.audio_tower.": "audio_encoder.model.",  # transformers 5 in memory
        "model.multi_modal_projector.": "audio_adaptor.",
        "model.language_model.": "llm.model.",
        "audio_tower.": "audio_encoder.model.",  # as published
        "multi_modal_projector.": "audio_adaptor.",
        "language_model.": "llm.",
        "lm_head.": "llm.lm_head.",
    },
    "whisper": {
        "model.encoder.": "audio_encoder.model.",
        "model.decoder.": None,
        "proj_out.": None,
    },
    "causal_lm": {"model.": "llm.model.", "lm_head.": "llm.lm_head."},
    "osum": {
        "encoder.embed.conv.0.": "audio_encoder.model.conv1.",
        "encoder.embed.conv.2.": "audio_encoder.model.conv2.",
        "encoder.embed.pos_enc.pe": "audio_encoder.model.embed_positions.weight",
        "encoder.encoders.": "audio_encoder.model.layers.",
        "encoder.after_norm.": "audio_encoder.model.layer_norm.",
        "down_sample_2.conv.1.": "audio_adaptor.convolutions.0.",
        "down_sample_2.conv.4.": "audio_adaptor.convolutions.1.",
        "down_sample_2.conv.7.": "audio_adaptor.convolutions.2.",
        "speech_transformer.embed.out.": "audio_adaptor.transformer.embed.",
        "speech_transformer.embed.pos_enc.": None,
        "speech_transformer.": "audio_adaptor.transformer.",
        "speech_llama_proj.": "audio_adaptor.projection.",
        "speech_token_emded.": "audio_adaptor.speech_tokens.",
        "llama_model.": "llm.",
        "ln_speech.": None,  # built and saved, never called
        "speaker_head.": None,  # speaks; SAP² only listens
        "embed_tokens.": None,  # the LLM's own, under a second name
        "lm_head.": None,
    },
}
# WeNet's names of a Whisper layer, after the prefix: of OSUM's encoder.
INFIXES = {
    "osum": {
        ".self_attn.linear_q.": ".self_attn.q_proj.",
        ".self_attn.linear_k.": ".self_attn.k_proj.",
        ".self_attn.linear_v.": ".self_attn.v_proj.",
        ".self_attn.linear_out.": ".self_attn.out_proj.",
        ".norm1.": ".self_attn_layer_norm.",
        ".norm2.": ".final_layer_norm.",
        ".feed_forward.w_1.": ".fc1.",
        ".feed_forward.w_2.": ".fc2.",
    }
}
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which a .pt may hold its weights
INDEX = "model.safetensors.index.json"
ADAPTERS = "adapter_model.safetensors"


@dataclasses.dataclass(frozen=True)
class Published:
    """Weights on disk.

    Attributes:
        path: the directory, or the file.
        format: a key of ``PREFIXES``.
        files: the files of weights, in order.
    """

    path: Path
    format: str
    files: tuple[Path, ...]

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Read one tensor after another, under the publisher's names; never all of them at once."""
        for file in self.files:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as stream:
                    for name in stream.keys():  # noqa: SIM118  (it is no mapping)
                        yield name, stream.get_tensor(name)
            else:
                yield from read_checkpoint(file).items()

    def rename(self, name: str) -> str | None:
        """Tell where a published name belongs in ``SAP2``; None for what is not used.

        Raises:
            KeyError: for a name that the format does not have.
        """
        plain = re.sub(r"(^|\.)base_model\.model\.", r"\1", name).replace(".base_layer.", ".")
        plain = re.sub(r"\.(lora_[AB])\.(?!default\.)", r".\1.default.", plain)
        table = PREFIXES[self.format]
        prefix = max(filter(plain.startswith, table), key=len, default=None)
        if prefix is None:
            raise KeyError(name)
        if table[prefix] is None:
            return None
        rest = plain.removeprefix(prefix)
        if table[prefix].startswith("audio_encoder."):
            for theirs, ours in INFIXES.get(self.format, {}).items():
                rest = rest.replace(theirs, ours)
        return table[prefix] + rest


def read_checkpoint(file: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read a ``.pt`` without its wrapping, whose tensors stay on disk until they are used; or safetensors.

    Raises:
        ConfigError: for a file that holds no weights.
    """
    if Path(file).suffix == ".safetensors":
        return load_file(file)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # an old file without a zip archive cannot be mapped
        state = torch.load(file, map_location="cpu", weights_only=True)
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ConfigError(f"{file}: expected a file of weights by name, as torch.save writes a state_dict")
    return {name.removeprefix("module."): value for name, value in state.items()}


def find_published(path: str | os.PathLike, hub: str = "ms") -> Published:
    """Find published weights by path or by name.

    Args:
        path: a directory, a file, or the name of a model at the hub.
        hub: "ms" (ModelScope) or "hf" (Hugging Face).

    Raises:
        ConfigError: for what is neither; for a directory without weights, or of an unknown kind.
    """
    place = Path(path)
    if not place.exists():
        place = download(str(path), hub)
    if place.is_file():
        return Published(place, "osum" if place.suffix == ".pt" else "sap2", (place,))
    if (place / ADAPTERS).is_file():
        return Published(place, "qwen2_audio", (place / ADAPTERS,))
    if (place / "config.json").is_file():
        return _hugging_face(place)
    if (place / "config.yaml").is_file() and (place / "model.pt").is_file():
        model = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8")).get("model")
        kind = "FunASRNano" if model == "FunASRNano" else "sap2" if model == "SAP2" else None
        if kind is None:
            raise ConfigError(f"{place}: config.yaml names the model {model!r}; expected FunASRNano or SAP2")
        return Published(place, kind, (place / "model.pt",))
    raise ConfigError(
        f"{place}: no published weights; expected config.json with *.safetensors, config.yaml with model.pt, "
        f"or {ADAPTERS}"
    )


def is_published(folder: str | os.PathLike) -> bool:
    """Tell whether a directory is one of Hugging Face or of adapters, and none of FunASR's."""
    found = {name for name in ("config.yaml", "config.json", ADAPTERS) if Path(folder, name).is_file()}
    return bool(found) and "config.yaml" not in found


def _hugging_face(place: Path) -> Published:
    model_type = read_config(place).get("model_type")
    if (place / INDEX).is_file():
        index = json.loads((place / INDEX).read_text(encoding="utf-8"))
        files = tuple(place / name for name in sorted(set(index["weight_map"].values())))
    else:
        files = tuple(sorted(place.glob("*.safetensors"))) or tuple(sorted(place.glob("pytorch_model*.bin")))
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise ConfigError(f"{place}: no weights: {', '.join(missing) or 'expected *.safetensors'}")
    return Published(place, model_type if model_type in PREFIXES else "causal_lm", files)


def read_config(place: Path) -> dict:
    """Read the ``config.json`` of a Hugging Face directory."""
    return json.loads((Path(place) / "config.json").read_text(encoding="utf-8"))


def download(name: str, hub: str) -> Path:
    """Fetch a model from a hub, or find it in the hub's cache.

    Raises:
        ConfigError: for an unknown hub, a name that is none, and a model that cannot be had.
    """
    if hub not in ("ms", "hf"):
        raise ConfigError(f"hub: expected ms (ModelScope) or hf (Hugging Face), got {hub!r}")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ConfigError(f"backbone: no such directory or file: {name}")
    if hub == "hf":
        from huggingface_hub import snapshot_download
    else:
        from modelscope import snapshot_download
    try:
        return Path(snapshot_download(name))
    except Exception as error:  # each hub has errors of its own for a name, a network, a permission
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"backbone: {name} cannot be had from hub={hub}: {reason}") from error
