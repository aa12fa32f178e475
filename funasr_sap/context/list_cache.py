"""Long biasing lists, tokenised and indexed once: kept in memory, and in a folder when asked to."""

import functools
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from funasr_sap.context.biasing_list import LONG, BiasingList
from funasr_sap.context.keyword_index import KeywordIndex
from funasr_sap.context.spellings import Spellings
from funasr_sap.data.files import atomic_write

LISTS_KEPT = 4  # in memory; one of 200,000 keywords takes about 30 MB
FORMAT = 3  # of the files; raise it when what is stored, or how keywords are cleaned, changes


def prepare_list(words: Sequence[str], tokenizer, index_dir: str | os.PathLike | None = None) -> BiasingList:
    """Clean and tokenise a biasing list, unless that was done before.

    Args:
        words: keywords as users write them.
        tokenizer: a transformers tokenizer.
        index_dir: folder that keeps long lists for later runs; None for memory only.
    """
    if len(words) < LONG:
        return BiasingList(words, tokenizer)
    return _prepare_long(tuple(words), tokenizer, index_dir and os.fspath(index_dir))


@functools.lru_cache(maxsize=LISTS_KEPT)
def _prepare_long(words: tuple[str, ...], tokenizer, index_dir: str | None) -> BiasingList:
    if index_dir is None:
        return BiasingList(words, tokenizer)
    path = Path(index_dir) / f"{_digest(words, tokenizer)}.npz"
    if path.exists():
        try:
            return load_list(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            logging.warning("%s: cannot be read (%s) and is made anew", path, error)
    biasing_list = BiasingList(words, tokenizer)
    save_list(biasing_list, path)
    return biasing_list


def save_list(biasing_list: BiasingList, path: str | os.PathLike) -> None:
    """Write a biasing list with its index."""
    text = "\n".join(biasing_list.words).encode("utf-8", "surrogatepass")  # cleaned: no line break inside
    arrays = {
        "words": np.frombuffer(text, np.uint8),
        "given": np.frombuffer(json.dumps(biasing_list.given).encode(), np.uint8),
        "ids": biasing_list.ids.pieces,
        "lengths": biasing_list.ids.lengths.astype(np.int32),
    }
    with atomic_write(path, "wb") as stream:
        np.savez(stream, **arrays, **vars(biasing_list.index))


def load_list(path: str | os.PathLike) -> BiasingList:
    """Read what ``save_list`` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        arrays = dict(arrays)
    words = arrays.pop("words").tobytes().decode("utf-8", "surrogatepass").split("\n")
    given = json.loads(arrays.pop("given").tobytes())
    ids = Spellings(arrays.pop("ids"), arrays.pop("lengths"))
    return BiasingList.restore(words=words, given=given, ids=ids, index=KeywordIndex(**arrays))


def _digest(words, tokenizer) -> str:
    """Name a list by its content and by the tokenizer that spells it."""
    digest = hashlib.sha256(f"{FORMAT}\n{tokenizer.backend_tokenizer.to_str()}\n".encode())
    digest.update("\n".join(words).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]
