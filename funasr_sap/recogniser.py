"""Recognition: requests in, results out, in batches of like length; an error never takes others with it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from funasr_sap.audio import load_audio
from funasr_sap.audio.frontend import Frontend
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.list_cache import prepare_list
from funasr_sap.decoding.decoder import decode
from funasr_sap.decoding.options import DecodingOptions
from funasr_sap.decoding.result import Result
from funasr_sap.errors import DataError
from funasr_sap.models.directory import build_frontend, build_model
from funasr_sap.models.encoders import subsampling
from funasr_sap.models.guards import choose_guards
from funasr_sap.models.sap2 import SAP2
from funasr_sap.registration import EMBEDDED
from funasr_sap.request import Request
from funasr_sap.text.hotwords import ReadList, Remarks, parse_list

logger = logging.getLogger(__name__)
# What users may choose of decoding; the rest of ``DecodingOptions`` follows from the model.
OPTIONS = tuple(
    field.name
    for field in dataclasses.fields(DecodingOptions)
    if field.name not in ("name_language", "frame_ms")
)
BATCH_SIZE = 16  # utterances

Segmenter = Callable[[torch.Tensor], Sequence[tuple[float, float]]]
"""Finds speech in (samples,) of 16 kHz: (start, end) in seconds of each stretch."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to compute; nothing here changes what is recognised, but for the precision.

    Attributes:
        batch_size: utterances decoded together.
        index_dir: folder that keeps the indexes of long biasing lists; None for memory only.
        precision: in which the LLM multiplies matrices; None for that of its weights.
        progress: called with the number of utterances done, and of all.
        hide_bar: show no progress bar.
    """

    batch_size: int = BATCH_SIZE
    index_dir: str | os.PathLike | None = None
    precision: torch.dtype | None = None
    progress: Callable[[int, int], None] | None = None
    hide_bar: bool = True


class Recogniser:
    """A model that recognises speech.

    Args:
        model: a ``SAP2`` in evaluation mode.
        frontend: its FunASR frontend.
    """

    def __init__(self, model: SAP2, frontend: Frontend):
        self.model, self.frontend = model, frontend

    @classmethod
    def load(cls, model: str | os.PathLike = "sap2", device: str = "cpu") -> Recogniser:
        """Load a model directory, or an embedded model by its name, without FunASR's AutoModel.

        Raises:
            ConfigError: for a directory that holds no model.
        """
        folder = EMBEDDED.get(os.fspath(model), model)
        return cls(build_model(folder).to(device), build_frontend(folder))

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, in Hz."""
        return self.frontend.fs

    def options(self, *, language=None, guards=None, **options) -> DecodingOptions:
        """Complete the user's options by the model's own.

        Args:
            language: "en", "zh", or None / "auto" for the model's own; where the prompt can name it (style
                fun_asr_nano), it then does, and more languages are known, by code or by FunASR's name.
            guards: False for none, or some of the model's own in other settings; see ``Guards``.
            **options: other ``OPTIONS``, see ``DecodingOptions``; None stands for the default.

        Raises:
            ConfigError: for values that they cannot have.
        """
        if options.get("itn") and not self.model.prompts.asks_for_itn:
            _warn_of_itn()
        is_named = language not in (None, "auto")
        shift = self.frontend.frame_shift * self.frontend.lfr_n
        return DecodingOptions(
            language=self.model.prompts.language_code(language) if is_named else self.model.language,
            name_language=is_named or None,
            guards=choose_guards(self.model.guards, guards),
            frame_ms=shift * subsampling(self.model.audio_encoder),
            **{name: value for name, value in options.items() if value is not None},
        )

    def recognise(
        self,
        requests: Sequence[Request],
        options: DecodingOptions | None = None,
        settings: Settings = Settings(),
    ) -> list[Result]:
        """Recognise utterances, in batches of like length; results come in the order of the requests."""
        options = options or self.options()
        order = sorted(range(len(requests)), key=lambda place: requests[place].size)
        results, warned = {}, set()
        with tqdm(total=len(order), unit="utt", disable=settings.hide_bar) as bar:
            for first in range(0, len(order), settings.batch_size):
                places = order[first : first + settings.batch_size]
                found = self.recognise_batch([requests[place] for place in places], options, settings, warned)
                results.update(zip(places, found, strict=True))
                bar.update(len(places))
                if settings.progress is not None:
                    settings.progress(len(results), len(order))
        return [results[place] for place in range(len(requests))]

    def recognise_batch(
        self,
        requests: Sequence[Request],
        options: DecodingOptions,
        settings: Settings = Settings(),
        warned: set[str] | None = None,
    ) -> list[Result]:
        """Recognise one batch.

        Args:
            requests: its utterances.
            options: how to decode.
            settings: how to compute.
            warned: warnings that were given already; new ones are added.
        """
        waveforms, features, lists, errors = self._load(requests, settings.index_dir)
        seconds = {place: len(each) / self.sample_rate for place, each in waveforms.items()}
        self._warn_of_length({requests[place].key: each for place, each in seconds.items()}, warned)
        results = [Result(each.key, error=errors.get(place)) for place, each in enumerate(requests)]
        if not waveforms:
            return results
        device = next(self.model.parameters()).device
        lengths = torch.tensor([len(each) for each in features], device=device)
        speech = pad_sequence(features, batch_first=True).to(device)
        with autocast(device, settings.precision):
            decoded = decode(self.model, speech, lengths, lists, options)
        for place, result in zip(waveforms, decoded, strict=True):
            heard = result.clip(math.floor(1000 * seconds[place]) / 1000)
            results[place] = dataclasses.replace(heard, key=requests[place].key, seconds=seconds[place])
        return results

    def recognise_long(
        self,
        request: Request,
        segment: Segmenter,
        options: DecodingOptions | None = None,
        settings: Settings = Settings(),
    ) -> Result:
        """Recognise a talk, cut into stretches of speech; the same hotwords serve all of them."""
        try:
            waveform = load_audio(request.audio, self.sample_rate, request.sample_rate)
        except DataError as error:
            return Result(request.key, error=_one_line(request.key, error))
        segments = list(self._fitting(segment(waveform)))
        pieces = [
            Request(
                request.key,
                waveform[round(start * self.sample_rate) : round(end * self.sample_rate)],
                request.hotwords,
            )
            for start, end in segments
        ]
        parts = self.recognise(pieces, options, settings)
        merged = Result.merge(request.key, parts, [start for start, _ in segments])
        return dataclasses.replace(merged, seconds=len(waveform) / self.sample_rate)

    def _fitting(self, segments: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
        """Cut stretches that are longer than the encoder hears into equal ones."""
        limit = getattr(self.frontend, "max_seconds", None)
        for start, end in segments:
            number = max(1, math.ceil((end - start) / limit)) if limit else 1
            step = (end - start) / number
            yield from ((start + place * step, start + (place + 1) * step) for place in range(number))

    def prepare(self, hotwords: Sequence[str] | ReadList) -> BiasingList:
        """Clean, spell and index a biasing list as this model hears it, before it is needed.

        Raises:
            DataError: for a vocabulary that is damaged.
        """
        prepared = prepare_list(hotwords, self.model.tokenizer)
        if self.model.ctc is not None:
            prepared = prepared.heard_by(self.model.hearing)
        _ = prepared.index  # builds it
        return prepared

    def _load(
        self, requests: Sequence[Request], index_dir: str | os.PathLike | None
    ) -> tuple[dict[int, torch.Tensor], list[torch.Tensor], list[BiasingList], dict[int, str]]:
        """Load what can be loaded.

        Returns:
            Waveforms by place in the batch; their features and biasing lists; errors by place.
        """
        waveforms, features, lists, errors = {}, [], [], {}
        prepared = {}  # each list is looked for once, however many utterances share it
        for place, request in enumerate(requests):
            try:
                if id(request.hotwords) not in prepared:
                    words = prepare_list(_words(request.hotwords), self.model.tokenizer, index_dir)
                    prepared[id(request.hotwords)] = words
                waveform = load_audio(request.audio, self.sample_rate, request.sample_rate)
                features.append(self.frontend(waveform[None], [len(waveform)])[0][0])
            except DataError as error:
                errors[place] = _one_line(request.key, error)
                continue
            waveforms[place] = waveform
            lists.append(prepared[id(request.hotwords)])
        return waveforms, features, lists, errors

    def _warn_of_length(self, seconds: dict[str, float], warned: set[str] | None) -> None:
        """Say once that audio is longer than what the model was trained on: it loops and leaves out."""
        limit, warned = self.model.max_seconds, set() if warned is None else warned
        key, longest = max(seconds.items(), key=lambda item: item[1], default=(None, 0))
        if limit is None or longest <= limit or "length" in warned:
            return
        warned.add("length")
        logger.warning(
            "%s: %.0f s of audio, and this model knows at most %g s; cut it by AutoModel(..., "
            "vad_model='silero-vad', vad_kwargs={'max_single_segment_time': %d})",
            *(key, longest, limit, limit * 1000),
        )


def autocast(device: torch.device, precision: torch.dtype | None) -> contextlib.AbstractContextManager:
    """Let matrices be multiplied in half precision; None leaves them as they are."""
    return contextlib.nullcontext() if precision is None else torch.autocast(device.type, precision)


def _words(hotwords: Sequence[str] | ReadList | str | None) -> Sequence[str] | ReadList:
    """Read a string of words; lists are taken as they are."""
    if not isinstance(hotwords, str | None):
        return hotwords
    return parse_list(hotwords, Remarks())


def _one_line(key: str, error: DataError) -> str:
    """Log why an utterance cannot be used, in a sentence that a Kaldi file has room for."""
    sentence = " ".join(f"{key}: {error}".split())
    logger.error("%s", sentence)
    return sentence


@functools.cache
def _warn_of_itn() -> None:
    logger.warning("itn=True: this model writes the words that it was trained on; no digits, no punctuation")
