"""What users hand to ``generate``: audio in any form, hotwords in any form, joined by utterance id."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from funasr_sap.context.biasing_list import parse_hotwords
from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import DataError

LISTS = (".scp", ".txt", ".text")  # files of "utt path" lines
PCM_SAMPLE_RATE = 16000  # Hz, of bare bytes


@dataclasses.dataclass(frozen=True)
class Request:
    """One utterance to recognise.

    Attributes:
        key: the utterance id.
        audio: whatever ``load_audio`` takes.
        hotwords: its biasing list.
        sample_rate: Hz of bare samples; None for the model's own.
    """

    key: str
    audio: object
    hotwords: list[str]
    sample_rate: int | None = None


def read_requests(data, hotwords=None, data_type=None, sample_rate: int | None = None) -> list[Request]:
    """Turn the arguments of ``generate`` into requests, in order.

    Args:
        data: a path (audio, ``wav.scp``, JSONL), a URL, bytes, an array or tensor, or a list of such; with
            ``data_type=("sound", "text")`` a pair of audio and biasing lists.
        hotwords: see ``resolve_hotwords``.
        data_type: None, "sound", or ("sound", "text").
        sample_rate: Hz of bare samples.

    Raises:
        DataError: for lists that do not match or types that cannot be read.
    """
    if isinstance(data_type, list | tuple):
        if list(data_type) != ["sound", "text"] or len(data) != 2:
            raise DataError(
                f'data_type: expected ("sound", "text") for a pair of inputs, got {tuple(data_type)!r}'
            )
        data, hotwords = data
    keys, audio, own = _read_audio(data)
    lists = own if hotwords is None else resolve_hotwords(hotwords, keys)
    return [Request(*fields, sample_rate) for fields in zip(keys, audio, lists, strict=True)]


def is_single(data) -> bool:
    """Tell whether an input is one utterance, not a list of them."""
    if isinstance(data, str | os.PathLike):
        return Path(data).suffix not in (*LISTS, ".jsonl", ".json")
    return not isinstance(data, list | tuple)


def resolve_hotwords(hotwords, keys: Sequence[str]) -> list[list[str]]:
    """Give each utterance its biasing list.

    Args:
        hotwords: one list for all (strings, a string, or a file with one keyword a line); a list of lists,
            one an utterance; a mapping or a ``biasing_list`` file by utterance id.
        keys: the utterance ids.

    Raises:
        DataError: for a wrong number of lists, ids without a list, or wrong types.
    """
    if isinstance(hotwords, str | os.PathLike) and _is_biasing_list(hotwords, keys):
        hotwords = read_biasing_list(hotwords)
    if isinstance(hotwords, Mapping):
        missing = [key for key in keys if key not in hotwords]
        if missing:
            raise DataError(
                f"hotwords: no biasing list for {len(missing)} utterance(s), first {missing[0]!r}"
            )
        return [parse_hotwords(hotwords[key]) for key in keys]
    if isinstance(hotwords, list | tuple) and any(isinstance(each, list | tuple) for each in hotwords):
        if len(hotwords) != len(keys):
            raise DataError(f"hotwords: got {len(hotwords)} biasing lists for {len(keys)} utterance(s)")
        return [parse_hotwords(each) for each in hotwords]
    shared = parse_hotwords(hotwords)
    return [shared] * len(keys)


def _is_biasing_list(path, keys) -> bool:
    """Tell a ``biasing_list`` file, whose lines begin with utterance ids, from a file of keywords."""
    text = os.fspath(path)
    if "\n" in text or len(text) > 4096 or not os.path.isfile(text):
        return False
    if text.endswith(".jsonl"):
        return True
    with open(text, encoding="utf-8-sig", errors="replace") as stream:
        first = {line.split(maxsplit=1)[0] for line in stream if line.strip()}
    return not first.isdisjoint(keys)


def _read_audio(data) -> tuple[list[str], list, list[list[str]]]:
    """Read ids, audio, and the hotwords that the input itself carries."""
    if isinstance(data, str | os.PathLike):
        return _read_path(os.fspath(data))
    if isinstance(data, list | tuple):
        if not data:
            raise DataError("input: got an empty list; expected at least one audio")
        if all(isinstance(each, int | float) for each in data):
            return ["audio_0"], [np.asarray(data, dtype=np.float32)], [[]]
        parts = [_read_one(each, position) for position, each in enumerate(data)]
        return [key for key, _ in parts], [audio for _, audio in parts], [[] for _ in parts]
    key, audio = _read_one(data, 0)
    return [key], [audio], [[]]


def _read_path(path: str):
    suffix = Path(path).suffix
    if path.startswith(("http://", "https://")) or suffix not in (*LISTS, ".jsonl", ".json"):
        key, audio = _read_one(path, 0)
        return [key], [audio], [[]]
    if not os.path.exists(path):
        raise DataError(f"input: no such file: {path}")
    if suffix in LISTS:
        table = read_kaldi(path)
        return list(table), list(table.values()), [[] for _ in table]
    utterances = read_jsonl(path)
    hotwords = [list(each.hotwords or ()) for each in utterances]
    return [each.key for each in utterances], [each.source for each in utterances], hotwords


def _read_one(item, position: int) -> tuple[str, object]:
    """Name one audio; a path by its stem, anything else by its place."""
    if isinstance(item, str) and item.startswith(("http://", "https://")):
        from funasr.download.file import download_from_url

        return Path(item).stem, download_from_url(item)
    if isinstance(item, str | os.PathLike):
        return Path(item).stem, os.fspath(item)
    if isinstance(item, bytes | bytearray):
        return f"audio_{position}", _decode_pcm(bytes(item))
    if isinstance(item, np.ndarray | torch.Tensor | Iterable):
        return f"audio_{position}", item
    raise DataError(
        f"input: expected a path, URL, bytes, array or tensor at position {position}, "
        f"got {type(item).__name__}"
    )


def _decode_pcm(data: bytes):
    """Take bytes without an audio file's header as 16-bit samples, as FunASR does."""
    known = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b"\xff\xfb", b"\xff\xf3")
    if data.startswith(known) or len(data) % 2 or not data:
        return data
    return np.frombuffer(data, dtype="<i2")
