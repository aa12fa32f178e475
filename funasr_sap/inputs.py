"""What users hand to ``generate``: audio in any form, hotwords in any form, joined by utterance id."""

import numbers
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from funasr_sap.audio import SAMPLE_RATES
from funasr_sap.audio.places import is_url, local_path
from funasr_sap.audio.samples import is_array, is_bytes, split_pair
from funasr_sap.context.biasing_list import parse_hotwords
from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.request import Request

LISTS = (".scp", ".txt", ".text")  # files of "utt path" lines


def read_requests(data, hotwords=None, data_type=None, sample_rate: int | None = None) -> list[Request]:
    """Turn the arguments of ``generate`` into requests, in order.

    Args:
        data: what ``load_audio`` takes, a ``wav.scp``, a JSONL file, a request, or a list, generator or array
            of such; with ``data_type=("sound", "text")`` a pair of audio and biasing lists.
        hotwords: see ``resolve_hotwords``.
        data_type: None, "sound", or ("sound", "text").
        sample_rate: Hz of bare samples.

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
        hotwords = _split_texts(hotwords)
    elif data_type not in (None, "sound"):
        raise ConfigError(f'data_type: expected "sound" or ("sound", "text"), got {data_type!r}')
    keys, audio, own = _read_audio(data)
    lists = own if hotwords is None else resolve_hotwords(hotwords, keys)
    return [Request(*fields, sample_rate) for fields in zip(keys, audio, lists, strict=True)]


def is_single(data) -> bool:
    """Tell whether an input is one utterance, not a list of them."""
    if isinstance(data, str | os.PathLike):
        return not _names_a_list(data)
    return not _is_collection(data)


def merge_hotword(hotwords, hotword):
    """Take ``hotword``, as FunASR's older models call ``hotwords``; in a string of it, spaces part the words.

    Raises:
        DataError: where both are given.
    """
    if hotword is None:
        return hotwords
    if hotwords is not None:
        raise DataError("hotwords: got hotword as well; expected one of them")
    return hotword.split() if isinstance(hotword, str) and not os.path.isfile(hotword) else hotword


def resolve_hotwords(hotwords, keys: Sequence[str]) -> list[list[str]]:
    """Give each utterance its biasing list.

    Args:
        hotwords: one list for all (strings, a string, or a file with one keyword a line); a list of lists,
            one an utterance; a mapping or a ``biasing_list`` file by utterance id.
        keys: the utterance ids.

    Raises:
        DataError: for a wrong number of lists, ids without a list, wrong types, or a file that is missing.
    """
    if isinstance(hotwords, str | os.PathLike) and _is_biasing_list(hotwords, keys):
        hotwords = read_biasing_list(hotwords)
    if isinstance(hotwords, Mapping):
        missing = [key for key in keys if key not in hotwords]
        if missing:
            raise DataError(
                f"hotwords: no biasing list for {len(missing)} utterance(s), first {missing[0]!r}"
            )
        return _parse_each([hotwords[key] for key in keys])
    if isinstance(hotwords, list | tuple) and any(isinstance(each, list | tuple) for each in hotwords):
        if len(hotwords) != len(keys):
            raise DataError(f"hotwords: got {len(hotwords)} biasing lists for {len(keys)} utterance(s)")
        return _parse_each(hotwords)
    return _parse_each([hotwords] * len(keys))


def _parse_each(lists: Sequence) -> list[list[str]]:
    """Parse biasing lists; utterances that share one object share the result, to be tokenised once."""
    parsed = {key: parse_hotwords(each) for key, each in {id(each): each for each in lists}.items()}
    return [parsed[id(each)] for each in lists]


def _split_texts(texts):
    """Read the text half of FunASR's ("sound", "text"): in a list, one ``word$word`` an utterance."""
    if not isinstance(texts, list | tuple):
        return texts
    return [each.split("$") if isinstance(each, str) else each for each in texts]


def _is_biasing_list(path, keys) -> bool:
    """Tell a ``biasing_list`` file, whose lines begin with utterance ids, from a file of keywords."""
    text = os.fspath(path)
    if "\n" in text or len(text) > 4096:
        return False
    if not os.path.isfile(text):
        if _names_a_file(text):
            raise DataError(f"hotwords: no such file: {text}")
        return False
    if text.endswith((".jsonl", "biasing_list")):
        return True
    with open(text, encoding="utf-8-sig", errors="replace") as stream:
        lines = [line.split(maxsplit=1) for line in stream if line.strip()]
    keys = set(keys)
    if len(keys) > 1 and {line[0] for line in lines} == keys:  # all lists may be empty
        return True
    # Where no id is known, several "$" still say that it is one, and that its ids are those of other speech.
    return any(len(line) > 1 and (line[0] in keys or line[1].count("$") > 1) for line in lines)


def _names_a_file(text: str) -> bool:
    """Tell a path from keywords such as "AC/DC", so that a file that is missing is no keyword."""
    path = Path(text)
    return (
        text.startswith(("/", "./", "../", "~/"))
        or path.name == "biasing_list"
        or ("," not in text and path.suffix in (*LISTS, ".jsonl", ".json"))
    )


def _names_a_list(path: str | os.PathLike) -> bool:
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


def _read_audio(data) -> tuple[list[str], list, list[list[str]]]:
    """Read ids, audio, and the hotwords that the input itself carries."""
    if isinstance(data, str | os.PathLike) and _names_a_list(data):
        return _read_list(local_path(data))
    several = _is_collection(data)
    data = list(data) if several else [data]
    if not data:
        raise DataError("input: got an empty list; expected at least one audio")
    if several and all(isinstance(each, numbers.Real) for each in data):  # a generator's samples
        data = [data]
    if all(isinstance(each, Request) for each in data):
        fields = zip(*((each.key, each.audio, each.hotwords) for each in data), strict=True)
        return tuple(map(list, fields))
    keys = _distinct([_key(each, position) for position, each in enumerate(data)])
    return keys, data, [[] for _ in data]


def _read_list(path: str) -> tuple[list[str], list, list[list[str]]]:
    if not os.path.exists(path):
        raise DataError(f"input: no such file: {path}")
    if Path(path).suffix in LISTS:
        table = read_kaldi(path)
        keys, audio, hotwords = list(table), list(table.values()), [[] for _ in table]
    else:
        utterances = read_jsonl(path)
        keys, audio = [each.key for each in utterances], [each.source for each in utterances]
        hotwords = [list(each.hotwords or ()) for each in utterances]
    if not keys:
        raise DataError(f"input: {path} names no audio; expected at least one line")
    return keys, audio, hotwords


def _key(item, position: int) -> str:
    """Name one audio: a path or URL by its stem, anything else by its place."""
    if isinstance(item, Mapping):
        item = item.get("path")
    if isinstance(item, str | os.PathLike):
        text = os.fspath(item)
        text = urllib.parse.urlsplit(text).path if is_url(text) else _local_name(text)
        # As Kaldi's files can hold it.
        stem = re.sub(r"[\s\x00-\x1f\x7f\ufeff]+|^\{", "_", Path(text).stem)
        if stem:
            return stem
    return f"audio_{position}"


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
