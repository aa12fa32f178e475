"""Read what is scored: texts by utterance id, with the word lists that stand beside them.

Three kinds of files, told by their first line:

- Kaldi ``text``: ``utt words ...``, or a tab after the id;
- the biasing TSV of LibriSpeech (is21_deep_bias/ref in fbai-speech at 43cdb3c): id, text, rare words as JSON,
  biasing list as JSON;
- JSONL: ``key`` with ``text`` or with ChatML ``messages``; ``hotwords`` is the biasing list, ``keywords`` its
  true part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

from funasr_sap.data.jsonl import parse_record
from funasr_sap.data.kaldi import Ids, check_id, iter_lines, parse_json, parse_words, read_biasing_list
from funasr_sap.errors import DataError

Lists = dict[str, list[str]]
ParsedLine = tuple[str, str, list[str] | None, list[str] | None]  # id, text, rare words, biasing list


@dataclass
class Transcripts:
    """The texts of one file by utterance id, with the word lists that it holds (None: it holds none)."""

    texts: dict[str, str]
    rare_words: Lists | None
    biasing: Lists | None

    def map(self, transform: Callable[[str], str]) -> "Transcripts":
        """Return the same with each text and each list entry transformed."""
        texts = {utt_id: transform(text) for utt_id, text in self.texts.items()}
        return Transcripts(texts, map_lists(self.rare_words, transform), map_lists(self.biasing, transform))


@overload
def map_lists(lists: Lists, transform: Callable[[str], str]) -> Lists: ...
@overload
def map_lists(lists: None, transform: Callable[[str], str]) -> None: ...
def map_lists(lists: Lists | None, transform: Callable[[str], str]) -> Lists | None:
    """Transform all entries; those of which nothing is left are dropped."""
    if lists is None:
        return None
    return {utt_id: [new for new in map(transform, words) if new] for utt_id, words in lists.items()}


def read_transcripts(path: str) -> Transcripts:
    """Read texts, and the lists beside them.

    Raises:
        DataError: the file holds no utterance, or has bad lines or repeated ids; names them all.
    """
    texts: dict[str, str] = {}
    all_rare_words: Lists = {}
    all_biasing: Lists = {}
    problems: list[str] = []
    ids = Ids()
    parse = None
    for number, line in iter_lines(path, problems):
        parse = parse or _parser_for(line)
        try:
            utt_id, text, rare_words, biasing = parse(line)
            ids.add(utt_id, number)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        texts[utt_id] = text
        if rare_words is not None:
            all_rare_words[utt_id] = rare_words
        if biasing is not None:
            all_biasing[utt_id] = biasing
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    if not texts:
        raise DataError(f"{path} holds no utterance.")
    return Transcripts(texts, all_rare_words or None, all_biasing or None)


def read_lists(path: str) -> tuple[Lists, Lists | None]:
    """Read biasing lists: ``utt word$word$...``, ``utt ["word", ...]``, JSONL, or the biasing TSV.

    Returns: the biasing list of each utterance, and its rare words where the file tells them (a TSV does).

    Raises:
        DataError: names every bad line.
    """
    first = next((line for _, line in iter_lines(path, [])), "")
    if _parser_for(first) is not _parse_biasing_tsv_line:
        return read_biasing_list(path), None
    found = read_transcripts(path)
    if found.biasing is None:
        raise DataError(f"{path} has no biasing lists: expected them in the fourth column.")
    return found.biasing, found.rare_words


def _parser_for(first_line: str) -> Callable[[str], ParsedLine]:
    if first_line.startswith("{"):
        return _parse_json_line
    return _parse_biasing_tsv_line if first_line.count("\t") > 1 else _parse_text_line


def _parse_text_line(line: str) -> ParsedLine:
    """Parse ``utt words ...``; the text may be missing."""
    utt_id, _, text = line.strip(" \t").replace("\t", " ", 1).partition(" ")
    return check_id(utt_id), text, None, None


def _parse_biasing_tsv_line(line: str) -> ParsedLine:
    """Parse id, text, rare words and, where it is there, biasing list."""
    fields = line.split("\t")
    if len(fields) not in (3, 4):
        raise ValueError(f"{len(fields)} columns, expected id, text, rare words, biasing list (tabs between)")
    rare_words, *biasing = (parse_words(parse_json(field)) for field in fields[2:])
    return check_id(fields[0]), fields[1], rare_words, biasing[0] if biasing else None


def _parse_json_line(line: str) -> ParsedLine:
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    if "key" in record:
        # Scoring needs no audio, which the reader of data sets does.
        record = {"audios": "none", "source": "none", **record}
        if "messages" not in record and "text" in record:
            record["target"] = record["text"]
    utterance = parse_record(record)
    if utterance.text is None:
        raise ValueError('expected a transcript in "text" or in the assistant\'s message')
    rare_words, biasing = (
        None if words is None else list(words) for words in (utterance.keywords, utterance.hotwords)
    )
    return utterance.key, utterance.text, rare_words, biasing
