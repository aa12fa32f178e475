"""Kaldi directory to JSONL: joins ``wav.scp``, ``text`` and biasing lists by id, and measures lengths.

Only the headers of the audio files are read, in processes. Lengths are those of Fun-ASR's tools/scp2jsonl.py:

- ``speech_length``: frames of 10 ms, that is windows of 25 ms every 10 ms; 0 below 25 ms.
- ``text_length``: tokens of the LLM where a tokenizer is given. Without one: words count; see
  ``text.words``.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial

from funasr_sap.data.audio_header import AudioHeader, read_header
from funasr_sap.data.jsonl import Utterance, write_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.processes import ordered_map
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.text.blank import is_blank, warn_of_blank
from funasr_sap.text.words import split_words
from funasr_sap.tool import option

FRAME_SHIFT_MS = 10
FRAME_LENGTH_MS = 25

Tokenize = Callable[[str], Sized]

logger = logging.getLogger(__name__)


@dataclass
class Scp2JsonlOptions:
    """What ``funasr-sap scp2jsonl`` takes."""

    scp_file: str = option("wav.scp: 'utt path' lines; paths are kept as they are")
    transcript_file: str = option("text: 'utt transcript' lines")
    jsonl_file: str = option("the JSONL file to write")
    biasing_list: str | None = option(
        "biasing lists, written as hotwords: 'utt word$word' or JSON lists", None
    )
    keywords: str | None = option(
        "the rare words of each utterance, in the same form, written as keywords", None
    )
    tokenizer: str | None = option(
        "directory of the LLM's tokenizer, which counts text_length; without it words, or Chinese characters",
        None,
    )
    jobs: int | None = option("processes that read audio headers; one a CPU where not given", None)
    max_workers: int | None = option("the name that Fun-ASR's script has for jobs", None)
    skip_bad: bool = option(
        "leave out unreadable audio files, name and count them, instead of failing", False
    )
    keep_empty: bool = option("false leaves out utterances whose transcript says nothing", True)


def scp2jsonl(options: Scp2JsonlOptions, tokenize: Tokenize | None = None) -> tuple[int, int]:
    """Write the JSONL file, in the order of ``wav.scp``, atomically.

    Args:
        options: the files and switches.
        tokenize: turns a transcript into tokens; replaces ``options.tokenizer``. It can be pickled.

    Returns:
        How many utterances were written, and how many were left out for their audio.

    Raises:
        DataError: ids without a partner in another file, unreadable audio files (all of them in one error),
            transcripts that all say nothing, where these are left out.
        ConfigError: a tokenizer that is no directory, or less than one job.
    """
    tokenize = tokenize or (load_tokenizer(options.tokenizer) if options.tokenizer else split_words)
    jobs = options.max_workers if options.jobs is None else options.jobs
    wavs = read_kaldi(options.scp_file)
    columns = _read_columns(options, wavs)
    left_out = report_blank(options.transcript_file, columns["text"], options.keep_empty)
    wavs = {utt_id: path for utt_id, path in wavs.items() if utt_id not in left_out}
    bad: list[str] = []
    too_short: list[str] = []

    def utterances() -> Iterator[Utterance]:
        items = [(path, columns["text"][utt_id]) for utt_id, path in wavs.items()]
        lengths = ordered_map(partial(_measure, tokenize), items, jobs, "audio headers")
        for (utt_id, path), measured in zip(wavs.items(), lengths, strict=True):
            if isinstance(measured, str):
                bad.append(f"{utt_id} ({path}): {measured}")
                continue
            frames, tokens = measured
            if not frames:
                too_short.append(utt_id)
            row = {name: column[utt_id] for name, column in columns.items()}
            yield Utterance(utt_id, path, speech_length=frames, text_length=tokens, **row)
        # Here, inside the atomic write, so that a failure leaves an old JSONL file as it was.
        report_unreadable(bad, options.scp_file, len(wavs), options.skip_bad)

    written = write_jsonl(options.jsonl_file, utterances())
    if too_short:
        logger.warning(
            "%s: %d utterance(s) are shorter than %d ms, which nothing can be recognised in, the first is %s",
            *(options.scp_file, len(too_short), FRAME_LENGTH_MS, too_short[0]),
        )
    return written, len(bad)


def speech_length(path: str) -> int:
    """Return the length of an audio file in frames of 10 ms, from its header alone.

    Raises:
        ValueError: an unreadable or empty file, with the reason.
    """
    return count_frames(read_header(path))


def count_frames(header: AudioHeader) -> int:
    """Count frames of 10 ms: windows of 25 ms every 10 ms, 0 below 25 ms."""
    # Fun-ASR's expression, to the last float: a rounding of ours would give other lengths than its data has.
    milliseconds = header.samples / header.rate * 1000
    return max(0, int((milliseconds - FRAME_LENGTH_MS) // FRAME_SHIFT_MS + 1))


def load_tokenizer(directory: str) -> Tokenize:
    """Load the tokenizer of an LLM, to count tokens, without special ones.

    Raises:
        ConfigError: no directory, or no tokenizer in it.
    """
    if not os.path.isdir(directory):
        raise ConfigError(f"the tokenizer {directory!r} is not a directory")
    try:
        if os.path.isfile(os.path.join(directory, "tokenizer.json")):
            return FastTokenizer(os.path.join(directory, "tokenizer.json"))
        from transformers import AutoTokenizer  # takes seconds to import, and few tokenizers need it

        return AutoTokenizer.from_pretrained(directory, local_files_only=True).tokenize
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"no tokenizer in {directory!r}: {reason:.200}") from error


class FastTokenizer:
    """A ``tokenizer.json``, without transformers, which takes longer to import than most data to measure."""

    def __init__(self, path: str):
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(path)
        except Exception as error:  # the library raises plain Exception for a bad file
            raise ValueError(str(error)) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __call__(self, text: str) -> Sized:
        """Split into tokens, without special ones."""
        return self._tokenizer.encode(text, add_special_tokens=False)


def check_partners(columns: Mapping[str, Collection[str]], also: Mapping[str, Collection[str]] = {}) -> None:
    """Check that files hold the same ids.

    Args:
        columns: the ids of each file; the first has the audio.
        also: files that may hold more ids than those, for example lists that serve several data sets.

    Raises:
        DataError: names every id without a partner.
    """
    (scp_file, wavs), *others = columns.items()
    lonely = []
    for path, ids in others:
        lonely += [f"{utt_id}: in {scp_file}, not in {path}" for utt_id in wavs if utt_id not in ids]
        lonely += [f"{utt_id}: in {path}, not in {scp_file}" for utt_id in ids if utt_id not in wavs]
    for path, ids in also.items():
        lonely += [f"{utt_id}: in {scp_file}, not in {path}" for utt_id in wavs if utt_id not in ids]
    if lonely:
        raise DataError.from_lines("utterances without a partner", lonely)
    if not wavs:
        raise DataError(f"{scp_file} has no utterances")


def report_unreadable(bad: Sequence[str], scp_file: str, total: int, skip: bool) -> None:
    """Say which audio files cannot be read.

    Raises:
        DataError: names them all, where they may not be skipped, or where nothing else is left.
    """
    if bad and (not skip or len(bad) == total):
        raise DataError.from_lines(f"unreadable audio in {scp_file} (skip_bad=true leaves it out)", bad)
    for line in bad:
        logger.warning("left out %s", line)


def report_blank(text_file: str, texts: Mapping[str, str], keep: bool) -> set[str]:
    """Say which transcripts say nothing; return the ids to leave out: these, or none where they are kept.

    Raises:
        DataError: where nothing else is left.
    """
    blank = [utt_id for utt_id, text in texts.items() if is_blank(text)]
    if keep:
        warn_of_blank(text_file, blank, "they are written all the same; ++keep_empty=false leaves them out")
        return set()
    if len(blank) == len(texts):
        raise DataError(f"{text_file}: all {len(texts)} transcripts are empty; expected some with words")
    warn_of_blank(text_file, blank, "they are left out, as ++keep_empty=false asks for")
    return set(blank)


def _measure(tokenize: Tokenize, item: tuple[str, str]) -> tuple[int, int] | str:
    """Return an utterance's frames and tokens, or the reason why its audio has no length."""
    path, text = item
    try:
        return speech_length(path), len(tokenize(text))
    except ValueError as error:
        return str(error)


def _read_columns(options: Scp2JsonlOptions, wavs: Mapping[str, str]) -> dict[str, dict]:
    """Read what is joined to the audio, under the names of `Utterance`; all ids must have their partners."""
    columns: dict[str, dict] = {"text": read_kaldi(options.transcript_file, allow_empty=True)}
    lists = {}
    for name, path in (("hotwords", options.biasing_list), ("keywords", options.keywords)):
        if path is not None:
            table = {utt_id: tuple(words) for utt_id, words in read_biasing_list(path).items()}
            columns[name] = lists[path] = table
    # A list may serve several data sets, so ids that only it has are no mistake.
    check_partners({options.scp_file: wavs, options.transcript_file: columns["text"]}, lists)
    return columns
