"""Errors that users read: one clear sentence each."""

from collections.abc import Sequence


class DataError(ValueError):
    """Data that cannot be used: says what was got, what was expected, where, and what to do."""

    MAX_SHOWN = 20

    @classmethod
    def from_lines(cls, what: str, problems: Sequence[str]) -> "DataError":
        """Build one error from all bad lines of a file: the first 20 are shown, all are counted."""
        shown = "\n  ".join(problems[: cls.MAX_SHOWN])
        more = len(problems) - cls.MAX_SHOWN
        tail = f"\n  ... and {more} more" if more > 0 else ""
        return cls(f"{what}: {len(problems)} bad line(s):\n  {shown}{tail}")


class ConfigError(ValueError):
    """A configuration that cannot be used: an unknown key, name or stage."""


class WorkerError(RuntimeError):
    """A process of ours that ended before its work was done: which one, over what, and why."""
