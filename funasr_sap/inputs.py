"""What users hand to ``generate``: audio in any form, hotwords in any form, joined by utterance id."""

import numbers
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np

from funasr_sap.audio import SAMPLE_RATES
from funasr_sap.audio.places import is_url, local_path
from funasr_sap.audio.samples import is_array, is_bytes, split_pair
from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.data.kaldi import check_id, read_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.hotwords import assign_hotwords, read_hotwords, read_pair_texts
from funasr_sap.request import Request
from funasr_sap.text.hotwords import Hotwords

MAX_ID = 255  # characters that a file's name has at most; what is longer is no path, but its content
LISTS = (".scp", ".txt", ".text")  # files of "utt path" lines


def read_requests(
    data, hotwords=None, data_type=None, sample_rate: int | None = None, key=None, default_hotwords=None
) -> list[Request]:
    """Turn the arguments of ``generate`` into requests, in order.

    Args:
        data: what ``load_audio`` takes, a ``wav.scp``, a JSONL file, a request, or a list, generator or array
            of such; with ``data_type=("sound", "text")`` a pair of audio and biasing lists.
        hotwords: what ``read_hotwords`` takes as such, or made; not for utterances that bring their own.
        data_type: None, "sound", or ("sound", "text").
        sample_rate: Hz of bare samples.
        key: the utterance ids, one for each audio, instead of those that the input gives them.
        default_hotwords: what ``read_hotwords`` made of those for calls without ``hotwords``.

    Raises:
        DataError: for lists that do not match or types that cannot be read.
        ConfigError: for another data type or sample rate.
    """
    if sample_rate is not None and (isinstance(sample_rate, bool) or sample_rate not in SAMPLE_RATES):
        expected = f"expected a whole number from {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} (Hz)"
        raise ConfigError(f"fs: {expected}, got {sample_rate!r} ({type(sample_rate).__name__})")
    if isinstance(data_type, list | tuple) and list(data_type) == ["sound", "text"]:
        if not isinstance(data, list | tuple) or len(data) != 2 or hotwords is not None:
            raise DataError('input: expected (audio, biasing lists) alone with data_type=("sound", "text")')
        data, hotwords = data
        hotwords = read_pair_texts(hotwords)
    elif data_type not in (None, "sound"):
        raise ConfigError(f'data_type: expected "sound" or ("sound", "text"), got {data_type!r}')
    keys, audio, own, rates = _read_audio(data)
    keys = keys if key is None else _given_keys(key, len(keys))
    lists = assign_hotwords(keys, read_hotwords(hotwords), own, default_hotwords)
    rates = [sample_rate if rate is None else rate for rate in rates]
    return [Request(*fields) for fields in zip(keys, audio, lists, rates, strict=True)]


def is_single(data) -> bool:
    """Tell whether an input is one utterance, not a list of them."""
    if isinstance(data, str | os.PathLike):
        return not _names_a_list(data)
    return not _is_collection(data)


def _names_a_list(path: object) -> TypeGuard[str | os.PathLike]:
    if not isinstance(path, str | os.PathLike):
        return False
    return not is_url(os.fspath(path)) and Path(path).suffix in (*LISTS, ".jsonl", ".json")


def _is_collection(data) -> bool:
    """Tell several utterances: an iterable of anything but numbers, which are the samples of one."""
    if isinstance(data, str | os.PathLike | Mapping) or is_bytes(data) or hasattr(data, "read"):
        return False
    if split_pair(data):
        return False
    if isinstance(data, list | tuple):
        return not data or not all(isinstance(each, numbers.Real) for each in data)
    if is_array(data):
        return np.ndim(data) == 1 and any(isinstance(each, str | os.PathLike) for each in data[:1])
    return isinstance(data, Iterable)


def _read_audio(data) -> tuple[list[str], list, list, list]:
    """Read ids, audio, and the hotwords and sample rates that the input itself carries."""
    if _names_a_list(data):
        return _read_list(local_path(data))
    several = _is_collection(data)
    data = list(data) if several else [data]
    if not data:
        raise DataError("input: got an empty list; expected at least one audio")
    if several and all(isinstance(each, numbers.Real) for each in data):  # a generator's samples
        data = [data]
    requests = [each if isinstance(each, Request) else None for each in data]
    keys = [own.key if own else _key(data[place], place) for place, own in enumerate(requests)]
    if not all(requests):
        keys = _distinct(keys)
    audio = [own.audio if own else each for each, own in zip(data, requests, strict=True)]
    rates = [own and own.sample_rate for own in requests]
    return keys, audio, [own and own.hotwords for own in requests], rates


def _read_list(path: str) -> tuple[list[str], list, list, list]:
    if not os.path.exists(path):
        raise DataError(f"input: no such file: {path}")
    if Path(path).suffix in LISTS:
        table = read_kaldi(path)
        keys, audio, hotwords = list(table), list(table.values()), [None] * len(table)
    else:
        utterances = read_jsonl(path)
        keys, audio = [each.key for each in utterances], [each.source for each in utterances]
        hotwords = [Hotwords(each.hotwords or ()) for each in utterances]
    if not keys:
        raise DataError(f"input: {path} names no audio; expected at least one line")
    return keys, audio, hotwords, [None] * len(keys)


def _key(item, position: int) -> str:
    """Name one audio: a path or URL by its stem, anything else by its place."""
    if isinstance(item, Mapping):
        item = item.get("path")
    if isinstance(item, str | os.PathLike):
        text = os.fspath(item)
        text = urllib.parse.urlsplit(text).path if is_url(text) else _local_name(text)
        # As Kaldi's files can hold it.
        stem = re.sub(r"[\s\x00-\x1f\x7f\ufeff]+|^\{", "_", Path(text).stem)
        if stem and len(stem) <= MAX_ID:
            return stem
    return f"audio_{position}"


def _given_keys(key, count: int) -> list[str]:
    """Check the ids that a call gives."""
    keys = [key] if isinstance(key, str) else key
    if not isinstance(keys, list | tuple) or not all(isinstance(each, str) for each in keys):
        raise DataError(f"key: expected a list of utterance ids, got {key!r:.80}")
    if len(keys) != count or len({*keys}) != count:
        raise DataError(f"key: got {len({*keys})} distinct id(s) for {count} utterance(s)")
    try:
        return [check_id(each) for each in keys]
    except ValueError as error:
        raise DataError(f"key: {error}") from None


def _local_name(text: str) -> str:
    if text == "-":
        return "stdin"
    try:
        return local_path(text)
    except ValueError:  # loading says what is wrong with it
        return text


def _distinct(keys: Iterable[str]) -> list[str]:
    """Number the later ones of equal ids, as those of ``a/talk.wav`` and ``b/talk.wav``."""
    taken = {}
    for key in keys:
        name, number = key, 1
        while name in taken:
            number += 1
            name = f"{key}_{number}"
        taken[name] = None
    return list(taken)
