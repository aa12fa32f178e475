"""Data sets as Kaldi directories: ``wav.scp``, ``text``, ``biasing_list`` and ``keywords``, joined by id."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from funasr_sap.data.files import atomic_folder
from funasr_sap.data.kaldi import BLANKS, read_biasing_list, read_kaldi, write_biasing_list, write_kaldi
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

FILES = {"source": "wav.scp", "text": "text", "hotwords": "biasing_list", "keywords": "keywords"}
LISTS = ("hotwords", "keywords")


def iter_kaldi_folder(path: str | os.PathLike, problems: list[str]) -> Iterator[Utterance]:
    """Read the utterances of a directory, in the order of its first file.

    A file that is missing leaves its part of all utterances unknown; a file that is there must have all
    utterances. Lists of other utterances are passed over: a list may serve several data sets.

    Args:
        path: a folder with ``wav.scp`` or ``text`` at least.
        problems: gets the bad lines of all files, and the ids that only some of them have.

    Raises:
        DataError: none of the two files is there; or ``segments``, whose times only Kaldi files can hold.
    """
    folder = Path(path)
    if (folder / "segments").exists():
        raise DataError(
            f"{folder} has segments: its wav.scp names recordings, expected utterances; cut the audio, write "
            "the paths of the parts to wav.scp, and remove segments"
        )
    tables = _read_tables(folder, problems)
    if not {"source", "text"} & tables.keys():
        raise DataError(f"{folder} has neither wav.scp nor text, expected a Kaldi directory")
    ids = dict.fromkeys(utt_id for name in ("source", "text") for utt_id in tables.get(name, ()))
    for utt_id in ids:
        absent = [FILES[name] for name, table in tables.items() if utt_id not in table]
        if absent:
            problems.append(f"{folder}: {utt_id!r} is not in {' and '.join(absent)}, but in other files")
            continue
        row = {name: table[utt_id] for name, table in tables.items()}
        row |= {name: tuple(row[name]) for name in LISTS if name in row}
        yield Utterance(utt_id, **{"source": None, "text": None, **row})


def _read_tables(folder: Path, problems: list[str]) -> dict[str, dict]:
    """Read the files that are there, under the names of `Utterance`."""
    tables: dict[str, dict] = {}
    for name, file in FILES.items():
        if not (folder / file).exists():
            continue
        if name in LISTS:
            tables[name] = read_biasing_list(folder / file, problems)
        else:
            tables[name] = read_kaldi(folder / file, allow_empty=name == "text", problems=problems)
    return tables


def fit_kaldi(utterance: Utterance) -> Utterance:
    """Take off the blanks around values; ValueError where the files cannot hold the utterance."""
    fitted = {}
    for name in ("source", "text"):
        value = getattr(utterance, name)
        if value is None:
            continue
        fitted[name] = value.strip(BLANKS)
        if "\n" in fitted[name]:
            raise ValueError(f"a line break in its {name}, which no Kaldi file can hold")
    if fitted.get("source") == "":
        raise ValueError("its source is empty, expected an audio path")
    return replace(utterance, **fitted)


def write_kaldi_folder(path: str | os.PathLike, utterances: Iterable[Utterance]) -> int:
    """Write a new directory, its files sorted by id, all of them or none; returns how many utterances.

    Utterances that all lack a part (their keywords, for example) give a directory without its file.

    Raises:
        DataError: the folder is there already; or some utterances have a part that others lack: all of their
            ids must stand in each file.
    """
    with atomic_folder(path) as folder:
        rows = {utterance.key: utterance for utterance in utterances}
        problems = []
        for name, file in FILES.items():
            table = {key: getattr(row, name) for key, row in rows.items() if getattr(row, name) is not None}
            if not table:
                continue
            problems += [f"{key!r} has no {name} for the file {file}" for key in rows if key not in table]
            write = write_biasing_list if name in LISTS else write_kaldi
            write(folder / file, table)
        if problems:
            what = f"cannot write {path}, a file of a Kaldi directory holds all utterances or is not there"
            raise DataError.from_lines(what, problems)
    return len(rows)
