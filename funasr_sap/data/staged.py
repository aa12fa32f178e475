"""Staged mixes: general and domain data in given ratios, one JSONL pair (train, val) a stage.

Every stage holds the whole domain set; the general part is drawn to fit the ratio, anew for each stage. Lines
are copied byte for byte, so that any kind of JSONL that `funasr_sap.data.jsonl` reads can be mixed.
"""

import contextlib
import json
import logging
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from funasr_sap.data.files import atomic_write
from funasr_sap.data.jsonl import audio_source, key_of, length_of
from funasr_sap.errors import ConfigError, DataError

DEFAULT_RATIOS = ("50:50", "20:80", "0:100")
SPLITS = ("train", "val")
SOURCES = ("general", "domain")
FRAMES_PER_HOUR = 100 * 3600
PARTS = "parts.json"  # how much of which source is where, beside the stages

logger = logging.getLogger(__name__)


class Line(NamedTuple):
    """Where an utterance's line stands in its file (bytes), and its speech length (10 ms frames) or None."""

    path: str
    offset: int
    size: int
    frames: int | None


@dataclass(frozen=True)
class Part:
    """What one source gives to one file: a row of the table."""

    stage: int
    split: str
    ratio: str
    source: str
    utterances: int
    frames: int | None

    @property
    def hours(self) -> float | None:
        """Hours of speech, None where lines do not say their length."""
        return None if self.frames is None else self.frames / FRAMES_PER_HOUR


def prepare_staged_data(
    files: Mapping[tuple[str, str], str | os.PathLike],
    output_dir: str | os.PathLike,
    ratios: Sequence[str] = DEFAULT_RATIOS,
    by: str = "utterances",
    seed: int = 0,
) -> list[Part]:
    """Write ``stage1..N/{train,val}.jsonl`` and ``parts.json``, each atomically, after all input is checked.

    Args:
        files: the JSONL file of each (source, split): ("general" or "domain", "train" or "val").
        output_dir: gets a folder a stage.
        ratios: "general:domain", one a stage.
        by: the ratio holds for "utterances" (exact to one) or for "hours" (exact to one utterance's length).
        seed: of the drawing and the order of lines.

    Returns:
        How much of which source is where.

    Raises:
        DataError: bad lines, an id twice in the four files, audio both in training and validation sets, an
            empty domain set.
        ConfigError: a ratio that cannot be made.
    """
    _check_unit(by)
    factors = [_parse_ratio(ratio) for ratio in ratios]
    lines = _read_all(files, need_length=by == "hours")
    parts = []
    for stage, (ratio, factor) in enumerate(zip(ratios, factors, strict=True), 1):
        for split in SPLITS:
            rng = random.Random(f"{seed} stage{stage} {split}")
            domain = lines["domain", split]
            wanted = factor * _amount(domain, by)
            general = _draw(lines["general", split], wanted, by, rng)
            if len(general) == len(lines["general", split]):
                _warn_if_short(f"stage {stage} {split}, {ratio}", general, wanted, by)
            mixed = general + domain
            rng.shuffle(mixed)
            _copy(Path(output_dir, f"stage{stage}", f"{split}.jsonl"), mixed)
            for source, chosen in zip(SOURCES, (general, domain), strict=True):
                parts.append(Part(stage, split, ratio, source, len(chosen), _frames(chosen)))
    with atomic_write(Path(output_dir, PARTS)) as stream:
        json.dump([asdict(part) for part in parts], stream, indent=1)
    return parts


def read_parts(staged_dir: str | os.PathLike) -> list[Part]:
    """Read how much of which source ``prepare_staged_data`` has put where.

    Raises:
        DataError: the folder has no such file.
    """
    path = Path(staged_dir, PARTS)
    if not path.is_file():
        raise DataError(f"{path} is missing; make the mixes with funasr-sap staged-data")
    return [Part(**part) for part in json.loads(path.read_text(encoding="utf-8"))]


def format_table(parts: Sequence[Part]) -> str:
    """Lay out utterances, hours and shares per stage, split and source as aligned text."""
    rows = [("stage", "split", "general:domain", "source", "utterances", "share", "hours", "share")]
    for part in parts:
        both = [each for each in parts if (each.stage, each.split) == (part.stage, part.split)]
        utterances = sum(each.utterances for each in both)
        frames = _frames(both)
        rows.append(
            (
                str(part.stage),
                part.split,
                part.ratio,
                part.source,
                str(part.utterances),
                _percent(part.utterances, utterances),
                "?" if part.hours is None else f"{part.hours:.3f}",
                _percent(part.frames, frames),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {0, 1, 2, 3}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _percent(part: int | None, whole: int | None) -> str:
    return f"{100 * part / whole:.1f}%" if part is not None and whole else "?"


def _check_unit(by: str) -> None:
    if by not in ("utterances", "hours"):
        raise ConfigError(f"by is {by!r}, expected 'utterances' or 'hours'")


def _parse_ratio(ratio: str) -> Fraction:
    """Return how much general data goes with one unit of domain data."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", ratio)
    if not match:
        raise ConfigError(f"got the ratio {ratio!r}, expected general:domain, for example 50:50")
    general, domain = map(Fraction, match.groups())
    if not domain:
        raise ConfigError(f"the ratio {ratio!r} has no domain data, but every stage holds all domain data")
    return general / domain


def _read_all(
    files: Mapping[tuple[str, str], str | os.PathLike], need_length: bool
) -> dict[tuple[str, str], list[Line]]:
    """Index the four files; bad lines, ids that come twice and audio on both sides go into one error."""
    problems: list[str] = []
    ids: dict[str, str] = {}
    audio: dict[str, tuple[str, str]] = {}
    lines = {}
    for (source, split), path in files.items():
        lines[source, split] = []
        for place, line, utt_id, wav in _index(os.fspath(path), problems, need_length):
            lines[source, split].append(line)
            first = ids.setdefault(utt_id, place)
            other, there = audio.setdefault(wav, (split, place))
            if first != place:
                problems.append(f"{place}: the id {utt_id!r} is in {first} already")
            elif other != split:
                problems.append(
                    f"{place}: the audio {wav!r} is in {there}; training would see validation data"
                )
    if problems:
        raise DataError.from_lines("cannot mix the data", problems)
    empty = [str(files["domain", split]) for split in SPLITS if not lines["domain", split]]
    if empty:
        raise DataError(f"no utterances in the domain set {' and '.join(empty)}")
    return lines


def _index(path: str, problems: list[str], need_length: bool) -> Iterator[tuple[str, Line, str, str]]:
    """Yield place, line, id and audio of each utterance; ``problems`` gets what is wrong."""
    offset = 0
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, 1):
            place, start = f"{path}:{number}", offset
            offset += len(raw)
            mark = len(b"\xef\xbb\xbf") if number == 1 and raw.startswith(b"\xef\xbb\xbf") else 0
            content = raw[mark:].rstrip(b"\r\n")
            if not content.strip():
                continue
            try:
                utt_id, wav, frames = _identify(content, need_length)
            except ValueError as error:
                problems.append(f"{place}: {error}")
                continue
            yield place, Line(path, start + mark, len(content), frames), utt_id, wav


def _identify(content: bytes, need_length: bool) -> tuple[str, str, int | None]:
    """Return an utterance's id (its audio where the line has no key), its audio and its frames of 10 ms."""
    try:
        record = json.loads(content.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    source = audio_source(record)
    frames = length_of(record, "speech_length", "source_len")
    if frames is None and need_length:
        raise ValueError("no speech_length or source_len, which mixing by hours needs")
    return key_of(record) or source, source, frames


def _draw(general: Sequence[Line], wanted: Fraction, by: str, rng: random.Random) -> list[Line]:
    """Draw lines that amount to what is wanted, to within half a line; all of them where they are too few."""
    # Whole numbers, `scale` to a unit: as exact as Fraction, and quick for millions of lines.
    left, scale = wanted.numerator, wanted.denominator
    drawn = []
    for line in rng.sample(general, len(general)):
        amount = scale * _amount([line], by)
        if 2 * left <= amount:  # without this line the total is as close to what is wanted, or closer
            break
        drawn.append(line)
        left -= amount
    return drawn


def _amount(lines: Sequence[Line], by: str) -> int:
    return len(lines) if by == "utterances" else sum(line.frames or 0 for line in lines)


def _frames(lines: Sequence[Line] | Sequence[Part]) -> int | None:
    known = [line.frames for line in lines if line.frames is not None]
    return sum(known) if len(known) == len(lines) else None


def _warn_if_short(what: str, general: Sequence[Line], wanted: Fraction, by: str) -> None:
    got = _amount(general, by)
    if wanted - got >= 1:
        logger.warning(
            "%s: the general set is too small, %s wanted; all of it, %s, is used once",
            what,
            _shown(wanted, by),
            _shown(got, by),
        )


def _shown(amount: Fraction | int, by: str) -> str:
    if by == "utterances":
        return f"{round(amount)} utterances"
    return f"{float(amount) / FRAMES_PER_HOUR:.3f} hours"


def _copy(path: Path, lines: Sequence[Line]) -> None:
    with contextlib.ExitStack() as stack:
        streams = {name: stack.enter_context(open(name, "rb")) for name in {line.path for line in lines}}
        output = stack.enter_context(atomic_write(path, "wb"))
        for line in lines:
            streams[line.path].seek(line.offset)
            output.write(streams[line.path].read(line.size) + b"\n")
