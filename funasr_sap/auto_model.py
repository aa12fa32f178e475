"""AutoModel: FunASR's own, with contextual inputs for SAP²; other models pass through unchanged."""

import contextlib
import copy
import dataclasses
import functools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import funasr
import torch
from funasr.utils.vad_utils import merge_vad
from tqdm import tqdm

from funasr_sap.arguments import check_call, check_options, check_vad_options, warn_of_device
from funasr_sap.audio import load_audio
from funasr_sap.data.processes import count_cpus
from funasr_sap.decoding.options import DecodingOptions
from funasr_sap.decoding.result import Result
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.funasr_keys import AUTO_MODEL_KEYS, GENERATE_KEYS
from funasr_sap.hotwords import NAMES, read_hotwords
from funasr_sap.inference import CALL_KEYS, precision
from funasr_sap.inputs import is_single, read_requests
from funasr_sap.model_names import find_model
from funasr_sap.models.builder import check_keys
from funasr_sap.models.checkpoint import load_safetensors
from funasr_sap.models.sap2 import SAP2
from funasr_sap.recogniser import BATCH_SIZE, OPTIONS, Recogniser, Settings
from funasr_sap.registration import EMBEDDED
from funasr_sap.request import Request
from funasr_sap.results import RESULTS_FOLDER, write_results

MERGE_SECONDS = 15  # of stretches that merge_vad puts together at most, as in FunASR
HALF_PRECISION = {"fp16": torch.float16, "bf16": torch.bfloat16}
HELPERS = ("vad_model", "punc_model", "spk_model")
# FunASR's models, Silero's VAD before all, keep the state of a call in themselves: one thread at a time, and
# again in a thread that calls from its progress_callback. It is of the module, so that a model is pickled.
ONE_AT_A_TIME = threading.RLock()


class AutoModel(funasr.AutoModel):
    """FunASR's AutoModel that knows ``model="sap2"``, loads it without a network, and takes biasing lists.

    Args:
        model: "sap2", a model directory, or anything that FunASR takes.
        **kwargs: as FunASR's; options of ``generate`` given here are its defaults.

    Raises:
        ConfigError: for a model that is neither a known name, nor a directory, nor a hub's "owner/name"; for
            a directory without weights; for unknown options and keys of the configuration.
    """

    kwargs: dict[str, Any]

    def __init__(self, model: str | os.PathLike = "sap2", **kwargs):
        kwargs = check_options(kwargs)
        kwargs.setdefault("disable_update", True)
        kwargs.setdefault("ncpu", min(4, count_cpus()))
        vad_kwargs = dict(kwargs.get("vad_kwargs") or {})
        for kind in HELPERS:
            options = kind.replace("model", "kwargs")
            if kwargs.get(options) and kwargs.get(kind) is None:
                raise ConfigError(f"{options}: options of a {kind}, and none is given; give {kind}=, too")
        model = self._find_models(model, kwargs)
        # FunASR casts all weights; SAP² lets its LLM multiply in half precision, and keeps the rest exact.
        self.precision = {name: kwargs.pop(name) for name in HALF_PRECISION if kwargs.get(name)}
        # FunASR copies its options in each call, which takes seconds with a list of 200,000 words.
        hotwords = {name: kwargs.pop(name) for name in NAMES if name in kwargs}
        with _sentences(model, kwargs):
            super().__init__(model=model, **kwargs)
        warn_of_device(kwargs.get("device"), self.kwargs["device"])
        if self.vad_model is not None:
            check_vad_options(self.vad_model, vad_kwargs)
        if not isinstance(self.model, SAP2):
            self.kwargs |= hotwords
            self._store_base_configs()
            for name in self.precision:
                self.model.to(HALF_PRECISION[name])
            return
        weights = self.kwargs.get("init_param")
        if not os.path.isfile(weights or ""):
            load_safetensors(self.model, Path(weights or self.model_path))
        self.default_hotwords = read_hotwords(**hotwords)
        # FunASR replaces a batch size by 1 on a CPU.
        self.defaults = self._take_defaults() | {"batch_size": kwargs.get("batch_size", BATCH_SIZE)}

    @staticmethod
    def _find_models(model: str | os.PathLike, kwargs: dict) -> str:
        """Find the model and its helpers, whose names are replaced in ``kwargs``; returns the model's."""
        for kind in HELPERS:
            if kwargs.get(kind) is not None:
                options = {"hub": kwargs.get("hub"), **(kwargs.get(kind.replace("model", "kwargs")) or {})}
                options["model_revision"] = kwargs.get(f"{kind}_revision")
                kwargs[kind] = find_model(kind, kwargs[kind], options)
        return find_model("model", model, kwargs)

    def _take_defaults(self) -> dict:
        """Take the options of calls that were given with the model away from FunASR's.

        FunASR copies its own, a list of hotwords too, in every call.
        """
        stored = self._base_kwargs_map["kwargs"]
        names = [name for name in stored if name in (CALL_KEYS | GENERATE_KEYS) - AUTO_MODEL_KEYS]
        for name in names:
            self.kwargs.pop(name, None)
        return {name: stored.pop(name) for name in names}

    def generate(self, input, input_len=None, progress_callback=None, **cfg):
        """Recognise speech.

        Args:
            input: a path, URL, bytes, array or tensor; a list of such, or of ``Request``; a ``wav.scp`` or
                JSONL file; or with ``data_type=("sound", "text")``, a pair of audio and biasing lists.
            input_len: as FunASR's; not read for SAP².
            progress_callback: called with the number of utterances done, and of all.
            **cfg: ``hotwords``, ``hotword`` or ``biasing_list`` (see ``funasr_sap.hotwords.read_hotwords``),
                for utterances that bring none of their own; ``key``, their ids; ``prune``, ``language``,
                ``itn``, ``top``, ``threshold``, ``guards``, ``repair``, ``rescore``, ``use_llm``,
                ``speculate``, ``fs``, ``batch_size``, ``bf16`` or ``fp16``, ``data_type``, and what FunASR
                takes; ``output_dir``, a folder that gets ``1best_recog/{text,score,time_stamp,keywords}``.

        Returns:
            {"key", "text", "keywords", "keyword_scores", "timestamp"} for each utterance, in order. One of
            several that cannot be read has an "error" and an empty text; a single one raises.

        Raises:
            DataError: for hotwords or inputs of wrong types, or a single input that cannot be read.
            ConfigError: for unknown options, and options of wrong types.
        """
        # FunASR keeps the options of a call in attributes. Each call has attributes of its own, so that
        # threads do not read each other's, and shares the models.
        call = copy.copy(self)
        if not isinstance(self.model, SAP2):
            return super(AutoModel, call).generate(input, input_len, progress_callback, **cfg)
        return call._recognise(input, {**cfg, "progress_callback": progress_callback})

    def _recognise(self, input, cfg: dict) -> list[dict]:
        """Recognise by a ``SAP2``; this is the copy of one call."""
        cfg = check_options({**self.precision, **self.defaults, **cfg})
        check_call(cfg)
        check_keys("generate", cfg, (CALL_KEYS | GENERATE_KEYS) - {"input"})
        recogniser = Recogniser(self.model, self.kwargs["frontend"])
        options = recogniser.options(**{name: cfg.get(name) for name in OPTIONS})
        hotwords = read_hotwords(**{name: cfg.pop(name, None) for name in NAMES})
        own = ("key", "data_type", "fs", "output_dir")
        key, data_type, fs, output_dir = (cfg.pop(name, None) for name in own)
        requests = read_requests(input, hotwords, data_type, fs, key, self.default_hotwords)
        if output_dir is not None:
            _make_folder("output_dir", Path(output_dir, RESULTS_FOLDER))
        if cfg.get("index_dir") is not None:
            _make_folder("index_dir", Path(cfg["index_dir"]))
        if self.punc_model is not None or self.spk_model is not None:
            results = self._recognise_by_funasr(recogniser, requests, cfg)
        else:
            found = self._recognise_requests(recogniser, requests, options, cfg)
            results = [result.to_funasr() for result in found]
        if data_type in (None, "sound") and is_single(input) and "error" in results[0]:
            raise DataError(results[0]["error"])
        if output_dir is not None:
            write_results(output_dir, results)
        return results

    def _recognise_requests(
        self, recogniser: Recogniser, requests: list[Request], options: DecodingOptions, cfg: dict
    ) -> list[Result]:
        """Recognise utterances, or, with a VAD model, talks."""
        hidden = cfg.get("disable_pbar", self.kwargs.get("disable_pbar"))
        settings = Settings(
            cfg["batch_size"],
            cfg.get("index_dir"),
            precision(cfg.get("bf16", False), cfg.get("fp16", False)),
            cfg.get("progress_callback"),
            bool(hidden),
        )
        if self.vad_model is None:
            return recogniser.recognise(requests, options, settings)
        results = []
        own = dataclasses.replace(settings, progress=None, hide_bar=len(requests) > 1 or settings.hide_bar)
        hidden = len(requests) < 2 or settings.hide_bar
        for request in tqdm(requests, desc="talks", disable=True if hidden else None):
            segment = functools.partial(self._segment, cfg=cfg)
            results.append(recogniser.recognise_long(request, segment, options, own))
            if settings.progress is not None:
                settings.progress(len(results), len(requests))
        return results

    def _segment(self, waveform: torch.Tensor, cfg: dict) -> list[tuple[float, float]]:
        """Find speech by the VAD model: (start, end) in seconds of each stretch."""
        rate = self.kwargs["frontend"].fs
        more = {"fs": rate, "disable_pbar": True, "batch_size": 1}
        found = self.inference(
            waveform.numpy(), model=self.vad_model, kwargs=copy.deepcopy(self.vad_kwargs), **more
        )
        segments = found[0]["value"]
        if cfg.get("merge_vad"):
            segments = merge_vad(segments, round(1000 * (cfg.get("merge_length_s") or MERGE_SECONDS)))
        return [(start / 1000, min(end / 1000, len(waveform) / rate)) for start, end in segments]

    def inference(self, input, input_len=None, model=None, kwargs=None, **more):
        """Run one of the models, as FunASR does; those that are not SAP² in one thread at a time."""
        is_sap2 = isinstance(self.model if model is None else model, SAP2)
        with contextlib.nullcontext() if is_sap2 else ONE_AT_A_TIME:
            return super().inference(input, input_len=input_len, model=model, kwargs=kwargs, **more)

    def _recognise_by_funasr(self, recogniser: Recogniser, requests: list[Request], cfg: dict) -> list[dict]:
        """Recognise talks in FunASR's own pipeline, which adds punctuation and speakers."""
        results = []
        if cfg.get("merge_length_s") is not None:  # FunASR reads it where only the model's own options are
            own = {**self._base_kwargs_map["kwargs"], "merge_length_s": cfg["merge_length_s"]}
            self._base_kwargs_map = {**self._base_kwargs_map, "kwargs": own}
        for request in requests:
            try:
                waveform = load_audio(request.audio, recogniser.sample_rate, request.sample_rate)
            except DataError as error:
                results.append(Result(request.key, error=f"{request.key}: {error}").to_funasr())
                continue
            more = {**cfg, "fs": recogniser.sample_rate, "data_type": None, "hotwords": request.hotwords}
            found = super().generate(waveform.numpy(), **more)
            results.append(_merged(found[0] if found else {}, request.key))
        return results


def _make_folder(option: str, path: Path) -> None:
    """Make a folder for results: one that cannot be written is an error before the work."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{option}: cannot make the folder {str(path)!r:.200} ({reason})") from None
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{option}: the folder {path} cannot be written")


def _merged(found: dict, key: str) -> dict:
    """Name a talk's result; a keyword found in several segments stands once, with its best evidence.

    FunASR moves no times but its own, so that the words are left out.
    """
    scores = {}
    for word, score in zip(found.get("keywords", ()), found.get("keyword_scores", ()), strict=True):
        scores[word] = max(score, scores.get(word, 0.0))
    result = {
        "key": key,
        "text": " ".join(found.get("text", "").split()),  # FunASR leaves a blank for a segment without words
        "keywords": list(scores),
        "keyword_scores": list(scores.values()),
        "timestamp": found.get("timestamp", []),
    }
    # One error beside a text is that of a piece too short to recognise, at the end of a cut.
    known = {*result, "words", "keyword_details", *(["error"] if result["text"] else [])}
    return result | {name: value for name, value in found.items() if name not in known}


@contextlib.contextmanager
def _sentences(model: str, options: Mapping):
    """Make one sentence of what FunASR, torch and transformers raise over a model that cannot be built."""
    try:
        yield
    except (ConfigError, DataError, OSError, ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
        if reason.endswith("is not registered"):
            named = {options[kind]: kind for kind in HELPERS if options.get(kind)}
            kind = next((kind for name, kind in named.items() if f"'{name}'" in reason), "model")
            expected = "expected a model directory, or a model that the hub has and can be reached for"
            raise ConfigError(f"{kind}: {reason} with FunASR; {expected}") from None
        if model == "SAP2" or os.path.isdir(EMBEDDED.get(model, model)):
            what = f"no SAP2 can be built of its config.yaml and the options given ({reason})"
            raise ConfigError(f"model: {model}: {what}") from error
        raise
