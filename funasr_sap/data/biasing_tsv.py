"""LibriSpeech's biasing TSV: id, transcript, rare words and biasing list, tabs between, the lists as JSON.

The format of is21_deep_bias/ref in github.com/facebookresearch/fbai-speech (arXiv:2104.02194). It names no
audio.
"""

import json
import os
from collections.abc import Iterable, Iterator

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import Ids, check_id, iter_lines, parse_json, parse_words
from funasr_sap.data.utterance import Utterance


def iter_biasing_tsv(path: str | os.PathLike, problems: list[str]) -> Iterator[Utterance]:
    """Stream the utterances of a file; they have no ``source``, and without a fourth column no ``hotwords``.

    Args:
        path: the file.
        problems: gets ``file:line: reason`` for each bad line.
    """
    ids = Ids()
    for number, line in iter_lines(path, problems):
        try:
            utterance = parse_tsv_line(line)
            ids.add(utterance.key, number)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        yield utterance


def parse_tsv_line(line: str) -> Utterance:
    """Read one line; ValueError with the reason where it is none."""
    fields = line.split("\t")
    if len(fields) not in (3, 4):
        raise ValueError(f"{len(fields)} columns, expected id, text, rare words, biasing list (tabs between)")
    rare_words, *biasing = (tuple(parse_words(parse_json(field))) for field in fields[2:])
    return Utterance(check_id(fields[0]), None, fields[1], biasing[0] if biasing else None, rare_words)


def format_tsv_line(utterance: Utterance) -> str:
    """Return one line without its end; ValueError naming what is not known or does not fit."""
    if utterance.text is None or utterance.keywords is None:
        raise ValueError("its text and its keywords (rare words) must be known")
    if "\t" in utterance.text or "\n" in utterance.text:
        raise ValueError("a tab or a line break in its text, which a column cannot hold")
    lists = [words for words in (utterance.keywords, utterance.hotwords) if words is not None]
    columns = [check_id(utterance.key), utterance.text]
    return "\t".join(columns + [json.dumps(list(words), ensure_ascii=False) for words in lists])


def write_biasing_tsv(path: str | os.PathLike, utterances: Iterable[Utterance]) -> int:
    """Write utterances in the order given, atomically; returns how many.

    Raises:
        ValueError: an utterance that `format_tsv_line` cannot write.
    """
    count = 0
    with atomic_write(path) as stream:
        for utterance in utterances:
            stream.write(format_tsv_line(utterance) + "\n")
            count += 1
    return count
