"""Hotwords of a call: files are read here, and each utterance gets its biasing list.

Words are strings, files are ``os.PathLike``. A string is opened as FunASR does it: as the whole value of
``hotwords``, where it names a ``.txt``, ``.json`` or biasing list that is there. In a list, a mapping or a
``Request`` it never is, so that what comes from outside can be handed on in those.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from funasr_sap.context.vocabulary import find_vocabulary
from funasr_sap.data.kaldi import read_biasing_list
from funasr_sap.errors import DataError
from funasr_sap.text.hotword_files import parse_content
from funasr_sap.text.hotwords import (
    Hotwords,
    ReadList,
    Remarks,
    looks_like_path,
    parse_list,
    parse_value,
    split_dollars,
    split_hotword,
)

NAMES = ("hotwords", "hotword", "biasing_list")  # of what ``read_hotwords`` takes
OPENED = (".txt", ".json", ".jsonl")  # files that a string may name; a biasing_list is the third kind
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_PATH = ("/", "./", "../", "~/")

logger = logging.getLogger(__name__)


def read_hotwords(hotwords=None, hotword=None, biasing_list=None) -> ReadList | dict | list | None:
    """Read what a call gives as hotwords, under whichever name.

    Args:
        hotwords: one list for all (strings, a string, or a file); a list of lists, one an utterance; lists by
            utterance id; keywords with weights, which are left out. A file is one keyword a line, or JSON,
            YAML or CSV; one that ends in ``.jsonl``, or has ``biasing_list`` in its name, is by utterance id.
            A ``Vocabulary``, or the path STORE/NAME of one, is taken as it is, wherever a list may stand.
        hotword: the same, as FunASR's older models call it; in a string of it, spaces part the words.
        biasing_list: a Kaldi-style file, or a mapping, by utterance id.

    Returns:
        What ``assign_hotwords`` takes: one list for all, lists by utterance id, one an utterance, or None.

    Raises:
        DataError: where several are given, for wrong types, a missing file, or one that cannot be read.
    """
    given = {"hotwords": hotwords, "hotword": hotword, "biasing_list": biasing_list}
    given = {name: value for name, value in given.items() if value is not None}
    filled = {name: value for name, value in given.items() if not _is_empty(value)}
    if len(filled) > 1:
        others = " and ".join([*filled][1:])
        raise DataError(f"{next(iter(filled))}: got {others} as well; expected one of them")
    if not given:
        return None
    ((name, value),) = (filled or {"hotwords": []}).items()
    remarks = Remarks()
    if name == "biasing_list":
        found = _read_biasing_list(value)
    elif isinstance(value, os.PathLike):
        found = _read_file(Path(value).expanduser(), remarks)
    elif isinstance(value, str):
        found = _read_string(value, remarks, split_hotword if name == "hotword" else parse_value)
    else:
        found = parse_value(value, remarks)
    remarks.tell()
    return found


def read_pair_texts(texts) -> ReadList | dict | list | None:
    """Read the text half of FunASR's ("sound", "text"): ``word$word`` for all, or for each utterance.

    A file of it has ``utt word$word`` lines.
    """
    if isinstance(texts, os.PathLike) or (isinstance(texts, str) and _is_opened(texts)):
        return _read_biasing_list(texts)
    if isinstance(texts, str):
        return read_hotwords(split_dollars(texts) if "$" in texts else texts)
    if not isinstance(texts, list | tuple):
        return read_hotwords(texts)
    return [split_dollars(each) if isinstance(each, str) else each for each in texts]


def assign_hotwords(
    keys: Sequence[str], given=None, own: Sequence | None = None, default=None
) -> list[ReadList]:
    """Give each utterance its biasing list: its own, else the call's, else the model's default.

    Args:
        keys: the utterance ids.
        given: what ``read_hotwords`` made of the call's.
        own: what each utterance brings; one that is empty or None is none.
        default: what ``read_hotwords`` made of the model's.

    Returns:
        A list for each utterance; those that share one share the object, to be tokenised once.

    Raises:
        DataError: for a wrong number of lists, ids without a list, or wrong types.
    """
    parse = _Parser()
    own = [parse(each) for each in own] if own is not None else [Hotwords()] * len(keys)
    shared = default if given is None else given
    if given is not None and any(own) and not _is_empty(given):
        logger.warning(
            "hotwords: %d of %d utterance(s) bring a list of their own, which is taken for them",
            sum(1 for each in own if each),
            len(own),
        )
    if isinstance(shared, Mapping):
        lists = _by_id(shared, [key for key, each in zip(keys, own, strict=True) if not each])
        chosen = [each or parse(lists[key]) for key, each in zip(keys, own, strict=True)]
    elif isinstance(shared, ReadList) or shared is None:
        chosen = [each or (shared if shared is not None else each) for each in own]
    elif len(shared) != len(keys):
        raise DataError(f"hotwords: got {len(shared)} biasing lists for {len(keys)} utterance(s)")
    else:
        chosen = [each or parse(other) for each, other in zip(own, shared, strict=True)]
    parse.remarks.tell()
    return chosen


class _Parser:
    """Parses biasing lists; of one object, one result."""

    def __init__(self):
        self.remarks = Remarks()
        self._parsed = {}

    def __call__(self, value) -> ReadList:
        if id(value) not in self._parsed:
            # The value is kept as well, else another one might get its id.
            self._parsed[id(value)] = value, parse_list(value, self.remarks)
        return self._parsed[id(value)][1]


def _by_id(lists: Mapping, keys: Sequence[str]) -> Mapping:
    """Return lists by utterance id, where each of the ids has one."""
    missing = [key for key in keys if key not in lists]
    if missing:
        first = f"the keys given begin with {next(iter(lists))!r}" if lists else "none is given"
        raise DataError(
            f"hotwords: no biasing list for {len(missing)} utterance(s), first {missing[0]!r}; a mapping and "
            f"a biasing_list go by utterance id, and {first}; keywords for all utterances go in a list"
        )
    return lists


def _is_empty(value) -> bool:
    """Tell a value that is as good as none, without a look into what can be read only once."""
    return isinstance(value, str | list | tuple | set | frozenset) and (
        not value.strip() if isinstance(value, str) else not value
    )


def _is_biasing_list(path: Path) -> bool:
    """Tell a file by utterance id by its name, as ``biasing_list.N100``; never by its content."""
    return "biasing_list" in path.name or path.suffix.lower() == ".jsonl"


def _is_opened(text: str) -> bool:
    """Tell a string that names a file which is opened for it."""
    if len(text) > 4096 or not text.isprintable():
        return False
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    return (path.suffix.lower() in OPENED or _is_biasing_list(path)) and path.is_file()


def _read_string(text: str, remarks: Remarks, parse) -> ReadList | dict | list:
    text = text.strip() if "\n" not in text.strip() else text
    if _is_opened(text):
        logger.info("hotwords: reading the file %s", text)
        return _read_file(Path(text).expanduser(), remarks)
    if _URL.fullmatch(text):
        raise DataError(f"hotwords: {text} is a URL, and URLs are not read; download it and give the file")
    if "\n" in text or len(text) > 4096 or "\0" in text:
        return parse(text, remarks)
    if not os.path.exists(text) and _names_a_file(text):
        raise DataError(f"hotwords: no such file: {text}")
    found = parse(text, remarks)
    is_word = isinstance(found, Hotwords) and len(found) == 1
    if is_word and not looks_like_path(text) and (os.path.isfile(text) or _is_in_folder(text)):
        remarks.note("path", [text])
    return found


def _is_in_folder(text: str) -> bool:
    """Tell text that would be a path in a folder that is there, as lists/hotwords."""
    folder = os.path.dirname(text)
    return folder != "" and os.path.isdir(folder)


def _names_a_file(text: str) -> bool:
    """Tell a path from keywords such as "AC/DC", so that a file that is missing is no keyword."""
    path = Path(text)
    return text.startswith(_PATH) or (
        not re.search("[,，、;；]", text)
        and (path.name == "biasing_list" or path.suffix in (*OPENED, ".scp", ".text"))
    )


def _read_file(path: Path, remarks: Remarks) -> ReadList | dict | list:
    """Read a file that is named as one, or find the vocabulary whose folder it is."""
    vocabulary = find_vocabulary(path)
    if vocabulary is not None:
        return vocabulary
    if not path.exists() or path.is_dir():
        raise DataError(f"hotwords: no such file: {path}")
    if _is_biasing_list(path):
        return _read_biasing_list(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"hotwords: {path}: byte {error.start + 1} is not UTF-8; expected a text file"
        ) from None
    try:
        found = parse_content(content, path.suffix, remarks)
    except DataError as error:
        raise DataError(f"hotwords: {path}: {str(error).removeprefix('hotwords: ')}") from None
    if not found:
        logger.warning("hotwords: %s holds no keyword", path)
    return found


def _read_biasing_list(value) -> dict:
    """Read lists by utterance id: a file, or a mapping."""
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str | os.PathLike):
        raise DataError(f"biasing_list: expected a file or a mapping, got {type(value).__name__}")
    path = Path(value).expanduser()
    if not path.exists() or path.is_dir():
        raise DataError(f"biasing_list: no such file: {path}")
    return {key: Hotwords(words) for key, words in read_biasing_list(path).items()}
