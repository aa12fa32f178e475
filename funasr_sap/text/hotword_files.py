"""The words of a file of hotwords: one keyword a line, or JSON, YAML, CSV, weights and comments."""

import csv
import json
import re
from collections.abc import Sequence

import yaml

from funasr_sap.errors import DataError
from funasr_sap.text.hotwords import (
    COMMAS,
    LIST_FIELDS,
    SEPARATORS,
    WORD_FIELDS,
    ReadList,
    Remarks,
    as_hotwords,
    drop_weights,
    is_number,
    parse_value,
    split_hotwords,
    structure,
)

TABLES = {".csv": ",", ".tsv": "\t"}
OTHER_COLUMNS = (
    *(
        "weight",
        "weights",
        "score",
        "scores",
        "boost",
        "count",
        "freq",
        "frequency",
        "id",
        "type",
        "category",
    ),
    *("lang", "language", "pinyin", "comment", "note", "权重", "得分"),
)
YAML_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # makes strings, lists and dicts alone

_COMMENT = re.compile(r"\s*#")
_HASHTAG = re.compile(r"\s*#[^\s#]")
_BEHIND = re.compile(r"[ \t]+#[ \t].*")  # a comment behind a keyword
_BULLET = re.compile(r"\s*[-*•]\s+(?=\S)")
_NUMBERED = re.compile(r"\s*\(?\d+(?:[.):：、]\s*|\s+)(?=[^\W\d])")  # "1. word", and "20 word" of uniq -c
_NAMED_LIST = re.compile(r"\s*(\w+)\s*[:=]\s*([\[{].*[\]}])\s*", re.DOTALL)  # as in YAML and TOML
_COMMA_WEIGHT = re.compile(r"(.*\S)\s*[,，;；|]\s*[-+]?\d+(?:\.\d+)?\s*")
_BY_ID = re.compile(r"\S+[ \t]+(?:\S.*\$.*\S|\[.*\])\s*|\{.*\}\s*")


def parse_content(text: str, suffix: str, remarks: Remarks) -> ReadList | dict | list:
    """Read the content of a file of hotwords.

    Args:
        text: the content, without a byte order mark.
        suffix: of its name, as ".json"; a file so named must be what it says.
        remarks: gets what is odd.

    Returns:
        As ``parse_value``.

    Raises:
        DataError: for JSON or YAML that is none.
    """
    suffix = suffix.casefold()
    if suffix in (".json", ".yaml", ".yml") and text.strip():
        return parse_value(_load(text, suffix), remarks)
    named = _NAMED_LIST.fullmatch(text)
    found = structure(named[2] if named and named[1].casefold() in LIST_FIELDS else text)
    found = _read_objects(text) if found is None else found
    if found is not None:
        return parse_value(found, remarks)
    lines = _take_off_comments([line for line in text.splitlines() if line.strip()], remarks)
    words = _read_table(lines, suffix, remarks)
    return as_hotwords(_read_lines(lines, remarks) if words is None else words, remarks)


def _load(text: str, suffix: str) -> object:
    try:
        return json.loads(text) if suffix == ".json" else yaml.load(text, YAML_LOADER)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "JSON" if suffix == ".json" else "YAML"
        reason = " ".join(str(error).split())
        raise DataError(f"not {kind} ({reason:.100}); expected a list of words") from None


def _read_objects(text: str) -> list | None:
    """Read lines that are JSON objects with a word each; None where they are others."""
    lines = text.split("\n") if text.lstrip().startswith("{") else []
    try:
        found = [json.loads(line) for line in lines if line.strip()]
    except ValueError:
        return None
    named = [isinstance(each, dict) and not {*each}.isdisjoint(WORD_FIELDS) for each in found]
    return found if found and all(named) else None


def _take_off_comments(lines: list[str], remarks: Remarks) -> list[str]:
    """Leave out lines that begin with #, unless all are hashtags, and what stands behind " # "."""
    kept = [_BEHIND.sub("", line) for line in lines if not _COMMENT.match(line)]
    hashtags = [line for line in lines if _HASHTAG.match(line)]
    if not kept:
        return hashtags
    remarks.note("comment", hashtags)
    return kept


def _read_table(lines: list[str], suffix: str, remarks: Remarks) -> list[str] | None:
    """Read a table: the column of keywords, which its header names, or all cells that are no numbers.

    Returns:
        None where the lines are no table.
    """
    delimiter = _find_delimiter(lines, suffix)
    if delimiter is None:
        return None
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    header = [cell.casefold() for cell in rows[0]] if rows else []
    column = next((place for place, cell in enumerate(header) if cell in WORD_FIELDS), None)
    if column is not None:
        rows = [row for row in rows[1:] if row[column:]]
    remarks.note("weight", [row[column or 0] for row in rows if any(map(is_number, row[1:]))])
    if column is not None:
        return [row[column] for row in rows]
    return [cell for row in rows for place, cell in enumerate(row) if not (place and is_number(cell))]


def _find_delimiter(lines: list[str], suffix: str) -> str | None:
    """Return what parts the cells of a table, which its suffix or its header tells; None for no table."""
    found = next((each for each in "\t,;|，；" if lines and each in lines[0]), None)
    if suffix in TABLES:
        return found or TABLES[suffix]
    header = {cell.strip().strip("\"'").casefold() for cell in lines[0].split(found)} if found else set()
    is_header = len(lines) > 1 and header <= {*WORD_FIELDS, *OTHER_COLUMNS} and header & {*WORD_FIELDS}
    return found if is_header else None


def _read_lines(lines: list[str], remarks: Remarks) -> list[str]:
    """Read one keyword a line; a line of several, with commas between them, is parted."""
    if lines and lines[0].strip().endswith(":") and lines[0].strip(" :").casefold() in LIST_FIELDS:
        lines = lines[1:]  # YAML's name of the list that follows
    if lines and all(map(_BULLET.match, lines)):
        lines = [_BULLET.sub("", line, count=1) for line in lines]
    if len(lines) > 1 and all(map(_NUMBERED.match, lines)):
        lines = [_NUMBERED.sub("", line, count=1) for line in lines]
    remarks.note("biasing_list", _lines_by_id(lines))
    lines = _drop_comma_weights([_unquoted(line) for line in lines], remarks)
    lines = drop_weights(lines, remarks)
    tight = {line for line in lines if re.search(f"[{COMMAS}]\\S", line)}
    parted = {line for line in lines if _holds_several(line) or len(lines) == 1}
    if 2 * sum(1 for line in lines if line in tight) > len(lines):
        parted |= tight
    words = []
    for line in lines:
        words += split_hotwords(line, SEPARATORS + "\t" if line in parted else "\t")
    if len(lines) > 1:
        remarks.note("parted", [line for line in lines if line in parted])
    return words


def _lines_by_id(lines: Sequence[str]) -> Sequence[str]:
    """Return all lines where most look like ``utt word$word``, none otherwise."""
    return lines if 2 * sum(1 for line in lines if _BY_ID.fullmatch(line)) > len(lines) else ()


def _drop_comma_weights(lines: list[str], remarks: Remarks) -> list[str]:
    """Take ``,20`` off where most lines end so."""
    found = {line: match[1] for line in lines if (match := _COMMA_WEIGHT.fullmatch(line))}
    if 2 * sum(1 for line in lines if line in found) <= len(lines):
        return lines
    remarks.note("weight", list(found))
    return [found.get(line, line) for line in lines]


def _holds_several(line: str) -> bool:
    """Tell a line with two commas, those between digits left out, or with one Chinese separator."""
    separators = re.findall(f"[{SEPARATORS}]", re.sub(r"(?<=\d),(?=\d)", "", line))
    return len(separators) > 1 or not {*separators} <= {",", ";"}


def _unquoted(line: str) -> str:
    """Take off quotes, and a comma at the end, as of lines that stood in a program."""
    line = line.strip().rstrip(SEPARATORS).rstrip()
    return line[1:-1] if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'" else line
