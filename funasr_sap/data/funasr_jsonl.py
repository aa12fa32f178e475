"""FunASR's own JSONL (``source``, ``target`` and their lengths), which Paraformer and its relatives train on.

Lines are those of funasr/datasets/audio_datasets/scp2jsonl.py, which decodes and resamples all audio to
know its length; here the headers tell. Other than there, the order is that of the first file, and an
utterance that lacks its audio or its text is an error.
"""

import json
import math
from dataclasses import dataclass

from funasr_sap.data.audio_header import AudioHeader, read_header
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.data.processes import ordered_map
from funasr_sap.data.scp2jsonl import check_partners, report_blank, report_unreadable
from funasr_sap.errors import ConfigError
from funasr_sap.tool import option

AUDIO, TEXT = "source", "target"
SAMPLE_RATE = 16000  # Hz, what FunASR resamples to


@dataclass
class FunASRJsonlOptions:
    """What ``funasr-sap scp2jsonl`` takes for this form."""

    scp_file_list: list[str] = option('the Kaldi files, one a data type: ["wav.scp","text"]')  # noqa: RUF009
    jsonl_file_out: str = option("the JSONL file to write")
    data_type_list: list[str] | None = option(  # noqa: RUF009
        'what each file holds; ["source","target"] if not given', None
    )
    jobs: int | None = option("processes that read audio headers; one a CPU where not given", None)
    skip_bad: bool = option(
        "leave out unreadable audio files, name and count them, instead of failing", False
    )
    keep_empty: bool = option("false leaves out utterances whose transcript says nothing", True)


def scp2funasr_jsonl(options: FunASRJsonlOptions) -> tuple[int, int]:
    """Write the JSONL file, in the order of the first Kaldi file, atomically.

    Returns:
        How many utterances were written, and how many were left out for their audio.

    Raises:
        DataError: ids without a partner in another file, unreadable audio files (all of them in one error),
            transcripts that all say nothing, where these are left out.
        ConfigError: files and data types that do not go together.
    """
    types = list(options.data_type_list or (AUDIO, TEXT))
    files = list(options.scp_file_list)
    if len(types) != len(files) or len(set(types)) != len(types) or AUDIO not in types:
        raise ConfigError(
            f"got the files {files} and the data types {types}, "
            f"expected as many of each, one of the types being {AUDIO!r}"
        )
    # FunASR takes all of Unicode's blanks off a value, read_kaldi only those that separate fields.
    tables = [
        {utt_id: value.strip() for utt_id, value in read_kaldi(path, allow_empty=True).items()}
        for path in files
    ]
    check_partners(dict(zip(files, tables, strict=True)))
    columns = dict(zip(types, tables, strict=True))
    wavs = columns[AUDIO]
    left_out = set()
    if TEXT in columns:
        left_out = report_blank(files[types.index(TEXT)], columns[TEXT], options.keep_empty)
    ids, bad = [utt_id for utt_id in tables[0] if utt_id not in left_out], []
    lengths = ordered_map(_measure, [wavs[utt_id] for utt_id in ids], options.jobs, "audio headers")
    with atomic_write(options.jsonl_file_out) as stream:
        for utt_id, length in zip(ids, lengths, strict=True):
            if isinstance(length, str):
                bad.append(f"{utt_id} ({wavs[utt_id]}): {length}")
                continue
            record = {"key": utt_id}
            for name, column in columns.items():
                value = column[utt_id]
                record |= {name: value, f"{name}_len": length if name == AUDIO else target_length(value)}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        # Here, inside the atomic write, so that a failure leaves an old JSONL file as it was.
        report_unreadable(bad, files[types.index(AUDIO)], len(ids), options.skip_bad)
    return len(ids) - len(bad), len(bad)


def source_length(header: AudioHeader) -> int:
    """Count what FunASR calls ``source_len``: hundredths of a second of the audio at 16 kHz."""
    samples = header.samples
    if header.rate != SAMPLE_RATE:
        samples = math.ceil(samples * (SAMPLE_RATE / header.rate))  # as many as librosa's resampling gives
    return int(samples * 1000 / SAMPLE_RATE / 10)


def target_length(text: str) -> int:
    """Count what FunASR calls ``target_len``: words where there is a blank, else characters."""
    return len(text.split()) if " " in text else len(text)


def _measure(path: str) -> int | str:
    try:
        return source_length(read_header(path))
    except ValueError as error:
        return str(error)
