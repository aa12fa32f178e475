"""What FunASR's AutoModel calls: a batch of anything to the dictionaries that it knows."""

import inspect
import time
from typing import TYPE_CHECKING

import torch

from funasr_sap.audio.frontend import Frontend
from funasr_sap.errors import ConfigError
from funasr_sap.hotwords import assign_hotwords, read_hotwords
from funasr_sap.recogniser import OPTIONS, Recogniser, Settings
from funasr_sap.request import Request
from funasr_sap.text.hotwords import split_dollars

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2


def recognise(
    model: "SAP2",
    data_in: list,
    /,  # FunASR hands a "model" of its own over, the name, in kwargs
    key: list[str] | None = None,
    frontend: Frontend | None = None,
    hotwords=None,
    hotword=None,
    biasing_list=None,
    fs: int | None = None,
    index_dir: str | None = None,
    bf16: bool = False,
    fp16: bool = False,
    **kwargs,
) -> tuple[list[dict], dict]:
    """Recognise a batch.

    Args:
        model: the model.
        data_in: ``Request`` objects, or what ``load_audio`` takes.
        key: utterance ids of what is not a ``Request``.
        frontend: FunASR's frontend.
        hotwords: see ``read_hotwords``; for what is not a ``Request``.
        hotword: the same under the name that older models have.
        biasing_list: lists by utterance id.
        fs: Hz of bare samples.
        index_dir: folder that keeps the indexes of long biasing lists; None for memory only.
        bf16: let the LLM multiply matrices in bf16; all else, its logits included, stays as it is.
        fp16: the same in fp16.
        **kwargs: ``OPTIONS``, see ``Recogniser.options``; what else FunASR hands to every model is not read.

    Returns:
        results: for each input, in order, what ``Result.to_funasr`` gives; one that cannot be read has an
            empty text and an "error", a sentence.
        meta: seconds of speech and of work, for FunASR's progress bar.
    """
    started = time.perf_counter()
    if frontend is None:
        raise ConfigError("frontend: expected FunASR's frontend of the model, got none")
    recogniser = Recogniser(model, frontend)
    requests = _as_requests(data_in, key, (hotwords, hotword, biasing_list), fs)
    options = recogniser.options(**{name: kwargs.get(name) for name in OPTIONS})
    settings = Settings(index_dir=index_dir, precision=precision(bf16, fp16))
    results = recogniser.recognise_batch(requests, options, settings)
    seconds = sum(result.seconds or 0.0 for result in results)
    meta = {"batch_data_time": max(seconds, 1e-3), "load_data": f"{time.perf_counter() - started:.3f}"}
    return [result.to_funasr() for result in results], meta


# What users may give with their speech.
CALL_KEYS = {*inspect.signature(recognise).parameters, *OPTIONS} - {"model", "data_in", "frontend", "kwargs"}


def precision(bf16: bool, fp16: bool) -> torch.dtype | None:
    """Tell in which precision the LLM multiplies, by FunASR's switches; None for that of its weights."""
    return torch.float16 if fp16 else torch.bfloat16 if bf16 else None


def _as_requests(data_in, key, given, fs) -> list[Request]:
    if all(isinstance(each, Request) for each in data_in):
        return list(data_in)
    if isinstance(data_in[0], tuple):  # FunASR's data_type=("sound", "text"): pairs
        data_in, texts = zip(*data_in, strict=True)
        given = ([split_dollars(text) for text in texts],)
    keys = list(key or (f"audio_{place}" for place in range(len(data_in))))
    lists = assign_hotwords(keys, read_hotwords(*given))
    return [Request(*fields, fs) for fields in zip(keys, data_in, lists, strict=True)]
