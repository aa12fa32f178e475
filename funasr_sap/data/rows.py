"""Transcripts as people have them (text, CSV, Excel, JSON, JSONL), read into rows of named fields.

- a folder of ``.txt`` files: one transcript a file, named like its audio;
- ``.txt``, or a file without suffix: ``name transcript`` lines, parted by the first tab, else by blanks;
- ``.csv``, ``.tsv``, ``.xlsx``: the first row names the columns;
- ``.json``: a list of objects, or an object of ``"name": "transcript"`` or ``"name": {...}``;
- ``.jsonl``: an object a line. ChatML lines get their parts (`funasr_sap.data.jsonl`) as fields.
"""

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from funasr_sap.data.audio_index import audio_stem
from funasr_sap.data.jsonl import parse_record
from funasr_sap.data.kaldi import iter_lines, parse_json
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.extras import import_extra

# What fields are called in data sets of various makers; the first that a row has is taken.
FIELDS = {
    "key": ("key", "utt", "utt_id", "id"),
    "audio": (
        *("audio.path", "audio", "audio_path", "audio_filepath", "wav", "wav_path", "path"),
        *("file", "file_name", "filename", "source"),
    ),
    "text": ("text", "sentence", "transcript", "transcription", "txt", "target"),
    "recording": ("recording", "recording_id"),
    "hotwords": ("hotwords",),
    "keywords": ("keywords",),
}


class Row(NamedTuple):
    """The fields of one utterance, and where they stand (file and line)."""

    place: str
    fields: dict[str, object]

    def get(self, name: str) -> object:
        """Return a field, None where it is missing; ``audio.path`` is ``path`` inside ``audio``."""
        value: object = self.fields
        for part in [name] if name in self.fields else name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def find(self, name: str) -> object:
        """Return a field as `get` does, whatever the case of its name: a column may be called ``Text``."""
        value = self.get(name)
        if value is None:
            value = next((self.fields[each] for each in self.fields if each.casefold() == name), None)
        return value


def read_rows(path: str | os.PathLike, sheet: str | None = None) -> list[Row]:
    """Read a file or folder of transcripts; its suffix tells the format.

    Args:
        path: see the module's text.
        sheet: of an Excel file; the first where not given.

    Raises:
        DataError: names every bad line; or nothing is there.
        ConfigError: a suffix that is not known, or a sheet that is not there.
    """
    path = Path(path)
    problems: list[str] = []
    suffix = path.suffix.lower()
    if path.is_dir():
        rows = list(_text_files(path, problems))
    elif suffix == ".xlsx":
        rows = list(_excel(path, sheet, problems))
    elif suffix in READERS:
        rows = list(READERS[suffix](path, problems))
    else:
        raise ConfigError(f"{path} ends in {suffix!r}, expected a folder or one of .xlsx {' '.join(READERS)}")
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    if not rows:
        raise DataError(f"{path} has no utterances")
    return rows


def _text_files(folder: Path, problems: list[str]) -> Iterator[Row]:
    for path in sorted(folder.rglob("*.txt")):
        text = " ".join(line.strip() for _, line in iter_lines(path, problems))
        yield Row(str(path), {"audio": path.relative_to(folder).with_suffix("").as_posix(), "text": text})


def _text_lines(path: Path, problems: list[str]) -> Iterator[Row]:
    for number, line in iter_lines(path, problems):
        name, _, text = line.strip().partition("\t") if "\t" in line.strip() else _at_blanks(line)
        yield Row(f"{path}:{number}", {"audio": name.strip(), "text": text.strip()})


def _at_blanks(line: str) -> tuple[str, str, str]:
    name, *text = re.split(r"[ \u3000]+", line.strip(), maxsplit=1)
    return name, " ", "".join(text)


def _csv(path: Path, problems: list[str]) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter)
            yield from _table(((f"{path}:{reader.line_num}", cells) for cells in reader), problems)
    except UnicodeDecodeError as error:
        problems.append(
            f"{path}: byte {error.start + 1} is not UTF-8; save the table as CSV UTF-8, or as .xlsx"
        )


def _excel(path: Path, sheet: str | None, problems: list[str]) -> Iterator[Row]:
    import zipfile

    openpyxl = import_extra("openpyxl", f"to read {path}")  # takes a third of a second to import
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{path} is not an Excel file (.xlsx): {error}") from error
    if sheet is not None and sheet not in book.sheetnames:
        raise ConfigError(f"{path} has no sheet {sheet!r}; it has {', '.join(map(repr, book.sheetnames))}")
    cells = book[sheet or book.sheetnames[0]].iter_rows(values_only=True)
    shown = (["" if cell is None else str(cell) for cell in row] for row in cells)
    yield from _table(((f"{path}, row {number}", row) for number, row in enumerate(shown, 1)), problems)
    book.close()


def _table(rows: Iterator[tuple[str, list[str]]], problems: list[str]) -> Iterator[Row]:
    """Yield the rows below the first, which names the columns; blank rows are passed over."""
    names = None
    for place, cells in rows:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if names is None:
            names = cells
            doubles = {name for name in names if name and names.count(name) > 1}
            if doubles:
                problems.append(f"{place}: two columns are named {', '.join(sorted(doubles))}")
        elif any(cells[len(names) :]):
            problems.append(f"{place}: {len(cells)} cells, expected {len(names)} ({', '.join(names)})")
        else:
            yield Row(place, {name: cell for name, cell in zip(names, cells, strict=False) if name})


def _json(path: Path, problems: list[str]) -> Iterator[Row]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        problems.append(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}")
        return
    except UnicodeDecodeError as error:
        problems.append(f"{path}: byte {error.start + 1} is not UTF-8")
        return
    if isinstance(content, dict):
        content = [
            {"key": audio_stem(name), "audio": name} | (value if isinstance(value, dict) else {"text": value})
            for name, value in content.items()
        ]
    if not isinstance(content, list):
        problems.append(f"{path}: expected a list or an object, got {type(content).__name__}")
        return
    for number, entry in enumerate(content, 1):
        yield from _object(f"{path}, entry {number}", entry, problems)


def _jsonl(path: Path, problems: list[str]) -> Iterator[Row]:
    for number, line in iter_lines(path, problems):
        try:
            record = parse_json(line)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        yield from _object(f"{path}:{number}", record, problems)


def _object(place: str, record: object, problems: list[str]) -> Iterator[Row]:
    if not isinstance(record, dict):
        problems.append(f"{place}: expected a JSON object, got {json.dumps(record, ensure_ascii=False):.80}")
        return
    if "messages" in record:
        try:
            utterance = parse_record(record)
        except ValueError as error:
            problems.append(f"{place}: {error}")
            return
        parts = {name: getattr(utterance, name) for name in ("key", "text", "hotwords", "keywords")}
        yield Row(place, {**record, "audio": utterance.source, **parts})
    else:
        yield Row(place, record)


READERS = {
    "": _text_lines,
    ".txt": _text_lines,
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _jsonl,
}
