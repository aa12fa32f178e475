"""AutoModel: FunASR's own, with contextual inputs for SAP²; other models pass through unchanged."""

import difflib
import inspect
import json
import logging
import os
from pathlib import Path

import funasr
from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms
from funasr.register import tables
from tqdm import tqdm

from funasr_sap.audio import load_audio
from funasr_sap.data.kaldi import write_biasing_list, write_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.inference import recognise
from funasr_sap.inputs import Request, is_single, read_requests
from funasr_sap.models.builder import check_keys
from funasr_sap.models.sap2 import SAP2

BATCH_SIZE = 16  # utterances
# What FunASR's generate itself reads, besides the named parameters of ``recognise``.
GENERATE_KEYS = frozenset(
    {
        *("input_len", "progress_callback", "batch_size", "batch_size_s", "batch_size_threshold_s"),
        *("disable_pbar", "merge_vad", "merge_length_s", "return_raw_text", "sentence_timestamp"),
        *("preset_spk_num", "return_spk_res", "return_spk_center", "use_itn", "cache", "is_final"),
        *("postprocess_hotwords", "postprocess_hotword_file", "postprocess_hotword_threshold"),
        *("return_postprocess_hotword_matches", "en_post_proc", "device", "ncpu"),
    }
)
BUILTIN_VAD = ("silero-vad", "silero_vad")


class AutoModel(funasr.AutoModel):
    """FunASR's AutoModel that knows ``model="sap2"``, loads it without a network, and takes biasing lists.

    Args:
        model: "sap2", a model directory, or anything that FunASR takes.
        **kwargs: as FunASR's.

    Raises:
        ConfigError: for a model that is neither a known name, nor a directory, nor a hub's "owner/name".
    """

    def __init__(self, model: str = "sap2", **kwargs):
        _check_model(model, kwargs)
        kwargs.setdefault("disable_update", True)
        kwargs.setdefault("ncpu", min(4, os.cpu_count() or 1))
        super().__init__(model=model, **kwargs)

    def generate(self, input, *args, data_type=None, output_dir=None, **cfg):
        """Recognise speech.

        Args:
            input: a path, URL, bytes, array or tensor; a list of such; a ``wav.scp`` or JSONL file; or
                with ``data_type=("sound", "text")``, a pair of audio and biasing lists.
            *args: as FunASR's.
            data_type: None, "sound", or ("sound", "text").
            output_dir: a folder that gets ``1best_recog/{text,score,timestamp,keywords}``.
            **cfg: ``hotwords`` (see ``funasr_sap.inputs.resolve_hotwords``), ``prune``, ``language``, ``itn``,
                ``top``, ``threshold``, ``fs``, ``batch_size``, and what FunASR takes.

        Returns:
            {"key", "text", "keywords", "keyword_scores", "timestamp"} for each utterance, in order. One of
            several that cannot be read has an "error" and an empty text; a single one raises.

        Raises:
            DataError: for hotwords or inputs of wrong types, or a single input that cannot be read.
            ConfigError: for unknown options.
        """
        if not isinstance(self.model, SAP2):
            passed = {"data_type": data_type, "output_dir": output_dir}
            return super().generate(input, *args, **{k: v for k, v in passed.items() if v is not None}, **cfg)
        check_keys("generate", cfg, GENERATE_KEYS | set(inspect.signature(recognise).parameters))
        hotwords, hotword = cfg.pop("hotwords", None), cfg.pop("hotword", None)
        if hotwords is None and isinstance(hotword, str) and not os.path.isfile(hotword):
            hotwords = hotword.split()  # FunASR's older models part them by spaces
        elif hotwords is None:
            hotwords = hotword
        requests = read_requests(input, hotwords, data_type, cfg.pop("fs", None))
        results = self._generate_long(requests, cfg) if self.vad_model else self._generate(requests, cfg)
        if data_type is None and is_single(input) and "error" in results[0]:
            raise DataError(results[0]["error"])
        if output_dir is not None:
            write_results(output_dir, results)
        return results

    def _generate(self, requests: list[Request], cfg: dict) -> list[dict]:
        """Recognise utterances in batches of like length, and give them back in their order."""
        return super().generate(requests, **{"batch_size": BATCH_SIZE, **cfg})

    def _generate_long(self, requests: list[Request], cfg: dict) -> list[dict]:
        """Recognise long audio, cut by the VAD model."""
        results = []
        for request in tqdm(requests, desc="talks", disable=None if len(requests) > 1 else True):
            try:
                waveform = load_audio(request.audio, self.kwargs["frontend"].fs, request.sample_rate)
            except DataError as error:
                logging.error("%s: %s", request.key, error)
                results.append(_merged({"error": f"{request.key}: {error}"}, request.key))
                continue
            found = super().generate(waveform.numpy(), hotwords=request.hotwords, **cfg)
            results.append(_merged(found[0] if found else {}, request.key))
        return results


def _merged(result: dict, key: str) -> dict:
    """Name a talk's result; a keyword found in several segments stands once, with its best evidence."""
    scores = {}
    for word, score in zip(result.pop("keywords", []), result.pop("keyword_scores", []), strict=True):
        scores[word] = max(score, scores.get(word, 0.0))
    merged = {"text": "", "timestamp": []} | result
    return merged | {"key": key, "keywords": list(scores), "keyword_scores": list(scores.values())}


def write_results(output_dir: str | os.PathLike, results: list[dict]) -> None:
    """Write results as FunASR's models do, a Kaldi file a field, each atomically.

    Args:
        output_dir: gets ``1best_recog/{text,score,timestamp,keywords}``; an utterance that could not be read
            stands in ``errors`` instead.
        results: from ``generate``.
    """
    folder = Path(output_dir) / "1best_recog"
    good = [each for each in results if "error" not in each]
    write_kaldi(folder / "text", {each["key"]: each["text"] for each in good})
    write_kaldi(folder / "score", {each["key"]: json.dumps(each["keyword_scores"]) for each in good})
    write_kaldi(folder / "timestamp", {each["key"]: json.dumps(each["timestamp"]) for each in good})
    write_biasing_list(folder / "keywords", {each["key"]: each["keywords"] for each in good})
    write_kaldi(folder / "errors", {each["key"]: each["error"] for each in results if "error" in each})


def _check_model(model, kwargs) -> None:
    """Fail at once on a name that nobody knows, before a hub is asked for it."""
    if not isinstance(model, str) or not model:
        raise ConfigError(f"model: expected a name or a model directory, got {model!r}")
    known = {**name_maps_ms, **name_maps_hf}
    # A built configuration and the models that FunASR loads from packages need no directory.
    if model in known or model in tables.model_classes or model in BUILTIN_VAD or "model_conf" in kwargs:
        return
    if os.path.isdir(model):
        if not any(
            os.path.isfile(os.path.join(model, name)) for name in ("config.yaml", "configuration.json")
        ):
            raise ConfigError(f"model: {model} holds no config.yaml; expected a model directory")
        return
    if "/" not in model or model.startswith((".", "/")):
        close = difflib.get_close_matches(model, known, 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"model: {model!r} is neither a known name nor a model directory{hint}")
