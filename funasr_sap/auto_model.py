"""AutoModel: FunASR's own, with contextual inputs for SAP²; other models pass through unchanged."""

import difflib
import logging
import os
import pickle
import zipfile
from pathlib import Path

import funasr
import torch
import yaml
from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms
from funasr.register import tables
from tqdm import tqdm

from funasr_sap.audio import load_audio
from funasr_sap.data.processes import count_cpus
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.funasr_keys import GENERATE_KEYS
from funasr_sap.hotwords import NAMES, read_hotwords
from funasr_sap.inference import CALL_KEYS, OPTIONS, decoding_options
from funasr_sap.inputs import is_single, read_requests
from funasr_sap.models.builder import check_keys
from funasr_sap.models.checkpoint import load_safetensors
from funasr_sap.models.published import is_published
from funasr_sap.models.sap2 import SAP2
from funasr_sap.registration import EMBEDDED
from funasr_sap.request import Request
from funasr_sap.results import RESULTS_FOLDER, write_results

BATCH_SIZE = 16  # utterances
BUILTIN_VAD = ("silero-vad", "silero_vad")
HALF_PRECISION = {"fp16": torch.float16, "bf16": torch.bfloat16}
IMPORT_FIRST = "for a backbone's weights, make a model directory of them by funasr-sap import-backbone"


class AutoModel(funasr.AutoModel):
    """FunASR's AutoModel that knows ``model="sap2"``, loads it without a network, and takes biasing lists.

    Args:
        model: "sap2", a model directory, or anything that FunASR takes.
        **kwargs: as FunASR's; options of ``generate`` given here are its defaults.

    Raises:
        ConfigError: for a model that is neither a known name, nor a directory, nor a hub's "owner/name"; for
            a directory without weights; for unknown options and keys of the configuration.
    """

    def __init__(self, model: str = "sap2", **kwargs):
        for kind in ("vad_model", "punc_model", "spk_model"):
            if kwargs.get(kind) is not None:
                check_model(kind, kwargs[kind])
        check_model("model", model, built="model_conf" in kwargs)
        kwargs.setdefault("disable_update", True)
        kwargs.setdefault("ncpu", min(4, count_cpus()))
        # FunASR casts all weights; SAP² lets its LLM multiply in half precision, and keeps the rest exact.
        self.precision = {name: kwargs.pop(name) for name in HALF_PRECISION if kwargs.get(name)}
        # FunASR copies its options in each call, which takes seconds with a list of 200,000 words.
        hotwords = {name: kwargs.pop(name) for name in NAMES if name in kwargs}
        try:
            super().__init__(model=model, **kwargs)
        except (RuntimeError, LookupError, EOFError, pickle.UnpicklingError) as error:
            _check_weights(kwargs.get("init_param") or Path(EMBEDDED.get(model, model), "model.pt"))
            reason = f"{error}".partition("\n")[0].rstrip(".")
            if not reason.endswith("is not registered"):
                raise
            expected = "expected a model directory, or a model that the hub has and can be reached for"
            raise ConfigError(f"model: {reason} with FunASR; {expected}; {IMPORT_FIRST}") from None
        self.batch_size = kwargs.get("batch_size", BATCH_SIZE)  # FunASR replaces it by 1 on a CPU
        if isinstance(self.model, SAP2):
            self.default_hotwords = read_hotwords(**hotwords)
        else:
            self.kwargs |= hotwords
            self._store_base_configs()
            for name in self.precision:
                self.model.to(HALF_PRECISION[name])
        weights = self.kwargs.get("init_param")
        if isinstance(self.model, SAP2) and not os.path.isfile(weights or ""):
            load_safetensors(self.model, Path(weights or self.model_path))

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
        if not isinstance(self.model, SAP2):
            return super().generate(input, input_len, progress_callback, **cfg)
        self._reset_runtime_configs()  # FunASR keeps the last call's options until then
        cfg = {"batch_size": self.batch_size, **self.precision, **cfg}
        self._check_options(cfg)
        hotwords = read_hotwords(**{name: cfg.pop(name, None) for name in NAMES})
        own = ("data_type", "fs", "output_dir")
        data_type, fs, output_dir = (cfg.pop(name, self.kwargs.get(name)) for name in own)
        key = cfg.pop("key", None)
        requests = read_requests(input, hotwords, data_type, fs, key, self.default_hotwords)
        if output_dir is not None:  # a folder that cannot be written is an error before the work
            Path(output_dir, RESULTS_FOLDER).mkdir(parents=True, exist_ok=True)
        cfg |= {"progress_callback": progress_callback, "data_type": None}
        results = self._generate_long(requests, cfg) if self.vad_model else self._generate(requests, cfg)
        if data_type in (None, "sound") and is_single(input) and "error" in results[0]:
            raise DataError(results[0]["error"])
        if output_dir is not None:
            write_results(output_dir, results)
        return results

    def _check_options(self, cfg: dict) -> None:
        """Raise on options that no part of the model takes, before any work."""
        check_keys("generate", cfg, (CALL_KEYS | GENERATE_KEYS) - {"input"})
        if not isinstance(cfg["batch_size"], int) or cfg["batch_size"] < 1:
            raise ConfigError(f"batch_size: expected a whole number above 0, got {cfg['batch_size']!r}")
        given = {**self.kwargs, **cfg}
        decoding_options(self.model, self.kwargs["frontend"], **{name: given.get(name) for name in OPTIONS})

    def _generate(self, requests: list[Request], cfg: dict) -> list[dict]:
        """Recognise utterances in batches of like length, and give them back in their order."""
        order = sorted(range(len(requests)), key=lambda place: requests[place].size)
        found = super().generate([requests[place] for place in order], **cfg)
        results = dict(zip(order, found, strict=True))
        return [results[place] for place in range(len(requests))]

    def _generate_long(self, requests: list[Request], cfg: dict) -> list[dict]:
        """Recognise long audio, cut by the VAD model."""
        results, sample_rate = [], self.kwargs["frontend"].fs
        cfg |= {"fs": sample_rate}
        hidden = len(requests) < 2 or self.kwargs.get("disable_pbar")
        for request in tqdm(requests, desc="talks", disable=True if hidden else None):
            try:
                waveform = load_audio(request.audio, sample_rate, request.sample_rate)
            except DataError as error:
                sentence = " ".join(f"{request.key}: {error}".split())
                logging.error("%s", sentence)
                results.append(_merged({"error": sentence}, request.key))
                continue
            found = super().generate(waveform.numpy(), hotwords=request.hotwords, **cfg)
            results.append(_merged(found[0] if found else {}, request.key))
        return results


def _merged(found: dict, key: str) -> dict:
    """Name a talk's result; a keyword found in several segments stands once, with its best evidence."""
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
    known = {*result, "error"} if result["text"] else result
    return result | {name: value for name, value in found.items() if name not in known}


def _check_weights(path) -> None:
    """Raise on a file that torch.save has not written, or not to the end."""
    if os.path.isfile(path) and not zipfile.is_zipfile(path):
        raise ConfigError(
            f"init_param: {path} is damaged, or no weights; expected a file that torch.save wrote"
        )


def check_model(kind: str, model, built: bool = False) -> None:
    """Fail at once on a name that nobody knows, before a hub is asked for it.

    Args:
        kind: the option's name in messages.
        model: a name or a model directory.
        built: its configuration is given, then FunASR reads no directory.
    """
    if not isinstance(model, str) or not model:
        raise ConfigError(f"{kind}: expected a name or a model directory, got {model!r}")
    if model in tables.model_classes or model in BUILTIN_VAD:
        return
    if built:
        raise ConfigError(f"model_conf: FunASR takes it with a model's class only, not with model={model!r}")
    if kind == "model" and os.path.isfile(model):
        raise ConfigError(f"{kind}: {model} is a file, expected a model directory; {IMPORT_FIRST}")
    known = {**name_maps_ms, **name_maps_hf}
    path = str(EMBEDDED.get(model, model))
    if os.path.isdir(path):
        _check_directory(kind, path)
    elif model in EMBEDDED:
        raise ConfigError(f"{kind}: {model} is missing from the package ({path}); install funasr-sap again")
    elif model not in known and ("/" not in model or model.startswith((".", "/", "~"))):
        close = difflib.get_close_matches(model, known, 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"{kind}: {model!r} is neither a known name nor a model directory{hint}")


def _check_directory(kind: str, path: str) -> None:
    config = Path(path, "config.yaml")
    if kind == "model" and is_published(path):
        raise ConfigError(f"{kind}: {path} holds published weights; {IMPORT_FIRST}")
    if not config.is_file() and not Path(path, "configuration.json").is_file():
        raise ConfigError(f"{kind}: {path} holds no config.yaml; expected a model directory")
    try:
        yaml.safe_load(config.read_bytes() if config.is_file() else b"")
    except yaml.YAMLError as error:
        raise ConfigError(f"{kind}: {config} is not YAML: {' '.join(str(error).split())}") from None
