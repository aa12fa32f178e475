"""Results so far, on disk: what was finished before a run was killed is not decoded again.

A JSON object a line. The first line says what the results were made with, the others are results, in the
order in which they were finished. Lines are only ever appended, and a line that was not written to its end
is dropped.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from funasr_sap.data.kaldi import parse_json
from funasr_sap.errors import ConfigError, DataError


class PartialResults:
    """The finished utterances of a run, and of the ones that it goes on from.

    Args:
        path: the file; its folder is made where it is missing.
        made_with: what results depend on, by name: texts, numbers, true, false, None.
        resume: False forgets what is there.

    Attributes:
        finished: results by utterance id.

    Raises:
        ConfigError: where the results that are there were made with something else, or another process is
            about to add some.
        DataError: where the file holds something else.
    """

    def __init__(self, path: str | os.PathLike, made_with: Mapping[str, object], resume: bool = True):
        self.path = Path(path)
        self.finished: dict[str, dict] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = open(self.path, "a+b")  # noqa: SIM115  (open as long as results come)
        try:
            self._lock()
            if not resume:
                self._stream.truncate(0)
            self._restore(dict(made_with))
        except BaseException:
            self._stream.close()
            raise

    def add(self, results: Iterable[dict]) -> None:
        """Keep results; they are in the file when this returns."""
        for result in results:
            self._write(result)
            self.finished[result["key"]] = result

    def close(self) -> None:
        """Leave the file to the next run, if there is anything in it."""
        if not self.finished:
            self.path.unlink(missing_ok=True)
        self._stream.close()

    def remove(self) -> None:
        """Delete the file: the results stand elsewhere."""
        self.path.unlink()
        self._stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process
        except BlockingIOError:
            raise ConfigError(
                f"{self.path} is in use by another run; wait for its end, or name another output"
            ) from None

    def _restore(self, made_with: dict) -> None:
        self._stream.seek(0)
        lines = self._stream.read().split(b"\n")
        torn = len(lines.pop())
        if torn:
            self._stream.truncate(self._stream.tell() - torn)
        if len(lines) < 2:  # nothing is finished, whatever it was begun with
            self._stream.truncate(0)
            self._write({"made_with": made_with})
            return
        records = [self._parse(number, line) for number, line in enumerate(lines, 1)]
        before = records[0].get("made_with")
        if not isinstance(before, dict):
            raise self._no_results(1)
        self._compare(before, made_with)
        for number, record in enumerate(records[1:], 2):
            if not isinstance(record.get("key"), str):
                raise self._no_results(number)
            self.finished.setdefault(record["key"], record)

    def _parse(self, number: int, line: bytes) -> dict:
        try:
            record = parse_json(line.decode())
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise self._no_results(number)
        return record

    def _no_results(self, number: int) -> DataError:
        return DataError(
            f"{self.path}:{number}: expected a result of an earlier run; resume=false starts anew"
        )

    def _compare(self, before: dict, now: dict) -> None:
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if names:
            changes = ", ".join(f"{name} ({before.get(name)}, now {now.get(name)})" for name in names)
            raise ConfigError(
                f"{self.path} was begun with other settings: {changes}; set them as they were to go on, "
                "or resume=false to start anew"
            )

    def _write(self, record: dict) -> None:
        try:
            self._stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            error.filename = error.filename or os.fspath(self.path)
            raise
