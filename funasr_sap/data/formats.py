"""The formats of data sets, and the conversion of one into another by way of `Utterance`."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from funasr_sap.data.biasing_tsv import format_tsv_line, iter_biasing_tsv, write_biasing_tsv
from funasr_sap.data.jsonl import format_funasr_record, format_record, iter_jsonl, write_jsonl
from funasr_sap.data.kaldi import check_id
from funasr_sap.data.kaldi_folder import fit_kaldi, iter_kaldi_folder, write_kaldi_folder
from funasr_sap.data.sap2_asr import format_sap2_record, write_sap2
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

FIELDS = tuple(each.name for each in fields(Utterance) if each.name != "key")

FilePath = str | os.PathLike
Reader = Callable[[FilePath, list[str]], Iterator[Utterance]]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        title: what it is, in a few words.
        holds: which fields of `Utterance` it can hold, besides ``key``.
        read: (path, problems) to utterances; bad lines go into the list of problems.
        write: (path, utterances) to a file or folder, complete or not at all; returns how many.
        check: returns an utterance as the format would give it back, or raises ValueError with the reason.
        needs_audio: an utterance without ``source`` cannot be written.
    """

    title: str
    holds: frozenset[str]
    read: Reader
    write: Callable[[FilePath, Iterable[Utterance]], int]
    check: Callable[[Utterance], Utterance]
    needs_audio: bool = True

    def fit(self, utterance: Utterance) -> Utterance:
        """Return what the format can hold of an utterance; ValueError where it cannot hold it at all."""
        check_id(utterance.key)
        if self.needs_audio and utterance.source is None:
            raise ValueError("no audio is named; give its path with --wav-scp")
        return self.check(replace(utterance, **{name: None for name in FIELDS if name not in self.holds}))


@dataclass
class Conversion:
    """What came of a conversion.

    Attributes:
        written: utterances.
        bad: the utterances and lines left out, with reasons.
        dropped: for each field that the format cannot hold, of how many utterances it was dropped.
        changed: for each field, in how many utterances blanks around it were taken off.
    """

    written: int = 0
    bad: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)

    def count(self, utterance: Utterance, fitted: Utterance) -> None:
        """Note what of an utterance is lost."""
        for name in FIELDS:
            before, after = getattr(utterance, name), getattr(fitted, name)
            if before != after:
                (self.dropped if after is None else self.changed)[name] += 1


def convert(
    source: FilePath,
    target: FilePath,
    read: Reader,
    to_format: Format,
    audio: Mapping[str, str] | None = None,
    skip_bad: bool = False,
) -> Conversion:
    """Write a data set in another format; what is written appears only when it is complete.

    Args:
        source: the file or folder to read.
        target: the file or folder to write.
        read: reads the source, as ``FORMATS["kaldi"].read``.
        to_format: one of `FORMATS`.
        audio: paths by utterance id, in place of those that the data set names.
        skip_bad: leave out what cannot be read or written, instead of failing.

    Raises:
        DataError: naming every line that cannot be read, and every utterance that the format cannot hold;
            also where none is left.
    """
    result = Conversion()

    def fitted() -> Iterator[Utterance]:
        for utterance in read(source, result.bad):
            try:
                utterance = utterance if audio is None else _with_audio(utterance, audio)
                fit = to_format.fit(utterance)
            except ValueError as error:
                result.bad.append(f"{source}: {utterance.key!r}: {error}")
                continue
            result.count(utterance, fit)
            result.written += 1
            yield fit
        # Here, where the writer has not ended, so that a failure leaves no output and an old one as it was.
        if result.bad and not (skip_bad and result.written):
            raise DataError.from_lines(f"cannot convert {source}", result.bad)
        if not result.written:
            raise DataError(f"{source} has no utterances")

    to_format.write(target, fitted())
    return result


def _with_audio(utterance: Utterance, audio: Mapping[str, str]) -> Utterance:
    if utterance.key not in audio:
        raise ValueError("not in the wav.scp that was given")
    return replace(utterance, source=audio[utterance.key])


def _checked_by(to_line: Callable[[Utterance], object]) -> Callable[[Utterance], Utterance]:
    """Make a check of what writes a line exactly, or raises ValueError."""

    def check(utterance: Utterance) -> Utterance:
        to_line(utterance)
        return utterance

    return check


def _sap2(task: str, title: str, *holds: str) -> Format:
    return Format(
        title,
        frozenset({"source", "hotwords", *holds}),
        iter_jsonl,
        functools.partial(write_sap2, task=task),
        _checked_by(functools.partial(format_sap2_record, task=task)),
    )


FORMATS: dict[str, Format] = {
    "jsonl": Format(
        "JSONL of this package", frozenset(FIELDS), iter_jsonl, write_jsonl, _checked_by(format_record)
    ),
    "kaldi": Format(
        "Kaldi directory: wav.scp, text, biasing_list, keywords",
        frozenset({"source", "text", "hotwords", "keywords"}),
        iter_kaldi_folder,
        write_kaldi_folder,
        fit_kaldi,
        needs_audio=False,
    ),
    "funasr": Format(
        "FunASR's JSONL: source, target",
        frozenset({"source", "text", "speech_length", "text_length"}),
        iter_jsonl,
        functools.partial(write_jsonl, to_record=format_funasr_record),
        _checked_by(format_funasr_record),
    ),
    "sap2": _sap2("transcribe", "SAP²-ASR's JSON, to transcribe (stage 2)", "text"),
    "sap2-prune": _sap2("prune", "SAP²-ASR's JSON, to select keywords (stage 1)", "keywords"),
    "sap2-joint": _sap2("joint", "SAP²-ASR's JSON, to do both in one answer", "text", "keywords"),
    "tsv": Format(
        "LibriSpeech's biasing TSV",
        frozenset({"text", "hotwords", "keywords"}),
        iter_biasing_tsv,
        write_biasing_tsv,
        _checked_by(format_tsv_line),
        needs_audio=False,
    ),
}
