"""Training logs of FunASR and of this package, read into numbers.

What FunASR's Trainer writes every ``log_interval`` steps (funasr/train_utils/trainer_ds.py, ``log``), what it
says about validation, checkpoints and skipped updates, and the line that ``funasr_sap.train`` adds after
each validation. Logs may be rotated (``log.txt.1``, ``log.txt.2.gz``), hold several ranks, and go on after a
resumption: steps that were made again replace those of before.
"""

import gzip
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from funasr_sap.errors import DataError

NAMES = ("train.log", "log.txt")  # what the recipe and FunASR's finetune.sh call them

_NUMBER = r"[-+]?(?:nan|inf|\d+(?:\.\d*)?(?:e[-+]?\d+)?)"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?")
_STEP = re.compile(r"\b(train|val), rank: (\d+), epoch: (\d+)/(\d+), (.*)")
_PAIR = re.compile(rf"(\w[\w ]*): ({_NUMBER})(?:/(\d+))?")
_STAT = re.compile(rf"\('(\w+)', ({_NUMBER})\)")
_SECONDS = re.compile(rf"'(\w+)': '({_NUMBER})'")
_VALIDATE = re.compile(r"Validate epoch: (\d+), rank: (\d+)")
_RESULT = re.compile(r"epoch \d+(?: step \d+)?: validation (.*)")
_RESULT_VALUE = re.compile(rf"([A-Za-z][\w-]*) ({_NUMBER})")
_RANKED = re.compile(rf"(?:Update best|No improvement in) (acc|loss): ({_NUMBER})")
_CURRENT = re.compile(rf"current_val: ({_NUMBER})")
_RESUMED = "Checkpoint loaded successfully from"
_SKIPPED = "Skipping updating the model"
_STOPPED = "Early stopping triggered"
_MEMORY = ("usage", "peak", "cache", "cache_peak")  # GB


@dataclass(frozen=True)
class Point:
    """One line of a training: what one rank reports at one step.

    Attributes:
        step: batches since the training began.
        epoch: from 0.
        left_in_epoch: batches until the epoch ends.
        remaining: batches until the last epoch ends.
        values: ``loss`` (of this batch), ``loss_avg`` (of the epoch so far), ``lr``, what the model reports
            (``acc``, ``loss_ctc``), seconds (``data_load``, ``total_time``), GB (``gpu_peak``), and so on.
        time: when, None where the log has no time.
        session: counts resumptions.
    """

    step: int
    epoch: int
    left_in_epoch: int
    remaining: int
    values: dict[str, float]
    time: datetime | None
    session: int


@dataclass
class Validation:
    """Result of a validation: ``loss``, ``acc`` and, where it decoded, percents such as ``wer``."""

    step: int
    epoch: int
    values: dict[str, float] = field(default_factory=dict)
    ranks: dict[int, dict[str, float]] = field(default_factory=dict)  # until all of them are in

    def merge(self, rank: int, values: dict[str, float]) -> None:
        """Note the averages that one rank reports; the result is the mean over ranks."""
        self.ranks[rank] = values
        for name in values:
            known = [found[name] for found in self.ranks.values() if name in found]
            self.values[name] = sum(known) / len(known)


@dataclass
class Stage:
    """One training: the logs of one folder."""

    name: str
    ranks: dict[int, list[Point]] = field(default_factory=dict)
    validations: list[Validation] = field(default_factory=list)
    resumptions: int = 0
    skipped_updates: int = 0
    stopped_early: bool = False

    @property
    def points(self) -> list[Point]:
        """The points of the lowest rank."""
        return self.ranks[min(self.ranks)]

    @property
    def last_step(self) -> int:
        """The last step that is known of."""
        return max([self.points[-1].step, *(validation.step for validation in self.validations)])

    @property
    def finished(self) -> bool:
        """Whether the training ran to its end."""
        return self.stopped_early or self.last_step >= self.points[-1].step + self.points[-1].remaining

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return (step, value): the mean over ranks, of GPU memory the maximum."""
        found: dict[int, list[float]] = {}
        for points in self.ranks.values():
            for point in points:
                if name in point.values:
                    found.setdefault(point.step, []).append(point.values[name])
        join = max if name.startswith("gpu_") else lambda values: sum(values) / len(values)
        return [(step, join(found[step])) for step in sorted(found)]

    def names(self) -> list[str]:
        """Return the names of all values of its points."""
        return list(
            dict.fromkeys(name for points in self.ranks.values() for p in points for name in p.values)
        )


def read_stages(paths: Sequence[str | os.PathLike]) -> list[Stage]:
    """Read the logs of one training or of several, such as the stages of a staged finetuning.

    Args:
        paths: log files, whose rotated parts are found beside them, or folders, in which ``train.log`` and
            ``log.txt`` are looked for. Logs of one folder are one stage.

    Returns:
        The stages in the order of their times, else of their names.

    Raises:
        DataError: a folder without logs, a log without training steps.
    """
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        for file in _log_files(Path(path)):
            files = folders.setdefault(file.parent, [])
            if file not in files:
                files.append(file)
    stages = [_read_stage(_name(folder, folders), files) for folder, files in folders.items()]
    return sorted(stages, key=lambda stage: (stage.points[0].time or datetime.max, stage.name))


def _log_files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = sorted(file for name in NAMES for file in path.rglob(f"{name}*") if file.is_file())
        if not found:
            raise DataError(f"{path} holds no training log ({' or '.join(NAMES)})")
        yield from found
        return
    yield path
    rotated = re.compile(re.escape(path.name) + r"\.(\d[\d-]*)(\.gz)?")
    yield from sorted(file for file in path.parent.iterdir() if rotated.fullmatch(file.name))


def _name(folder: Path, folders: Iterable[Path]) -> str:
    name = folder.resolve().name
    return name if [other.resolve().name for other in folders].count(name) == 1 else str(folder)


def _read_stage(name: str, files: Sequence[Path]) -> Stage:
    logs = [(_age(file), _read_lines(file)) for file in files]
    reader = _StageReader(name)
    # Times tell the order; without them, of a rotated log the oldest part has the highest number.
    for _, lines in sorted(logs, key=lambda log: (_first_time(log[1]) or datetime.min, log[0])):
        for line in lines:
            reader.read(line)
    if not reader.stage.ranks:
        raise DataError(
            f"{' and '.join(map(str, files))}: no training steps, expected lines with "
            '"train, rank: 0, epoch: 0/10, ... total step: 50, ..." as FunASR writes them '
            "(every train_conf.log_interval steps)"
        )
    return reader.finish()


def _read_lines(path: Path) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace") as stream:
        return stream.read().splitlines()


def _age(path: Path) -> int:
    """Return minus the number of a rotated part, so that older ones come first; the newest has none."""
    number = re.search(r"\.(\d+)(?:\.gz)?$", path.name)
    return -int(number.group(1)) if number else 0


def _first_time(lines: Iterable[str]) -> datetime | None:
    return next((time for time in map(_time, lines) if time), None)


def _time(line: str) -> datetime | None:
    found = _TIME.search(line[:80])
    if not found:
        return None
    day, clock, fraction = found.groups(default="")
    return datetime.fromisoformat(f"{day}T{clock}.{fraction:0<6}")


class _StageReader:
    """Reads one stage's lines in order."""

    def __init__(self, name: str):
        self.stage = Stage(name)
        self._seen: set[str] = set()
        self._resumed = False
        self._validation: Validation | None = None  # the one under way

    def read(self, line: str) -> None:
        """Take in one line; lines of other kinds are passed over."""
        time = _time(line)
        if time:  # a log and a copy of it, as FunASR's Hydra writes one, count once
            if line in self._seen:
                return
            self._seen.add(line)
        step = _STEP.search(line)
        if step:
            kind, rank, epoch, epochs, rest = step.groups()
            self._read_step(kind, int(rank), int(epoch), int(epochs), rest, time)
        elif _RESUMED in line:
            self._resumed = bool(self.stage.ranks)
        elif _SKIPPED in line:
            self.stage.skipped_updates += 1
        elif _STOPPED in line:
            self.stage.stopped_early = True
        else:
            self._read_validation(line)

    def finish(self) -> Stage:
        """Return what was read."""
        found = [validation for validation in self.stage.validations if validation.values]
        self.stage.validations = sorted(found, key=lambda validation: validation.step)
        return self.stage

    def _read_step(self, kind: str, rank: int, epoch: int, epochs: int, rest: str, time) -> None:
        pairs = {name.strip(): float(value) for name, value, _ in _PAIR.findall(rest)}
        totals = {name.strip(): int(total) for name, _, total in _PAIR.findall(rest) if total}
        stats = {name: float(value) for name, value in _STAT.findall(rest)}
        if not {"total step", "loss_avg_rank", "step_in_slice"} <= pairs.keys():
            return
        step = int(pairs["total step"])
        if kind == "val":
            values = {"loss": pairs.get("loss_avg_slice", math.nan)}
            if "acc" in stats:
                values["acc"] = pairs.get("acc_avg_slice", math.nan)
            self._begin_validation(step, epoch).merge(rank, _known(values))
            return
        batches, slices = totals.get("step_in_slice", 0), totals.get("data_slice", 1)
        left = int((slices - pairs.get("data_slice", 0)) * batches - pairs["step_in_slice"])
        remaining = (epochs - epoch - 1) * slices * batches + left
        self._add(rank, Point(step, epoch, left, remaining, _values(pairs, stats, rest), time, 0))

    def _add(self, rank: int, point: Point) -> None:
        points = self.stage.ranks.setdefault(rank, [])
        if points and rank == min(self.stage.ranks) and (self._resumed or point.step <= points[-1].step):
            self.stage.resumptions += 1
            self.stage.validations = [each for each in self.stage.validations if each.step < point.step]
            self._resumed = False
        while points and points[-1].step >= point.step:
            points.pop()
        points.append(replace(point, session=self.stage.resumptions))

    def _read_validation(self, line: str) -> None:
        begun, result, ranked = _VALIDATE.search(line), _RESULT.search(line), _RANKED.search(line)
        current = _CURRENT.search(line)
        if begun:
            points = self.stage.ranks.get(int(begun.group(2)))
            if points:
                # Not every step is in the log: at an epoch's end, all of its batches are done.
                ended = int(begun.group(1)) == points[-1].epoch + 1
                done = points[-1].left_in_epoch if ended else 0
                self._begin_validation(points[-1].step + done, points[-1].epoch)
        elif self._validation and result:
            found = {name: float(value) for name, value in _RESULT_VALUE.findall(result.group(1))}
            self._validation.values |= _known({_plain(name): value for name, value in found.items()})
        elif self._validation and ranked:
            self._validation.values |= _known({ranked.group(1): float(ranked.group(2))})
        elif self._validation and current:
            self._validation.values |= _known({"loss": float(current.group(1))})

    def _begin_validation(self, step: int, epoch: int) -> Validation:
        """Make the validation at a step the one under way."""
        found = [validation for validation in self.stage.validations if validation.step == step]
        self._validation = current = found[0] if found else Validation(step, epoch)
        if not found:
            self.stage.validations.append(current)
        return current


def _values(pairs: dict[str, float], stats: dict[str, float], rest: str) -> dict[str, float]:
    """Collect what a point keeps of a line."""
    values = {"loss": pairs["loss_avg_rank"]} | {name: v for name, v in stats.items() if name != "loss"}
    names = {"loss_avg_slice": "loss_avg", "lr": "lr"} | {name: f"gpu_{name}" for name in _MEMORY}
    if "acc" in stats:  # without it, FunASR writes an average of 0
        names["acc_avg_slice"] = "acc_avg"
    values |= {ours: pairs[theirs] for theirs, ours in names.items() if theirs in pairs}
    return values | {name: float(value) for name, value in _SECONDS.findall(rest)}


def _plain(name: str) -> str:
    """Name a result as the other values are named: ``B-WER`` is ``b_wer``."""
    plain = name.lower().replace("-", "_")
    return "acc" if plain == "accuracy" else plain


def _known(values: dict[str, float]) -> dict[str, float]:
    """Leave out what FunASR writes where it has no value."""
    return {name: value for name, value in values.items() if not math.isnan(value)}
