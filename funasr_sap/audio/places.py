"""Where audio lies: paths, URLs, standard input and pipes, and what is wrong with a place that has none."""

import contextlib
import http.client
import io
import os
import re
import stat
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import BinaryIO

from funasr_sap.errors import DataError

URL_TIMEOUT = 30  # seconds without an answer
MAX_BYTES = 2**30  # of a download or a pipe, which are held in memory
AUDIO_SUFFIXES = {
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".au", ".sph"),
    *(".oga", ".mp2", ".m4b", ".mka", ".weba", ".amr", ".caf", ".w64", ".ac3", ".wv", ".ape"),
}
VIDEO_SUFFIXES = {
    *(".mp4", ".webm", ".mkv", ".mov", ".m4v", ".3gp", ".avi", ".wmv", ".flv", ".mts", ".mpg", ".mpeg"),
}
COMMAND = "a command, expected an audio file; run it and store its output"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://|(data|file):", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.ark:\d+")
_PATTERN = re.compile(r"[*?]|\[.+\]")


def is_url(place: str) -> bool:
    """Tell what is downloaded."""
    return _scheme(place) in ("http", "https")


def local_path(place: str | os.PathLike) -> str:
    """Return the path that a path, or a ``file:`` URL, names; ``~`` is a home folder.

    Raises:
        DataError: for a file of another machine.
    """
    text = os.fspath(place)
    if _scheme(text) == "file" and not os.path.exists(text):
        parts = urllib.parse.urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise DataError(f"{text}: names a file of the machine {parts.netloc}; expected file:///PATH")
        return urllib.request.url2pathname(parts.path)
    return os.path.expanduser(text) if text.startswith("~") and not os.path.exists(text) else text


def explain_missing(path: str) -> str:
    """Say what is wrong with a path that names no file."""
    if path.rstrip().endswith("|") or path.lstrip().startswith("|"):
        return COMMAND
    if _ARCHIVE.search(path):
        return "an entry of a Kaldi archive, expected an audio file; store it as one"
    scheme = _scheme(path)
    if scheme and scheme != "file":
        return f"the scheme {scheme}: is not known, expected http:, https: or file:; download it first"
    if _PATTERN.search(path):
        return "no such file (a pattern, which only the shell reads: give a list of files, or a wav.scp)"
    return "no such file"


@contextlib.contextmanager
def open_place(place: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open audio for reading, as a file object that can seek.

    Args:
        place: a path, a ``file:``, ``http:`` or ``https:`` URL, or "-" for standard input.

    Raises:
        ValueError: with the reason why there is nothing to read.
        OSError: for a file that may not be read.
    """
    text = os.fspath(place)
    if is_url(text):
        yield io.BytesIO(_download(text))
        return
    if text == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ValueError("standard input is a terminal, expected a file or a pipe")
        yield io.BytesIO(_read_all(sys.stdin.buffer))
        return
    path = local_path(text)
    if not os.path.exists(path):
        raise ValueError(explain_missing(path))
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
        raise ValueError("is not a file")
    if stat.S_ISFIFO(mode):
        with open(path, "rb") as stream:
            data = _read_all(stream)
        yield io.BytesIO(data)
        return
    with open(path, "rb", buffering=0) as stream:  # libsndfile reads by its descriptor, past any buffer
        yield stream


def _scheme(text: str) -> str | None:
    found = _SCHEME.match(text)
    return found and (found[1] or found[2]).lower()


def _read_all(stream: BinaryIO) -> bytes:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES / 2**30:g} GiB, the most that is read into memory")
    return data


def _download(url: str) -> bytes:
    try:
        quoted = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        with urllib.request.urlopen(quoted, timeout=URL_TIMEOUT) as answer:
            length = int(answer.headers.get("Content-Length") or 0)
            if length > MAX_BYTES:
                raise ValueError(f"{length} bytes; expected {MAX_BYTES / 2**30:g} GiB at most")
            data = _read_all(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ValueError(f"cannot be downloaded ({str(error).strip('<>')})") from None
    if len(data) < length:
        raise ValueError(f"cannot be downloaded (the connection ended after {len(data)} of {length} bytes)")
    return data
