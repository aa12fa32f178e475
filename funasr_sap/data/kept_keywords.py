"""What stage 1 kept: the keywords of its answers, read from results, and put into the prompts of stage 2."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from funasr_sap.data.jsonl import audio_source, file_stem, key_of
from funasr_sap.data.kaldi import Ids, iter_lines, parse_json, parse_words, read_biasing_list
from funasr_sap.data.sap2_asr import split_kept
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError


def read_kept_keywords(path: str | os.PathLike) -> dict[str, list[str]]:
    """Read the keywords that stage 1 kept of each utterance.

    Three forms are read: ``1best_recog/keywords`` of funasr-sap decode; the JSON lines that the command
    ``funasr`` prints, with ``key`` and ``keywords``; and the result lines of SAP²-ASR, with ``audios`` and
    ``response``, keywords with commas between them, or "none", where a line without ``key`` is named after
    its audio.

    Raises:
        DataError: names every bad line, also those of utterances that could not be decoded.
    """
    problems: list[str] = []
    kept: dict[str, list[str]] = {}
    ids = Ids()
    for number, line in iter_lines(path, problems):
        if not kept and not problems and not line.startswith("{"):
            return read_biasing_list(path)
        try:
            utt_id, keywords = _parse_result(parse_json(line))
            ids.add(utt_id, number)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        kept[utt_id] = keywords
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    return kept


def _parse_result(record: object) -> tuple[str, list[str]]:
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    utt_id = key_of(record)
    if record.get("error"):
        raise ValueError(f"{utt_id!r} was not decoded: {record['error']}")
    if "keywords" in record and utt_id:
        return utt_id, parse_words(record["keywords"])
    if not isinstance(record.get("response"), str):
        keys = sorted(record)
        raise ValueError(f'expected "key" and "keywords", or "audios" and "response", got the keys {keys}')
    if not utt_id:
        utt_id = file_stem(audio_source({"source": record.get("audios")}))
    return utt_id, list(split_kept(record["response"]))


def with_kept_keywords(
    utterances: Iterable[Utterance], kept: Mapping[str, Sequence[str]], problems: list[str]
) -> Iterator[Utterance]:
    """Yield the utterances of stage 2: the biasing list of each is what stage 1 kept, an empty one for none.

    Args:
        utterances: the data set.
        kept: keywords by utterance id; those of other utterances are passed over.
        problems: gets the utterances that ``kept`` says nothing of.
    """
    for utterance in utterances:
        if utterance.key in kept:
            yield replace(utterance, hotwords=tuple(kept[utterance.key]))
        else:
            problems.append(f"{utterance.key!r} has no result of stage 1, not even an empty one")
