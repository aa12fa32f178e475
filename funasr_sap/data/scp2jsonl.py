"""Kaldi directory to JSONL: joins ``wav.scp``, ``text`` and biasing lists by id, and measures lengths.

Only the headers of the audio files are read, in processes. Lengths are those of Fun-ASR's tools/scp2jsonl.py:

- ``speech_length``: frames of 10 ms, that is windows of 25 ms every 10 ms; 0 below 25 ms.
- ``text_length``: tokens of the LLM where a tokenizer is given. Without one: each Chinese, Japanese or Korean
  character counts 1, and each run of other characters between blanks counts 1.
"""

import contextlib
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sized
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import soundfile
from tqdm import tqdm

from funasr_sap.data.jsonl import Utterance, write_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.tool import option

FRAME_SHIFT_MS = 10
FRAME_LENGTH_MS = 25

Tokenize = Callable[[str], Sized]

_CJK = "\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_WORD = re.compile(f"[{_CJK}]|[^\\s{_CJK}]+")
# libsndfile gives 2**63 - 1 where a stream does not say how long it is.
_MAX_SAMPLES = 2**48
_CHUNK = 64  # files a process takes at a time: below this, passing messages costs more than reading headers

logger = logging.getLogger(__name__)


@dataclass
class Scp2JsonlOptions:
    """What ``tools/scp2jsonl.py`` takes."""

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
    skip_bad: bool = option(
        "leave out unreadable audio files, name and count them, instead of failing", False
    )


def scp2jsonl(options: Scp2JsonlOptions, tokenize: Tokenize | None = None) -> tuple[int, int]:
    """Write the JSONL file, in the order of ``wav.scp``, atomically.

    Args:
        options: the files and switches.
        tokenize: turns a transcript into tokens; replaces ``options.tokenizer``.

    Returns:
        How many utterances were written, and how many were left out for their audio.

    Raises:
        DataError: ids without a partner in another file, unreadable audio files (all of them in one error).
        ConfigError: a tokenizer that is no directory, or less than one job.
    """
    jobs = _cpus() if options.jobs is None else options.jobs
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, expected 1 or more")
    tokenize = tokenize or (_load_tokenizer(options.tokenizer) if options.tokenizer else split_words)
    wavs = read_kaldi(options.scp_file)
    columns = _read_columns(options, wavs)
    bad: list[str] = []

    def utterances() -> Iterator[Utterance]:
        for utt_id, length in _measure(wavs, jobs):
            if isinstance(length, str):
                bad.append(f"{utt_id} ({wavs[utt_id]}): {length}")
                continue
            row = {name: column[utt_id] for name, column in columns.items()}
            tokens = len(tokenize(row["text"]))
            yield Utterance(utt_id, wavs[utt_id], speech_length=length, text_length=tokens, **row)
        # Here, inside the atomic write, so that a failure leaves an old JSONL file as it was.
        _report(bad, options, len(wavs))

    return write_jsonl(options.jsonl_file, utterances()), len(bad)


def split_words(text: str) -> list[str]:
    """Split into words at blanks, and Chinese, Japanese and Korean text into characters."""
    return _WORD.findall(text)


def speech_length(path: str) -> int:
    """Return the length of an audio file in frames of 10 ms, from its header alone.

    Raises:
        ValueError: an unreadable or empty file, with the reason.
    """
    if path.endswith("|"):
        raise ValueError("a command, expected an audio file; run it and store its output")
    if not os.path.isfile(path):
        raise ValueError("no such file")
    try:
        # soundfile.info would take twice the time, for descriptions that nobody reads.
        with soundfile.SoundFile(path) as audio:
            samples, rate = audio.frames, audio.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(error.error_string.strip().rstrip(".")) from error
    if samples == 0:
        raise ValueError("no samples")
    if samples > _MAX_SAMPLES:
        raise ValueError("its header does not say how long it is")
    # Fun-ASR's expression, to the last float: a rounding of ours would give other lengths than its data has.
    return max(0, int((samples / rate * 1000 - FRAME_LENGTH_MS) // FRAME_SHIFT_MS + 1))


def _read_columns(options: Scp2JsonlOptions, wavs: Mapping[str, str]) -> dict[str, dict]:
    """Read what is joined to the audio, under the names of `Utterance`; all ids must have their partners."""
    columns: dict[str, dict] = {"text": read_kaldi(options.transcript_file, allow_empty=True)}
    scp_file, texts = options.scp_file, columns["text"]
    lonely = [
        f"{utt_id}: in {scp_file}, not in {options.transcript_file}" for utt_id in wavs if utt_id not in texts
    ]
    lonely += [
        f"{utt_id}: in {options.transcript_file}, not in {scp_file}" for utt_id in texts if utt_id not in wavs
    ]
    for name, path in (("hotwords", options.biasing_list), ("keywords", options.keywords)):
        if path is not None:
            # A list may serve several data sets, so ids that only it has are no mistake.
            table = columns[name] = {
                utt_id: tuple(words) for utt_id, words in read_biasing_list(path).items()
            }
            lonely += [f"{utt_id}: in {scp_file}, not in {path}" for utt_id in wavs if utt_id not in table]
    if lonely:
        raise DataError.from_lines("utterances without a partner", lonely)
    if not wavs:
        raise DataError(f"{scp_file} has no utterances")
    return columns


def _measure(wavs: Mapping[str, str], jobs: int) -> Iterator[tuple[str, int | str]]:
    """Yield each id with its speech length, or with the reason why it has none, in the order of ``wavs``."""
    with contextlib.ExitStack() as stack:
        if jobs > 1 and len(wavs) > 2 * _CHUNK:
            pool = stack.enter_context(ProcessPoolExecutor(jobs, initializer=_ignore_interrupts))
            stack.callback(pool.shutdown, cancel_futures=True)
            lengths = pool.map(_length_or_reason, wavs.values(), chunksize=_CHUNK)
        else:
            lengths = map(_length_or_reason, wavs.values())
        yield from tqdm(zip(wavs, lengths, strict=True), total=len(wavs), unit="utt", desc="audio headers")


def _length_or_reason(path: str) -> int | str:
    try:
        return speech_length(path)
    except ValueError as error:
        return str(error)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent: else every process prints a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _report(bad: list[str], options: Scp2JsonlOptions, total: int) -> None:
    if bad and (not options.skip_bad or len(bad) == total):
        raise DataError.from_lines(
            f"unreadable audio in {options.scp_file} (skip_bad=true leaves it out)", bad
        )
    for line in bad:
        logger.warning("left out %s", line)


def _cpus() -> int:
    """Count the CPUs that this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_tokenizer(directory: str) -> Tokenize:
    if not os.path.isdir(directory):
        raise ConfigError(f"the tokenizer {directory!r} is not a directory")
    from transformers import AutoTokenizer  # takes seconds to import, and few calls need it

    try:
        return AutoTokenizer.from_pretrained(directory, local_files_only=True).tokenize
    except (OSError, ValueError) as error:
        raise ConfigError(f"no tokenizer in {directory!r}: {str(error).splitlines()[0]}") from error
