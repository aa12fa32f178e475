"""Inference behind FunASR's AutoModel: from requests to results, an error never taking others with it."""

import dataclasses
import functools
import inspect
import logging
import time
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.audio import load_audio
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.list_cache import prepare_list
from funasr_sap.decoding.decoder import decode
from funasr_sap.decoding.options import DecodingOptions
from funasr_sap.decoding.result import Result
from funasr_sap.errors import DataError
from funasr_sap.hotwords import assign_hotwords, read_hotwords
from funasr_sap.models.encoders import subsampling
from funasr_sap.models.guards import choose_guards
from funasr_sap.request import Request
from funasr_sap.text.hotwords import split_dollars

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2

logger = logging.getLogger(__name__)
# What users may choose of decoding; the rest of ``DecodingOptions`` follows from the model.
OPTIONS = tuple(
    field.name
    for field in dataclasses.fields(DecodingOptions)
    if field.name not in ("name_language", "frame_ms")
)


def recognise(
    model: "SAP2",
    data_in: list,
    /,  # FunASR hands a "model" of its own over, the name, in kwargs
    key: list[str] | None = None,
    frontend=None,
    hotwords=None,
    hotword=None,
    biasing_list=None,
    fs: int | None = None,
    index_dir: str | None = None,
    bf16: bool = False,
    fp16: bool = False,
    said: set | None = None,
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
        said: warnings that a call of several batches has given already; new ones are added.
        **kwargs: ``OPTIONS``, see ``decoding_options``; what else FunASR hands to every model is not read.

    Returns:
        results: for each input, in order, what ``Result.to_funasr`` gives; one that cannot be read has an
            empty text and an "error", a sentence.
        meta: seconds of speech and of work, for FunASR's progress bar.
    """
    if kwargs.get("itn") and not model.prompts.asks_for_itn:
        _warn_of_itn()
    requests = _as_requests(data_in, key, (hotwords, hotword, biasing_list), fs)
    options = decoding_options(model, frontend, **{name: kwargs.get(name) for name in OPTIONS})
    started = time.perf_counter()
    waveforms, features, errors = _load(requests, frontend)
    loaded = time.perf_counter()
    seconds = {requests[place].key: len(each) / frontend.fs for place, each in waveforms.items()}
    _warn_of_length(
        model.max_seconds, seconds, bool(kwargs.get("vad_model")), set() if said is None else said
    )
    results = [Result(request.key, error=errors.get(place)) for place, request in enumerate(requests)]
    if waveforms:
        speech, lengths = _pad(features, next(model.parameters()).device)
        lists = _biasing_lists([requests[place] for place in waveforms], model.tokenizer, index_dir)
        half = torch.float16 if fp16 else torch.bfloat16
        with torch.autocast(speech.device.type, half, enabled=bool(bf16 or fp16)):
            decoded = decode(model, speech, lengths, lists, options)
        for place, result in zip(waveforms, decoded, strict=True):
            heard = result.clip(1000 * len(waveforms[place]) // frontend.fs / 1000)
            results[place] = dataclasses.replace(heard, key=requests[place].key)
    meta = {"batch_data_time": max(sum(seconds.values()), 1e-3), "load_data": f"{loaded - started:.3f}"}
    return [result.to_funasr() for result in results], meta


# What users may give with their speech.
CALL_KEYS = {*inspect.signature(recognise).parameters, *OPTIONS}
CALL_KEYS -= {"model", "data_in", "frontend", "said", "kwargs"}


def decoding_options(model: "SAP2", frontend, *, language=None, guards=None, **options) -> DecodingOptions:
    """Complete the user's options by the model's own.

    Args:
        model: the model.
        frontend: FunASR's frontend.
        language: "en", "zh", or None / "auto" for the model's own; where the prompt can name it (style
            fun_asr_nano), it then does, and more languages are known, by code or by FunASR's name.
        guards: False for none, or some of the model's own in other settings; see ``Guards``.
        **options: other ``OPTIONS``, see ``DecodingOptions``; None stands for the default.
    """
    is_named = language not in (None, "auto")
    return DecodingOptions(
        language=model.prompts.language_code(language) if is_named else model.language,
        name_language=is_named or None,
        guards=choose_guards(model.guards, guards),
        frame_ms=frontend.frame_shift * frontend.lfr_n * subsampling(model.audio_encoder),
        **{name: value for name, value in options.items() if value is not None},
    )


@functools.cache
def _warn_of_itn() -> None:
    logger.warning("itn=True: this model writes the words that it was trained on; no digits, no punctuation")


def _warn_of_length(limit: float | None, seconds: dict[str, float], is_cut: bool, said: set) -> None:
    """Say once a call that audio is longer than what the model was trained on: it loops and leaves out."""
    key, longest = max(seconds.items(), key=lambda item: item[1], default=(None, 0))
    if limit is None or longest <= limit or "length" in said:
        return
    said.add("length")
    way = "cut it by AutoModel(..., vad_model='silero-vad')"
    if is_cut:
        way = (
            f"cut it shorter, by vad_kwargs={{'max_single_segment_time': {limit * 1000:g}}} or merge_length_s"
        )
    logger.warning("%s: %.0f s of audio, and this model knows at most %g s; %s", key, longest, limit, way)


def _as_requests(data_in, key, given, fs) -> list[Request]:
    if all(isinstance(each, Request) for each in data_in):
        return list(data_in)
    if isinstance(data_in[0], tuple):  # FunASR's data_type=("sound", "text"): pairs
        data_in, texts = zip(*data_in, strict=True)
        given = ([split_dollars(text) for text in texts],)
    keys = list(key or (f"audio_{place}" for place in range(len(data_in))))
    lists = assign_hotwords(keys, read_hotwords(*given))
    return [Request(*fields, fs) for fields in zip(keys, data_in, lists, strict=True)]


def _load(requests, frontend) -> tuple[dict[int, torch.Tensor], list[torch.Tensor], dict[int, str]]:
    """Load what can be loaded: waveforms by place in the batch, their features, and errors by place."""
    waveforms, features, errors = {}, [], {}
    for place, request in enumerate(requests):
        try:
            waveform = load_audio(request.audio, frontend.fs, request.sample_rate)
            features.append(frontend(waveform[None], [len(waveform)])[0][0])
            waveforms[place] = waveform
        except DataError as error:
            errors[place] = " ".join(f"{request.key}: {error}".split())  # a Kaldi file has it in a line
            logger.error("%s", errors[place])
    return waveforms, features, errors


def _pad(features, device):
    lengths = torch.tensor([len(each) for each in features])
    return pad_sequence(features, batch_first=True).to(device), lengths.to(device)


def _biasing_lists(requests, tokenizer, index_dir) -> list[BiasingList]:
    """Tokenise each biasing list once, however many utterances share it."""
    built = {id(request.hotwords): request.hotwords for request in requests}
    built = {place: prepare_list(words, tokenizer, index_dir) for place, words in built.items()}
    return [built[id(request.hotwords)] for request in requests]
