"""Transcripts as people have them, joined with their audio by file name, measured and split."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from funasr_sap.data.audio_header import AudioHeader, read_header
from funasr_sap.data.audio_index import AudioIndex, audio_stem
from funasr_sap.data.jsonl import Utterance
from funasr_sap.data.kaldi import check_id
from funasr_sap.data.processes import ordered_map
from funasr_sap.data.rows import FIELDS, Row, read_rows
from funasr_sap.data.split import NAMES, parse_ratio, split
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.text.blank import is_blank, warn_of_blank
from funasr_sap.text.hotwords import COMMAS, split_hotwords

LISTS = ("hotwords", "keywords")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """An utterance with what only some formats hold: its audio's length, its recording, further fields."""

    utterance: Utterance
    place: str
    recording: str
    extra: dict[str, object]
    header: AudioHeader | None = None

    @property
    def measured(self) -> AudioHeader:
        """The header, which only ``measure`` reads."""
        if self.header is None:
            raise DataError(f"{self.place}: its audio was not measured")
        return self.header

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.measured.samples / self.measured.rate


@dataclass
class Mapper:
    """How rows become utterances.

    Attributes:
        fields: which field holds ``key``, ``audio``, ``text``, ``recording``, ``hotwords`` or ``keywords``,
            where it has none of the names in `FIELDS`.
        keep: fields that JSONL lines get as they are.
        add: fields that all JSONL lines get.
        recording: finds the recording in an utterance's key: the first group, or all that matches. By default
            the key up to its last "-" or "_". A key that does not match is a recording of its own.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()
    add: Mapping[str, str] = field(default_factory=dict)
    recording: str = r"(.+)[-_]"

    def __post_init__(self):
        unknown = sorted(set(self.fields) - set(FIELDS))
        if unknown:
            raise ConfigError(f"cannot map {', '.join(unknown)}; expected some of {', '.join(FIELDS)}")
        try:
            self._recording = re.compile(self.recording)
        except re.error as error:
            raise ConfigError(
                f"the recording {self.recording!r} is not a regular expression: {error}"
            ) from error

    def read(self, row: Row) -> Entry:
        """Make an utterance of a row; ValueError with the reason where it is none."""
        audio, text = self._get(row, "audio"), self._get(row, "text")
        if not isinstance(audio, str) or not audio:
            raise ValueError(self._missing(row, "audio", audio))
        if text is None or isinstance(text, list | dict):
            raise ValueError(self._missing(row, "text", text))
        key, recording = self._get(row, "key"), self._get(row, "recording")
        key = check_id(re.sub(r"\s+", "_", audio_stem(audio)) if key in (None, "") else str(key))
        if recording in (None, ""):
            found = self._recording.match(key)
            recording = found.group(min(1, self._recording.groups)) if found else key
        hotwords, keywords = (_words(self._get(row, name)) for name in LISTS)
        extra = {name: row.get(name) for name in self.keep if row.get(name) is not None} | dict(self.add)
        text = re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip()
        return Entry(Utterance(key, audio, text, hotwords, keywords), row.place, str(recording), extra)

    def _get(self, row: Row, name: str) -> object:
        """Return the first field that is not empty, an empty one where all are, None where there is none."""
        if name in self.fields:
            return row.get(self.fields[name])
        values = [value for value in map(row.find, FIELDS[name]) if value is not None]
        return next((value for value in values if value != ""), "" if values else None)

    def _missing(self, row: Row, name: str, got: object) -> str:
        if got:
            return f"the {name} is {got!r:.80}, expected text"
        if got == "":
            return f"the {name} is empty"
        expected = self.fields.get(name) or f"one of {' '.join(FIELDS[name])}, or --fields {name}=FIELD"
        return f"no {name} (fields: {', '.join(row.fields)}; expected {expected})"


def read_entries(
    path: str, mapper: Mapper, audio_dir: str | None, sheet: str | None = None, lenient: bool = False
) -> list[Entry]:
    """Read transcripts and join them with their audio.

    Args:
        path: what `funasr_sap.data.rows` reads.
        mapper: how rows become utterances.
        audio_dir: where the audio is looked for by name; without it rows hold paths.
        sheet: of an Excel file.
        lenient: leave out, by name, what has no partner.

    Raises:
        DataError: bad rows, ids that come twice, or, unless lenient, rows or audio without a partner.
    """
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    for row in read_rows(path, sheet):
        try:
            entry = mapper.read(row)
        except ValueError as error:
            problems.append(f"{row.place}: {error}")
            continue
        first = entries.setdefault(entry.utterance.key, entry)
        if first is not entry:
            problems.append(f"{row.place}: the id {entry.utterance.key!r} is in {first.place} already")
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    blank = [entry.utterance.key for entry in entries.values() if is_blank(entry.utterance.transcript)]
    warn_of_blank(path, blank, "they are written all the same, training leaves them out")
    return _find_audio(list(entries.values()), audio_dir, lenient) if audio_dir else list(entries.values())


def _find_audio(entries: list[Entry], audio_dir: str, lenient: bool) -> list[Entry]:
    """Put the files' paths in place of the names that rows have."""
    index = AudioIndex(audio_dir)
    found, lonely, doubles = {}, [], []
    for entry in entries:
        try:
            path = index.find(entry.utterance.audio)
        except ValueError as error:
            lonely.append(f"{entry.place}: {error}")
            continue
        first = found.setdefault(path, entry)
        if first is not entry:
            doubles.append(f"{entry.place}: its audio {path} is that of {first.place}")
    if doubles:
        raise DataError.from_lines("two transcripts for one audio file", doubles)
    lonely += [f"{path}: no transcript" for path in index if path not in found]
    if lonely and (not lenient or not found):
        raise DataError.from_lines(
            "transcripts and audio without a partner (--lenient leaves them out)", lonely
        )
    for line in lonely:
        logger.warning("left out %s", line)
    return [replace(e, utterance=replace(e.utterance, source=str(path))) for path, e in found.items()]


def measure(entries: Sequence[Entry], jobs: int | None = None, lenient: bool = False) -> list[Entry]:
    """Read the audio headers.

    Raises:
        DataError: unreadable audio; all files in one error. Where lenient, they are left out and named.
    """
    paths = [entry.utterance.audio for entry in entries]
    measured, bad = [], []
    for entry, header in zip(entries, ordered_map(_header, paths, jobs, "audio headers"), strict=True):
        if isinstance(header, str):
            bad.append(f"{entry.place}: {entry.utterance.source}: {header}")
        else:
            measured.append(replace(entry, header=header))
    if bad and (not lenient or not measured):
        raise DataError.from_lines("unreadable audio (--lenient leaves it out)", bad)
    for line in bad:
        logger.warning("left out %s", line)
    return measured


def split_entries(entries: list[Entry], ratio: str, by: str, seed: int) -> dict[str, list[Entry]]:
    """Split into train, valid and test, each in the order of the entries.

    Args:
        entries: the data set.
        ratio: for example 8:1:1.
        by: "utterance" or "recording", of which no part shares one with another.
        seed: of the drawing.

    Raises:
        DataError: fewer utterances or recordings than parts.
        ConfigError: another ratio or unit.
    """
    if by not in ("utterance", "recording"):
        raise ConfigError(f"by is {by!r}, expected 'utterance' or 'recording'")
    shares = parse_ratio(ratio)
    groups = [entry.recording if by == "recording" else entry.utterance.key for entry in entries]
    parts: dict[str, list[Entry]] = {name: [] for name in NAMES[: len(shares)]}
    for entry, part in zip(entries, split(groups, shares, seed), strict=True):
        parts[NAMES[part]].append(entry)
    return parts


def _header(path: str) -> AudioHeader | str:
    try:
        return read_header(path)
    except ValueError as error:
        return str(error)


def _words(value: object) -> tuple[str, ...] | None:
    """Read a list of words, or text with ``$`` or commas between them."""
    if value is None:
        return None
    words = value if isinstance(value, list | tuple) else split_hotwords(str(value), f"${COMMAS}")
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"got the words {value!r:.80}, expected text")
    return tuple(word.strip() for word in words if word.strip())
