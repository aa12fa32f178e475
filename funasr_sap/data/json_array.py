"""JSON files that hold one array, read entry by entry: a file of any size takes the memory of one entry."""

import json
import os
import re
from collections.abc import Iterator
from typing import TextIO

_CHUNK = 1 << 20  # characters read at a time
_BLANKS = re.compile(r"[ \t\r\n]*")
_AFTER_VALUE = frozenset(",] \t\r\n")


def iter_array(path: str | os.PathLike, problems: list[str]) -> Iterator[tuple[int, str]]:
    """Stream the entries of a file that is one JSON array: the line where each begins, and its text.

    Args:
        path: the file, UTF-8.
        problems: gets ``file:line: reason`` where the text is no such array; reading ends there, for what
            follows cannot be told apart.
    """
    with open(path, encoding="utf-8-sig") as stream:
        scanner = _Scanner(stream)
        try:
            scanner.expect("[")
            if scanner.peek() != "]":
                yield scanner.value()
                while scanner.peek() == ",":
                    scanner.expect(",")
                    yield scanner.value()
            scanner.expect("]")
            if scanner.peek():
                raise ValueError("not JSON: text after the end of the array")
        except UnicodeDecodeError:
            problems.append(f"{path}:{scanner.line}: in this line or after it are bytes that are not UTF-8")
        except (ValueError, RecursionError) as error:
            reason = "not JSON: nested too deeply" if isinstance(error, RecursionError) else error
            problems.append(f"{path}:{scanner.line}: {reason}")


class _Scanner:
    """A place in a stream: the text in memory, what of it was passed, the line reached."""

    def __init__(self, stream: TextIO):
        self.stream = stream
        self.text, self.position, self.line = "", 0, 1
        self.decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Pass blanks; return the character after them, "" at the end of the file."""
        while True:
            blanks = _BLANKS.match(self.text, self.position)
            self._skip_to(blanks.end() if blanks else self.position)
            if self.position < len(self.text):
                return self.text[self.position]
            if not self._read(_CHUNK):
                return ""

    def expect(self, sign: str) -> None:
        """Pass one character; ValueError where it is another one."""
        found = self.peek()
        if found != sign:
            raise ValueError(f"not JSON: expected {sign!r}, got {found!r}" if found else "not JSON: cut off")
        self._skip_to(self.position + 1)

    def value(self) -> tuple[int, str]:
        """Pass a value; return its line and text; ValueError where there is none."""
        self.peek()
        size = _CHUNK
        while True:
            try:
                _, end = self.decoder.raw_decode(self.text, self.position)
                # A number in memory may go on in the file.
                if self.text[end : end + 1] in _AFTER_VALUE or not self._read(size):
                    break
            except json.JSONDecodeError as error:
                # Wrong, or cut off: more text tells. Reading twice as much each time keeps the cost linear.
                if not self._read(size):
                    self._skip_to(error.pos)
                    raise ValueError(f"not JSON: {error.msg}") from error
            size *= 2
        line, text = self.line, self.text[self.position : end]
        self._skip_to(end)
        return line, text

    def _skip_to(self, position: int) -> None:
        self.line += self.text.count("\n", self.position, position)
        self.position = position

    def _read(self, size: int) -> bool:
        """Get more text, let go of what was passed; False, and no change, at the end of the file."""
        more = self.stream.read(size)
        if more:
            self.text, self.position = self.text[self.position :] + more, 0
        return bool(more)
