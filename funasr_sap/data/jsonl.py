"""The JSONL that training and decoding read: one utterance a line.

A line written here is Fun-ASR-Nano's ChatML line (``generate_chatml`` in funasr/models/fun_asr_nano/model.py)
with three keys more: ``key``, ``hotwords`` (the biasing list) and ``keywords`` (its true part). Three kinds
of lines are read:

- ChatML: ``{"messages": [...]}``, with ``<|startofspeech|>!PATH<|endofspeech|>`` in the user's message;
- FunASR's own: ``{"key", "source", "target"}``;
- SAP²-ASR's: ``{"messages": [...], "audios": PATH or [PATH]}``, see `funasr_sap.data.sap2_asr`. The release
  writes one JSON array instead of lines; that is read too.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator

from funasr_sap.data.chat import parse_chat
from funasr_sap.data.files import atomic_write
from funasr_sap.data.json_array import iter_array
from funasr_sap.data.kaldi import Ids, as_object, check_id, iter_lines, parse_json, parse_words
from funasr_sap.data.sap2_asr import split_answer, split_keywords
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

SYSTEM_PROMPT = "You are a helpful assistant."
USER_PROMPT = "语音转写："
_encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder a line


def read_jsonl(path: str | os.PathLike) -> list[Utterance]:
    """Read all utterances of a JSONL file, in file order.

    Raises:
        DataError: names every bad line, with the reason.
    """
    return list(iter_jsonl(path))


def iter_jsonl(path: str | os.PathLike, problems: list[str] | None = None) -> Iterator[Utterance]:
    """Stream the utterances of a JSONL file.

    A line without ``key`` gets its audio file's name without folder and suffix, as in FunASR. A key that
    comes twice is a bad line.

    Args:
        path: the file.
        problems: gets ``file:line: reason`` for each bad line; without it they are an error.

    Raises:
        DataError: after the last good utterance; names every bad line, with the reason.
    """
    bad: list[str] = [] if problems is None else problems
    ids = Ids()
    for number, place, text in _iter_texts(path, bad):
        try:
            utterance = parse_record(parse_json(text))
            ids.add(utterance.key, number)
        except ValueError as error:
            bad.append(f"{place}: {error}")
            continue
        yield utterance
    if bad and problems is None:
        raise DataError.from_lines(f"cannot use {path}", bad)


def format_record(utterance: Utterance) -> dict:
    """Return the object that a line holds, without what is not known; ValueError on a bad key or source."""
    source = utterance.source
    if not source or source.strip() in ("", "!") or source.startswith("!") or "<|endofspeech|>" in source:
        # "!!" is Fun-ASR-Nano's mark for samples handed over in memory.
        raise ValueError(f"the source {source!r} of {utterance.key!r} cannot stand in a ChatML line")
    messages = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": f"{USER_PROMPT}<|startofspeech|>!{source}<|endofspeech|>"},
    ]
    if utterance.text is not None:
        messages.append({"role": "assistant", "content": utterance.text})
    record = {"key": check_id(utterance.key), "messages": messages}
    for name in ("speech_length", "text_length", "hotwords", "keywords"):
        value = getattr(utterance, name)
        if value is not None:
            record[name] = list(value) if isinstance(value, tuple) else value
    return record


def format_funasr_record(utterance: Utterance) -> dict:
    """Return the object of one of FunASR's lines, without what is not known; ValueError on a bad source."""
    if not utterance.source or utterance.source.strip() in ("", "!"):
        raise ValueError(f"the source {utterance.source!r} of {utterance.key!r} names no audio")
    record = {
        "key": check_id(utterance.key),
        "source": utterance.source,
        "source_len": utterance.speech_length,
        "target": utterance.text,
        "target_len": utterance.text_length,
    }
    return {name: value for name, value in record.items() if value is not None}


def write_jsonl(
    path: str | os.PathLike,
    utterances: Iterable[Utterance],
    to_record: Callable[[Utterance], dict] = format_record,
) -> int:
    """Write utterances in the order given, atomically; returns how many.

    Args:
        path: the file to write.
        utterances: may be a generator; where it fails, nothing is written.
        to_record: makes the object of a line.

    Raises:
        DataError: a key or source that a line cannot hold, or a key that comes twice.
    """
    ids = Ids()
    count = 0
    with atomic_write(path) as stream:
        for count, utterance in enumerate(utterances, 1):
            try:
                ids.add(utterance.key, count)
                stream.write(_encode(to_record(utterance)) + "\n")
            except ValueError as error:
                raise DataError(f"cannot write {path}, line {count}: {error}") from error
    return count


def parse_record(record: object) -> Utterance:
    """Read the object of one line, of any of the three kinds; ValueError with the reason where it is none."""
    record = as_object(record)
    hotwords, keywords = None, None
    if "messages" in record:
        chat = parse_chat(record)
        source, text = _one_source(chat.audio), chat.answer
        if chat.context is not None:
            hotwords = split_keywords(chat.context)
            text, keywords = split_answer(chat.prompt, text)
    else:
        source = audio_source(record)
        text = record.get("target")
        if text is not None and not isinstance(text, str):
            raise ValueError(f"the transcript is {text!r:.80}, expected a string")
    return Utterance(
        key=key_of(record) or file_stem(source),
        source=source,
        text=text,
        hotwords=_words(record, "hotwords", hotwords),
        keywords=_words(record, "keywords", keywords),
        speech_length=length_of(record, "speech_length", "source_len"),
        text_length=length_of(record, "text_length", "target_len"),
    )


def audio_source(record: object) -> str:
    """Return the audio that a line names; ValueError where it names none or several."""
    record = as_object(record)
    if "messages" in record:
        return _one_source(parse_chat(record).audio)
    if "source" not in record:
        raise ValueError(f'expected "messages" or "source", got the keys {sorted(record)}')
    return _one_source(record["source"])


def key_of(record: dict) -> str | None:
    """Return the id that a line has, or None; ValueError on a bad one."""
    key = record.get("key")
    if isinstance(key, list) and len(key) == 1:  # FunASR's batches of one
        key = key[0]
    if key is None:
        return None
    if not isinstance(key, str):
        raise ValueError(f'"key" is {json.dumps(key, ensure_ascii=False):.80}, expected a string')
    return check_id(key)


def file_stem(source: str) -> str:
    """Return the id of an utterance that has none: its audio's file name without folder and suffix."""
    return check_id(re.sub(r"\s+", "_", os.path.splitext(os.path.basename(source))[0]))


def length_of(record: dict, *names: str) -> int | None:
    """Return the first of the named lengths that a line has, or None; ValueError on a bad one."""
    for name in names:
        value = record.get(name)
        if value is None:
            continue
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value % 1
            or not 0 <= value < 2**31
        ):
            shown = json.dumps(value, ensure_ascii=False)
            raise ValueError(f'"{name}" is {shown:.80}, expected a whole number below 2**31')
        return int(value)
    return None


def holds_array(path: str | os.PathLike) -> bool:
    """Tell a file that is one JSON array from one of lines, by its beginning."""
    if not os.path.isfile(path):  # what is read from a pipe is gone
        return False
    with open(path, "rb") as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _iter_texts(path: str | os.PathLike, problems: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, place and text of each line, or of each entry of the file's one array."""
    if holds_array(path):
        for number, (line, text) in enumerate(iter_array(path, problems), 1):
            yield line, f"{path}:{line}, entry {number}", text
    else:
        for number, line in iter_lines(path, problems):
            yield number, f"{path}:{number}", line


def _one_source(found: object) -> str:
    source = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(source, str) or source.strip() in ("", "!"):
        raise ValueError(f"expected one audio path, got {json.dumps(found, ensure_ascii=False):.80}")
    return source


def _words(record: dict, name: str, default: tuple[str, ...] | None) -> tuple[str, ...] | None:
    value = record.get(name)
    if value is None:
        return default
    if isinstance(value, str):  # FunASR takes "a, b" as well (fun_asr_datasets/multicontext_prompt.py)
        return split_keywords(value)
    return tuple(parse_words(value))
