"""The audio files of a folder, found by name."""

import os
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath

from funasr_sap.audio.places import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from funasr_sap.errors import DataError

SUFFIXES = AUDIO_SUFFIXES | VIDEO_SUFFIXES


class AudioIndex:
    """All audio files below a folder, and the videos that have no audio file of their name beside them.

    Args:
        folder: is searched with all its subfolders.

    Raises:
        DataError: it holds no audio.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._files: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                self._files[_stem(path.name)].append(path)
        for stem, paths in self._files.items():
            heard = {path.parent for path in paths if not _is_video(path)}
            self._files[stem] = [path for path in paths if not _is_video(path) or path.parent not in heard]
        if not self._files:
            raise DataError(f"{folder} holds no audio files ({' '.join(sorted(SUFFIXES))})")

    def find(self, name: str) -> Path:
        """Return the file that a transcript names: ``0001``, ``0001.wav`` or ``any/folder/0001.wav``.

        Where several files share a name, the suffix and then the folders before it decide.

        Raises:
            ValueError: no such file, or several.
        """
        wanted = PurePosixPath(_normal(name.replace("\\", "/")))
        found = self._files.get(_stem(wanted.name), [])
        if wanted.suffix.lower() in SUFFIXES:
            found = [path for path in found if _normal(path.name) == wanted.name] or found
        if len(found) > 1:
            shared = [_shared_folders(path, wanted) for path in found]
            found = [path for path, count in zip(found, shared, strict=True) if count == max(shared)]
        if not found:
            raise ValueError(f"no audio file in {self.folder} is named {name!r}")
        if len(found) > 1:
            raise ValueError(f"{len(found)} audio files are named {name!r}: {', '.join(map(str, found[:3]))}")
        return found[0]

    def __iter__(self):
        return (path for paths in self._files.values() for path in paths)


def audio_stem(name: str) -> str:
    """Return a file name without folders and without the suffix of an audio format."""
    return _stem(name.replace("\\", "/").rpartition("/")[2])


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(_normal(name))
    return stem if suffix.lower() in SUFFIXES else stem + suffix


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _normal(name: str) -> str:
    # macOS writes accents and Korean in parts, other systems and texts do not.
    return unicodedata.normalize("NFC", name)


def _shared_folders(path: Path, wanted: PurePosixPath) -> int:
    """Count the folders, from the last one on, in which two paths agree."""
    count = 0
    for ours, theirs in zip(reversed(path.parent.parts), reversed(wanted.parent.parts), strict=False):
        if _normal(ours) != theirs:
            break
        count += 1
    return count
