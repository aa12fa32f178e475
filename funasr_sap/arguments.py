"""The options of AutoModel and of generate: their types, checked before any work."""

import inspect
import logging
import math
import numbers
import os
import re
from collections.abc import Mapping

import numpy as np
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.funasr_keys import AUTO_MODEL_KEYS, check_log_level
from funasr_sap.hub import HUBS
from funasr_sap.models.builder import check_keys

logger = logging.getLogger(__name__)
DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu)(?::(\d+))?")
SWITCHES = (
    *("fp16", "bf16", "disable_log", "disable_pbar", "disable_update", "debug", "check_latest", "is_final"),
    *("trust_remote_code", "ignore_init_mismatch", "merge_vad", "use_itn", "return_spk_res", "itn", "repair"),
    *("return_spk_center", "return_raw_text", "sentence_timestamp", "output_timestamp", "return_time_stamps"),
    *("en_post_proc", "reduce_channels", "rescore", "use_llm", "speculate"),
)
# Whole numbers, with what they count and the least.
WHOLE = {
    "batch_size": ("a whole number", 1),
    "top": ("a whole number of keywords", 1),
    "ncpu": ("a whole number of threads", 1),
    "ngpu": ("a whole number", 0),
    "seed": ("a whole number", 0),
    "preset_spk_num": ("a whole number of speakers", 1),
}
# Numbers, with their unit and the least.
NUMBERS = {
    "batch_size_s": ("seconds", 0),
    "batch_size_threshold_s": ("seconds", 0),
    "merge_length_s": ("seconds", 1),
    "max_seconds": ("seconds", 1),
}
PATHS = ("output_dir", "index_dir", "init_param")
MAPPINGS = ("model_conf", "tokenizer_conf", "frontend_conf", "cache")
MAPPINGS += ("vad_kwargs", "punc_kwargs", "spk_kwargs", "cb_kwargs")
NEVER_NONE = ("device", "log_level", "hub", "batch_size", "ncpu")
CORRECTION = (
    *("postprocess_hotwords", "postprocess_hotword_file", "postprocess_hotword_threshold"),
    "return_postprocess_hotword_matches",
)
STREAMING = ("chunk_size", "encoder_chunk_look_back", "decoder_chunk_look_back")
# What FunASR's SileroVad reads from its keywords, with its defaults.
SILERO = {
    "silero_onnx": False,
    "silero_sampling_rate": 16000,
    "silero_threshold": 0.5,
    "silero_min_speech_duration_ms": 250,
    "silero_min_silence_duration_ms": 100,
    "silero_speech_pad_ms": 30,
    "max_single_segment_time": 60000,
}


def check_options(given: Mapping) -> dict:
    """Check the options whose types are known here, and make Python's own types of numpy's.

    Args:
        given: options of ``AutoModel`` or ``generate``; unknown ones are left as they are.

    Raises:
        ConfigError: naming the option, what was got and what is expected.
    """
    options = dict(given)
    for name, value in given.items():
        if value is None and name not in NEVER_NONE:
            continue
        if isinstance(value, np.generic):
            value = value.item()
        for names, check in CHECKS:
            if name in names:
                value = check(name, value)
        options[name] = value
    return options


def check_call(options: Mapping) -> None:
    """Raise on what FunASR takes, and SAP² does not do.

    Raises:
        ConfigError: for FunASR's correction of texts by hotwords, and for what asks for a stream.
    """
    asked = [name for name in CORRECTION if options.get(name)]
    if asked:
        raise ConfigError(
            f"{asked[0]}: FunASR's correction runs words together in text with spaces; pass the words as "
            "hotwords=, which SAP² listens for"
        )
    streaming = [name for name in STREAMING if options.get(name) is not None]
    streaming += ["cache"] if options.get("cache") else []
    streaming += ["is_final=False"] if options.get("is_final") is False else []
    if streaming:
        raise ConfigError(
            f"{streaming[0]}: SAP² recognises whole utterances, not a stream in chunks; leave it out and "
            "pass the whole audio (vad_model=silero-vad for a long one)"
        )


def check_vad_options(model: torch.nn.Module, given: Mapping) -> None:
    """Raise on options that the VAD model would ignore, or fail over in the middle of a call.

    Args:
        model: FunASR's SileroVad or FsmnVADStreaming; of others the options are not known.
        given: ``vad_kwargs`` as the caller wrote them.

    Raises:
        ConfigError: naming the option, and the known one closest to it.
    """
    kind = type(model).__name__
    if kind == "SileroVad":
        known = SILERO
    elif kind == "FsmnVADStreaming":
        from funasr.models.fsmn_vad_streaming.model import VADXOptions

        parameters = [*inspect.signature(VADXOptions).parameters.values()]
        parameters += inspect.signature(type(model)).parameters.values()
        known = {each.name: each.default for each in parameters if each.kind != each.VAR_KEYWORD}
        known |= {"chunk_size": 60000, "dynamic_silence": True, "silence_schedule": None}
    else:
        return
    check_keys("vad_kwargs", given, known, AUTO_MODEL_KEYS)
    for name, value in given.items():
        default = known.get(name)
        if isinstance(default, bool):
            _switch(f"vad_kwargs.{name}", value)
        elif isinstance(default, numbers.Real) and value is not None:
            _number(f"vad_kwargs.{name}", value, least=None if default < 0 else 0)
    if kind == "SileroVad" and given.get("silero_sampling_rate", 16000) not in (8000, 16000):
        got = given["silero_sampling_rate"]
        raise ConfigError(f"vad_kwargs.silero_sampling_rate: expected 8000 or 16000 Hz, got {got}")
    if given.get("max_single_segment_time", 1) == 0:
        raise ConfigError("vad_kwargs.max_single_segment_time: expected milliseconds above 0, got 0")


def warn_of_device(wanted: str | None, got: str) -> None:
    """Say so where FunASR has taken the CPU for a device that is not there."""
    if wanted is not None and wanted.partition(":")[0] != str(got).partition(":")[0]:
        logger.warning("device: there is no %s here; the model runs on the %s", wanted, got)


def shown(value) -> str:
    """Write a value for a message; a text is said to be one, as "4" for 4 is seen late."""
    return f"{value!r:.80} (a string)" if isinstance(value, str) else f"{value!r:.80}"


def _switch(name: str, value) -> bool:
    if not isinstance(value, bool) and not (isinstance(value, int) and value in (0, 1)):
        raise ConfigError(f"{name}: expected true or false, got {shown(value)}")
    return bool(value)


def _whole(name: str, value) -> int:
    what, least = WHOLE[name]
    is_whole = isinstance(value, numbers.Integral) or (isinstance(value, float) and value.is_integer())
    if not is_whole or isinstance(value, bool) or value < least:
        bound = "above 0" if least == 1 else f"of at least {least}"
        raise ConfigError(f"{name}: expected {what} {bound}, got {shown(value)}")
    return int(value)


def _number(name: str, value, least: float | None = None, unit: str = ""):
    is_number = (
        isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(float(value)) < math.inf
    )
    if not is_number or (least is not None and value < least):
        what = f"a number of {unit}" if unit else "a number"
        bound = "" if least is None else f" of at least {least}"
        raise ConfigError(f"{name}: expected {what}{bound}, got {shown(value)}")
    return value


def _seconds(name: str, value):
    unit, least = NUMBERS[name]
    return _number(name, value, least, unit)


def _confidence(name: str, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
        raise ConfigError(f"{name}: expected a confidence from 0 to 1, got {shown(value)}")
    return float(value)


def _path(name: str, value) -> str:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ConfigError(f"{name}: expected a path, got {value!r:.80}")
    return os.fspath(value)


def _mapping(name: str, value):
    if not isinstance(value, Mapping) and not (name == "tokenizer_conf" and isinstance(value, list | tuple)):
        raise ConfigError(f"{name}: expected a mapping of keys, got {shown(value)}")
    return value


def _hub(name: str, value):
    if value not in HUBS:
        raise ConfigError(f"{name}: expected ms (ModelScope) or hf (Hugging Face), got {shown(value)}")
    return value


def _device(name: str, value) -> str:
    found = DEVICE.fullmatch(str(value))
    if not isinstance(value, str | torch.device) or not found:
        raise ConfigError(f"{name}: expected cpu, cuda, cuda:0, mps, xpu or npu, got {value!r:.80}")
    kind, index = found.groups()
    count = torch.cuda.device_count() if kind == "cuda" else 0
    if count and int(index or 0) >= count:
        raise ConfigError(f"{name}: got {value}, but there are {count} GPU(s) here, the first of them cuda:0")
    return str(value)


def _callback(name: str, value):
    if not callable(value):
        raise ConfigError(f"{name}: expected a function of two numbers, got {shown(value)}")
    return value


CHECKS = (
    (SWITCHES, _switch),
    (WHOLE, _whole),
    (NUMBERS, _seconds),
    (PATHS, _path),
    (MAPPINGS, _mapping),
    (("threshold",), _confidence),
    (("hub",), _hub),
    (("log_level",), check_log_level),
    (("device",), _device),
    (("progress_callback",), _callback),
)
