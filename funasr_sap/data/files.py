"""Atomic files: a reader never sees half of one, and a crash leaves the old one as it was."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from funasr_sap.errors import DataError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path`` that replaces it only when the block ends well.

    Args:
        path: the file to write; its folder is made where it is missing.
        mode: "w" (UTF-8 text) or "wb".

    Raises:
        OSError: where it cannot be written, for example on a full disk; names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = None if "b" in mode else "utf-8"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError) and error.filename is None:  # a write does not say to which file
            error.filename = os.fspath(path)
        raise


def copy_file(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Copy a file, as ``atomic_write`` writes one."""
    with open(source, "rb") as old, atomic_write(path, "wb") as new:
        shutil.copyfileobj(old, new)


def copy_folder(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Copy the files of a folder, one after another, into one that may have others."""
    for file in sorted(each for each in Path(source).rglob("*") if each.is_file()):
        copy_file(file, Path(path) / file.relative_to(source))


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a temporary folder beside ``path`` that takes its place only when the block ends well.

    Args:
        path: the folder to make; it must not exist, or be empty.

    Raises:
        DataError: something is there already: files of two data sets in one folder would be joined.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} exists already, expected no folder; remove it, or name another one")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        yield Path(temporary)
        os.chmod(temporary, 0o777 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
