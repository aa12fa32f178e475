"""The JSONL that training and decoding read: one utterance a line.

A line written here is Fun-ASR-Nano's ChatML line (``generate_chatml`` in funasr/models/fun_asr_nano/model.py)
with three keys more: ``key``, ``hotwords`` (the biasing list) and ``keywords`` (its true part). Three kinds
of lines are read:

- ChatML: ``{"messages": [...]}``, with ``<|startofspeech|>!PATH<|endofspeech|>`` in the user's message;
- FunASR's own: ``{"key", "source", "target"}``;
- SAP2-ASR's: ``{"messages": [...], "audios": PATH or [PATH]}``, with the biasing list between
  ``<|startofcontext|>`` and ``<|endofcontext|>``, separated by commas. The release writes one JSON array
  instead of lines; that is read too.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import Ids, check_id, iter_lines, parse_json, parse_words
from funasr_sap.errors import DataError

SYSTEM_PROMPT = "You are a helpful assistant."
USER_PROMPT = "语音转写："

_SPEECH = re.compile(r"<\|startofspeech\|>!(.*?)<\|endofspeech\|>", re.DOTALL)
_AUDIO_TAG = re.compile(r"<audio>(.+?)</audio>", re.DOTALL)
_CONTEXT = re.compile(r"<\|startofcontext\|>(.*?)<\|endofcontext\|>", re.DOTALL)
_JOINT_ANSWER = re.compile(r"Selected keywords are: (.*?)\.\s*\n\s*Transcription: (.*)", re.DOTALL)
_PRUNING_PROMPT = "select keywords that may appear in the speech"


@dataclass(frozen=True)
class Utterance:
    """One utterance of a data set.

    Attributes:
        key: its id, without blanks.
        source: the audio, as the data set names it (a path, a URL).
        text: the reference transcript, None where the line has none.
        hotwords: the biasing list, None = not known.
        keywords: the rare words, that is the true part of the biasing list; None = not known.
        speech_length: in frames of 10 ms, None = not known.
        text_length: in tokens of the LLM (or words, see `funasr_sap.data.scp2jsonl`), None = not known.
    """

    key: str
    source: str
    text: str | None
    hotwords: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    speech_length: int | None = None
    text_length: int | None = None


def read_jsonl(path: str | os.PathLike) -> list[Utterance]:
    """Read all utterances of a JSONL file, in file order.

    Raises:
        DataError: names every bad line, with the reason.
    """
    return list(iter_jsonl(path))


def iter_jsonl(path: str | os.PathLike) -> Iterator[Utterance]:
    """Stream the utterances of a JSONL file.

    A line without ``key`` gets its audio file's name without folder and suffix, as in FunASR. A key that
    comes twice is a bad line.

    Raises:
        DataError: after the last good utterance; names every bad line, with the reason.
    """
    problems: list[str] = []
    ids = Ids()
    for number, place, record in _iter_records(path, problems):
        try:
            utterance = parse_record(record)
            ids.add(utterance.key, number)
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        yield utterance
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)


def write_jsonl(path: str | os.PathLike, utterances: Iterable[Utterance]) -> int:
    """Write utterances in the order given, atomically; returns how many.

    Raises:
        DataError: a key or source that a line cannot hold, or a key that comes twice.
    """
    ids = Ids()
    count = 0
    with atomic_write(path) as stream:
        for count, utterance in enumerate(utterances, 1):
            try:
                ids.add(utterance.key, count)
                stream.write(json.dumps(format_record(utterance), ensure_ascii=False) + "\n")
            except ValueError as error:
                raise DataError(f"cannot write {path}, line {count}: {error}") from error
    return count


def format_record(utterance: Utterance) -> dict:
    """Return the object that a line holds, without what is not known; ValueError on a bad key or source."""
    source = utterance.source
    if not source or source.startswith("!") or "<|endofspeech|>" in source:
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


def parse_record(record: object) -> Utterance:
    """Read the object of one line, of any of the three kinds; ValueError with the reason where it is none."""
    source = audio_source(record)
    user, answer = _messages(record) if "messages" in record else ("", record.get("target"))
    if answer is not None and not isinstance(answer, str):
        raise ValueError(f"the transcript is {answer!r:.80}, expected a string")
    context = _CONTEXT.search(user)
    text, keywords, hotwords = answer, _words(record, "keywords"), _words(record, "hotwords")
    if context:
        text, kept = _split_answer(user, answer)
        keywords = kept if keywords is None else keywords
        hotwords = _comma_separated(context.group(1)) if hotwords is None else hotwords
    return Utterance(
        key=key_of(record) or _file_stem(source),
        source=source,
        text=text,
        hotwords=hotwords,
        keywords=keywords,
        speech_length=length_of(record, "speech_length", "source_len"),
        text_length=length_of(record, "text_length", "target_len"),
    )


def audio_source(record: object) -> str:
    """Return the audio that a line names; ValueError where it names none or several."""
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {json.dumps(record, ensure_ascii=False):.80}")
    if "messages" in record:
        found = _SPEECH.findall(_messages(record)[0]) or record.get("audios")
        found = found or _AUDIO_TAG.findall(_messages(record)[0])
    elif "source" in record:
        found = record["source"]
    else:
        raise ValueError(f'expected "messages" or "source", got the keys {sorted(record)}')
    sources = found if isinstance(found, list) else [found]
    if len(sources) != 1 or not isinstance(sources[0], str) or sources[0].strip() in ("", "!"):
        raise ValueError(f"expected one audio path, got {json.dumps(found, ensure_ascii=False):.80}")
    return sources[0]


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


def length_of(record: dict, *names: str) -> int | None:
    """Return the first of the named lengths that a line has, or None; ValueError on a bad one."""
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        return None
    value = record[name]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise ValueError(f'"{name}" is {json.dumps(value, ensure_ascii=False):.80}, expected a whole number')
    return int(value)


def _iter_records(path: str | os.PathLike, problems: list[str]) -> Iterator[tuple[int, str, object]]:
    """Yield number, place and value of each line, or of each entry of the file's one array."""
    for number, line in iter_lines(path, problems):
        if number == 1 and line.lstrip().startswith("["):
            yield from _array_entries(path, problems)
            return
        try:
            yield number, f"{path}:{number}", parse_json(line)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")


def _array_entries(path: str | os.PathLike, problems: list[str]) -> Iterator[tuple[int, str, object]]:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            entries = json.load(stream)
    except json.JSONDecodeError as error:
        problems.append(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: byte {error.start + 1} is not UTF-8")
    else:
        yield from ((number, f"{path}, entry {number}", entry) for number, entry in enumerate(entries, 1))


def _messages(record: dict) -> tuple[str, object]:
    """Return the user's message and the assistant's, None where there is no answer."""
    messages = record["messages"]
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "content" in m for m in messages):
        raise ValueError('"messages" is not a list of objects with "role" and "content"')
    users = [m["content"] for m in messages if m.get("role") == "user"]
    answers = [m["content"] for m in messages if m.get("role") == "assistant"]
    if len(users) != 1 or not isinstance(users[0], str) or len(answers) > 1:
        raise ValueError(f"expected one user message and its answer, got {len(users)} and {len(answers)}")
    return users[0], answers[0] if answers else None


def _file_stem(source: str) -> str:
    return check_id(re.sub(r"\s+", "_", os.path.splitext(os.path.basename(source))[0]))


def _split_answer(user: str, answer: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """Split a SAP2-ASR answer into transcript and keywords: a line may ask for either or both."""
    if answer is None:
        return None, None
    joint = _JOINT_ANSWER.fullmatch(answer)
    if joint:
        return joint.group(2), _kept(joint.group(1))
    if _PRUNING_PROMPT in user.lower():
        return None, _kept(answer)
    return answer, None


def _kept(answer: str) -> tuple[str, ...]:
    return () if answer.strip() == "none" else _comma_separated(answer)


def _words(record: dict, name: str) -> tuple[str, ...] | None:
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, str):  # FunASR takes "a, b" as well (fun_asr_datasets/multicontext_prompt.py)
        return _comma_separated(value)
    return tuple(parse_words(value))


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in re.split("[,，]", text) if word.strip())
