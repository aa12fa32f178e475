"""Vocabularies: biasing lists stored under a name, used again by threads, processes and later runs.

A store is a folder. Each vocabulary is a folder in it:

    NAME/current.json               which content holds, and how many words it has
    NAME/CONTENT.json               the words, as they were put
    NAME/CONTENT-SPELLING/          the same, spelt by a tokenizer and indexed: see ``stored_list``
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.errors import DataError
from funasr_sap.text.hotwords import ReadList, Remarks, parse_list

CURRENT = "current.json"
# Of a folder on any disk: names may come from a server's requests.
NAME = re.compile(r"\w(?:[\w .-]{0,58}\w)?")


@dataclasses.dataclass(frozen=True)
class Vocabulary(ReadList):
    """A stored biasing list, to be given as ``hotwords``: a reference, small to copy, pickle and compare.

    Its words are cleaned, spelt and indexed when a model first needs them, once for all threads and
    processes. It stays what it is when other words are put under its name.

    Attributes:
        folder: of all that is stored under its name.
        content: names its words; other words have another.
        number: of words.
    """

    folder: str
    content: str
    number: int

    @property
    def name(self) -> str:
        """What it is stored as."""
        return Path(self.folder).name

    def __len__(self):
        return self.number

    def __iter__(self) -> Iterator[str]:
        """Read the words, as they were put.

        Raises:
            DataError: where they are damaged, or gone.
        """
        path = _words_file(self.folder, self.content)
        try:
            source = path.read_bytes()
        except OSError as error:
            raise self._gone(f"{path} cannot be read ({error.strerror})") from None
        if _digest(source) != self.content:
            raise self._gone(f"{path} is damaged")
        return iter(json.loads(source))

    def _gone(self, reason: str) -> DataError:
        return DataError(f"vocabulary {self.name}: {reason}; put its words into the store again")


class VocabularyStore:
    """Vocabularies by name, in a folder that processes may share.

    Args:
        folder: is made when a vocabulary is put into it.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(os.path.expanduser(folder)).absolute()

    def put(self, name: str | None, words: Iterable[str]) -> Vocabulary:
        """Store words under a name; those that it has already are no work.

        Who holds what the name stood for before keeps that. On disk the words before these stay, older go.

        Args:
            name: 1 to 60 letters, digits, ``_``, ``-``, ``.`` and spaces, the last three within it; None
                for one that the words give.
            words: one list, in any form that ``generate`` takes but a file.

        Raises:
            DataError: for another name, or no list of strings.
        """
        remarks = Remarks()
        words = list(parse_list(words, remarks))
        remarks.tell()
        source = json.dumps(words).encode()
        content = _digest(source)
        folder = self._folder_of(content if name is None else name)
        vocabulary, path = Vocabulary(str(folder), content, len(words)), _words_file(folder, content)
        before = None
        with contextlib.suppress(DataError, OSError):
            before = self.get(folder.name)
            if before == vocabulary and path.read_bytes() == source:
                return vocabulary
        with atomic_write(path, "wb") as stream:
            stream.write(source)
        with atomic_write(folder / CURRENT) as stream:
            json.dump({"content": content, "words": len(words)}, stream)
        if before is not None:
            _remove_older(folder, before.content, content)
        return vocabulary

    def get(self, name: str) -> Vocabulary:
        """Find what is stored under a name.

        Raises:
            DataError: for another name than ``put`` takes, one that is not there, or a damaged file.
        """
        folder = self._folder_of(name)
        try:
            current = json.loads((folder / CURRENT).read_bytes())
            return Vocabulary(str(folder), str(current["content"]), int(current["words"]))
        except FileNotFoundError:
            raise DataError(f"vocabulary {name}: not in {self.folder}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{folder / CURRENT} cannot be read ({error})"
            raise DataError(f"vocabulary {name}: {reason}; put its words into the store again") from None

    def names(self) -> list[str]:
        """List what is stored."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{CURRENT}"))

    def delete(self, name: str) -> None:
        """Remove a vocabulary; who has read it already may use it on.

        Raises:
            DataError: for another name than ``put`` takes, or one that is not there.
        """
        folder = self._folder_of(name)
        try:
            (folder / CURRENT).unlink()
        except FileNotFoundError:
            raise DataError(f"vocabulary {name}: not in {self.folder}") from None
        shutil.rmtree(folder, ignore_errors=True)

    def _folder_of(self, name: str) -> Path:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            expected = "1 to 60 letters and digits, with _, -, . or spaces between them"
            raise DataError(f"vocabulary: expected a name of {expected}, got {name!r:.80}")
        return self.folder / name


def find_vocabulary(path: str | os.PathLike) -> Vocabulary | None:
    """Find the vocabulary whose folder this is, STORE/NAME; None where it is none."""
    path = Path(os.path.expanduser(path)).absolute()
    is_one = os.path.isfile(path / CURRENT)  # False, and no error, for text that is no path
    return VocabularyStore(path.parent).get(path.name) if is_one else None


def _words_file(folder: str | os.PathLike, content: str) -> Path:
    return Path(folder, f"{content}.json")


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:32]


def _remove_older(folder: Path, before: str, now: str) -> None:
    """Remove what is older than the words ``before``; what another process puts just now is younger."""
    with contextlib.suppress(FileNotFoundError):
        limit = _words_file(folder, before).stat().st_mtime_ns
        for path in folder.glob("*.json"):
            if path.stem not in (before, now) and path.name != CURRENT and path.stat().st_mtime_ns < limit:
                path.unlink()
                for spelt in folder.glob(f"{path.stem}-*"):
                    shutil.rmtree(spelt, ignore_errors=True)
