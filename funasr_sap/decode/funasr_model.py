"""FunASR's own models, such as Paraformer: batches where they can, one utterance by one where they cannot."""

import itertools
import json
import logging
import tempfile

from funasr_sap.audio import load_audio
from funasr_sap.auto_model import AutoModel
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.request import Request

SAMPLE_RATE = 16000  # Hz, of models without a frontend
# How FunASR's models call a biasing list. The others would ignore it in silence.
HOTWORD_KEYS = {"SeacoParaformer": "hotword", "ContextualParaformer": "hotword", "FunASRNano": "hotwords"}
# What they raise over an utterance that they cannot take.
FAILURES = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AssertionError, NameError)


class FunasrModel:
    """A model of FunASR's that decodes a batch; it reads a file of paths, and its results have their keys.

    Args:
        model: any but ``SAP2``.
        options: of ``generate``.
    """

    def __init__(self, model: AutoModel, options: dict):
        self.model = model
        self.options = dict(options)
        self.kind = type(model.model).__name__
        # Segments of several talks come back without their names.
        self.in_batches = model.vad_model is None
        self.sample_rate = getattr(model.kwargs.get("frontend"), "fs", SAMPLE_RATE)
        # A tokenizer with a bpemodel makes Paraformer fail where it is asked for times.
        if not hasattr(model.kwargs.get("tokenizer"), "bpemodel"):
            self.options["output_timestamp"] = True

    def __call__(self, requests: list[Request]) -> list[dict]:
        """Recognise a batch, as ``Recogniser`` does.

        Raises:
            ConfigError: for hotwords that the model does not take.
        """
        errors = {request.key: self._check(request) for request in requests}
        readable = [request for request in requests if errors[request.key] is None]
        found = {}
        for words, group in itertools.groupby(readable, key=lambda request: list(request.hotwords or ())):
            decode = self._together if self.in_batches else self._alone
            found |= decode(list(group), self._hotword_options(words))
        failed = {key: _failure(key, error) for key, error in errors.items() if error}
        return [(found | failed)[request.key] for request in requests]

    def _check(self, request: Request) -> str | None:
        """Tell what is wrong with audio; FunASR's own reader gives other reasons than the true one."""
        try:
            load_audio(request.audio, self.sample_rate)
        except DataError as error:
            return str(error)
        return None

    def _hotword_options(self, words: list[str]) -> dict:
        if not words:
            return {}
        if self.kind not in HOTWORD_KEYS:
            takes = ", ".join(HOTWORD_KEYS)
            raise ConfigError(
                f"biasing_list: a {self.kind} takes no hotwords, only SAP2, {takes} do; leave it out"
            )
        name = HOTWORD_KEYS[self.kind]
        return {name: " ".join(words) if name == "hotword" else words}

    def _together(self, requests: list[Request], options: dict) -> dict[str, dict]:
        try:
            found = {each.get("key"): each for each in self._generate(requests, options)}
            return {request.key: _result(request.key, found[request.key]) for request in requests}
        except NotImplementedError:
            self.in_batches = False
            logging.info("%s: no batches, utterances are decoded one by one", self.kind)
        except FAILURES as error:  # also where a batch has another number of results than utterances
            logging.debug("a batch of %d is decoded one by one: %s", len(requests), error)
        return self._alone(requests, options)

    def _alone(self, requests: list[Request], options: dict) -> dict[str, dict]:
        return {request.key: self._one(request, options) for request in requests}

    def _one(self, request: Request, options: dict) -> dict:
        try:
            found = self._generate([request], options)
        except FAILURES as error:
            # An unsure Paraformer has fewer times than tokens, and FunASR fails over them: no times, then.
            if isinstance(error, IndexError) and "output_timestamp" not in options:
                return self._one(request, options | {"output_timestamp": False})
            return _failure(request.key, f"{self.kind}: {type(error).__name__}: {error}")
        return _result(request.key, found[0] if found else {})  # no result: no speech was found

    def _generate(self, requests: list[Request], options: dict) -> list[dict]:
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as stream:
            for request in requests:
                line = {"key": request.key, "source": str(request.audio)}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            stream.flush()
            call = {**self.options, **options, "batch_size": len(requests)}
            return self.model.generate(stream.name, **call)


def _result(key: str, found: dict) -> dict:
    times = [[int(time) for time in each[:2]] for each in found.get("timestamp") or ()]
    return {"key": key, "text": " ".join(found.get("text", "").split()), "timestamp": times}


def _failure(key: str, reason: str) -> dict:
    sentence = " ".join(f"{key}: {reason}".split())
    logging.error("%s", sentence)
    return {"key": key, "text": "", "error": sentence}
