"""Kaldi-style files: ``wav.scp``, ``text``, ``segments`` and biasing lists.

One utterance a line, its id first, then spaces or tabs, then its value; blank lines are ignored, a byte order
mark and Windows line ends are accepted. Readers read the whole file and report all bad lines in one error.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import orjson

from funasr_sap.data.files import atomic_write
from funasr_sap.errors import DataError
from funasr_sap.text.hotwords import split_hotwords

FilePath = str | os.PathLike
Value = TypeVar("Value")

# Only these separate fields: an ideographic space or a no-break space may be part of a transcript.
BLANKS = " \t\r\n"
_LINE = re.compile(r"([^ \t]*)(?:[ \t]+(.*))?", re.DOTALL)
_BAD_ID = re.compile(r"[\s\x00-\x1f\x7f\ufeff]|^\{")  # "{" starts a JSON line

# A word such as [laughter] is not a list, a list of something else than words is one, and an error.
_JSON_LIST = re.compile(r'\[\s*(?:"|\]|-?\d|\[|\{|(?:null|true|false)\b)')


class Segment(NamedTuple):
    """A part of a recording; ``start`` and ``end`` in seconds, ``end`` None = up to the recording's end."""

    recording: str
    start: float
    end: float | None


def read_kaldi(
    path: FilePath, allow_empty: bool = False, problems: list[str] | None = None
) -> dict[str, str]:
    """Read ``utt value...`` lines in file order.

    Args:
        path: for example ``wav.scp`` or ``text``.
        allow_empty: an id without a value is an empty string (a transcript may be empty, a path may not).
        problems: gets ``file:line: reason`` for each bad line; without it they are an error.

    Raises:
        DataError: names every bad line: not UTF-8, a bad or repeated id, a missing value.
    """

    def parse(line: str) -> tuple[str, str]:
        utt_id, value = _split(line)
        if not value and not allow_empty:
            raise ValueError(f"{utt_id!r} has no value, expected 'id value'")
        return utt_id, value

    return _read(path, parse, problems)


def write_kaldi(path: FilePath, mapping: Mapping[str, str]) -> None:
    """Write ``utt value`` lines, sorted by id in byte order (as ``LC_ALL=C sort`` does), atomically.

    Blanks around a value are not kept.

    Raises:
        DataError: an id or a value that a line cannot hold.
    """
    _write(path, ((utt_id, mapping[utt_id].strip(BLANKS)) for utt_id in sorted(mapping)))


def read_biasing_list(path: FilePath, problems: list[str] | None = None) -> dict[str, list[str]]:
    """Read the biasing list of each utterance.

    Lines are ``utt word$word$...``, ``utt ["word", "word"]``, ``utt`` alone (an empty list) or a JSON object
    with ``key`` and ``hotwords``; a file may mix them.

    Args:
        path: the file.
        problems: gets ``file:line: reason`` for each bad line; without it they are an error.

    Raises:
        DataError: names every bad line.
    """
    return _read(path, _parse_biasing_line, problems)


def write_biasing_list(path: FilePath, mapping: Mapping[str, Sequence[str]]) -> None:
    """Write biasing lists, sorted by id, atomically: ``utt word$word``, or JSON where that is ambiguous.

    Raises:
        DataError: an id that a line cannot hold.
    """
    _write(path, ((utt_id, _biasing_value(mapping[utt_id])) for utt_id in sorted(mapping)))


def read_segments(path: FilePath) -> dict[str, Segment]:
    """Read ``utt recording start end`` lines; times in seconds, an end of -1 is the end of the recording.

    Raises:
        DataError: names every bad line.
    """
    return _read(path, _parse_segment)


class Line(NamedTuple):
    """A line: its number from 1, its text, and where it stands in the file (bytes, its end included)."""

    number: int
    text: str
    offset: int
    size: int


def iter_lines(path: FilePath, problems: list[str]) -> Iterator[tuple[int, str]]:
    """Stream the lines of a UTF-8 file that are not blank, with their numbers from 1.

    Args:
        path: the file; a byte order mark at its start and carriage returns at line ends are taken off.
        problems: gets ``file:line: reason`` for each line that is not UTF-8; such a line is not yielded.
    """
    for line in locate_lines(path, problems):
        yield line.number, line.text


def locate_lines(path: FilePath, problems: list[str]) -> Iterator[Line]:
    """Stream lines as `iter_lines` does, with their places in the file."""
    offset = 0
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, 1):
            start, offset = offset, offset + len(raw)
            try:
                text = decode_line(raw, first=start == 0)
            except UnicodeDecodeError as error:
                bad = error.object[error.start]
                problems.append(f"{path}:{number}: byte {error.start + 1} (0x{bad:02x}) is not UTF-8")
                continue
            if text.strip(BLANKS):
                yield Line(number, text, start, len(raw))


def decode_line(raw: bytes, first: bool) -> str:
    """Decode a line of a UTF-8 file; at the ``first`` one stands no byte order mark after this."""
    return raw.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")


def check_id(utt_id: str) -> str:
    """Return the id of an utterance, or raise ValueError where Kaldi files cannot hold it."""
    bad = _BAD_ID.search(utt_id)
    if bad:
        raise ValueError(f"{utt_id!r} cannot be an id, it contains {bad.group()!r}")
    if not utt_id:
        raise ValueError("the id is empty")
    return utt_id


class Ids:
    """The ids seen so far and the lines where they were."""

    def __init__(self):
        self._lines: dict[str, int] = {}

    def add(self, utt_id: str, number: int) -> None:
        """Note an id; ValueError with the number of its first line when it was there before."""
        if utt_id in self._lines:
            raise ValueError(f"the id {utt_id!r} is on line {self._lines[utt_id]} already")
        self._lines[utt_id] = number


def parse_words(value: object) -> list[str]:
    """Check that a JSON value is a list of words; ValueError otherwise."""
    # Comparing sets of types is ten times as fast as looking at each word, and lists may have thousands.
    if not isinstance(value, list) or not {str}.issuperset(map(type, value)):
        raise ValueError(f"expected a list of words, got {json.dumps(value, ensure_ascii=False):.80}")
    return value


def as_object(value: object) -> dict:
    """Check that a JSON value is an object; ValueError otherwise."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {json.dumps(value, ensure_ascii=False):.80}")
    return value


def parse_json(text: str) -> object:
    """Parse JSON; ValueError with a short reason otherwise."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error


def _split(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line.strip(BLANKS))
    utt_id, value = found.groups(default="") if found else ("", "")
    return check_id(utt_id), value


def _parse_biasing_line(line: str) -> tuple[str, list[str]]:
    if line.startswith("{"):
        record = as_object(parse_json(line))
        if not isinstance(record.get("key"), str) or "hotwords" not in record:
            raise ValueError(f'expected "key" and "hotwords", got the keys {sorted(record)}')
        return check_id(record["key"]), parse_words(record["hotwords"])
    utt_id, value = _split(line)
    return utt_id, _parse_biasing_value(value)


def _parse_biasing_value(value: str) -> list[str]:
    if _JSON_LIST.match(value):
        return parse_words(parse_json(value))
    if "\t" in value:
        raise ValueError("a tab among the words; expected 'id word$word' or 'id [\"word\", \"word\"]'")
    return split_hotwords(value, "$", BLANKS)


def _biasing_value(words: Sequence[str]) -> str:
    words = list(words)
    value = "$".join(words)
    try:
        if "\n" not in value and _parse_biasing_value(value.strip(BLANKS)) == words:
            return value
    except ValueError:  # words that look like the start of a JSON list
        pass
    return json.dumps(words, ensure_ascii=False)


def _parse_segment(line: str) -> tuple[str, Segment]:
    fields = line.split()
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} fields, expected 'id recording start end'")
    utt_id, recording, start, end = check_id(fields[0]), fields[1], _seconds(fields[2]), _seconds(fields[3])
    if start < 0:
        raise ValueError(f"the start {fields[2]} is negative")
    if end == -1:
        return utt_id, Segment(recording, start, None)
    if end <= start:
        raise ValueError(f"the end {fields[3]} is not after the start {fields[2]}")
    return utt_id, Segment(recording, start, end)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, flags=re.ASCII):
        raise ValueError(f"{text!r} is not a time in seconds")
    return float(text)


def _read(
    path: FilePath, parse: Callable[[str], tuple[str, Value]], problems: list[str] | None = None
) -> dict[str, Value]:
    bad: list[str] = [] if problems is None else problems
    table: dict[str, Value] = {}
    ids = Ids()
    for number, line in iter_lines(path, bad):
        try:
            utt_id, value = parse(line)
            ids.add(utt_id, number)
        except ValueError as error:
            bad.append(f"{path}:{number}: {error}")
            continue
        table[utt_id] = value
    if bad and problems is None:
        raise DataError.from_lines(f"cannot use {path}", bad)
    return table


def _write(path: FilePath, lines: Iterable[tuple[str, str]]) -> None:
    with atomic_write(path) as stream:
        for utt_id, value in lines:
            try:
                check_id(utt_id)
            except ValueError as error:
                raise DataError(f"cannot write {path}: {error}") from error
            if "\n" in value:
                raise DataError(f"cannot write {path}: the value of {utt_id!r} contains a line break")
            stream.write(f"{utt_id} {value}".rstrip(BLANKS) + "\n")
