"""The formats that data sets are written in: Kaldi files, and the JSONL of several trainers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from funasr_sap.data.entries import LISTS, Entry
from funasr_sap.data.funasr_jsonl import source_length, target_length
from funasr_sap.data.jsonl import Utterance, format_record, write_jsonl
from funasr_sap.data.kaldi import write_biasing_list, write_kaldi
from funasr_sap.data.scp2jsonl import Tokenize, count_frames
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.text.words import split_words


def write_entries(
    path: Path, entries: Sequence[Entry], target: str, tokenize: Tokenize = split_words
) -> None:
    """Write a data set: a folder of Kaldi files, or a JSONL file; each file atomically.

    Args:
        path: the folder, or the file.
        entries: measured ones.
        target: "kaldi", "chatml" (Fun-ASR-Nano), "funasr" (Paraformer) or "whisper".
        tokenize: counts the text length of ChatML lines.

    Raises:
        DataError: what the format cannot hold.
        ConfigError: another target, or further fields for Kaldi files.
    """
    if target == "kaldi":
        _write_kaldi(path, entries)
    elif target in RECORDS:
        by_key = {entry.utterance.key: entry for entry in entries}

        def to_record(utterance: Utterance) -> dict:
            entry = by_key[utterance.key]
            record = RECORDS[target](entry, tokenize)
            return record | {name: v for name, v in entry.extra.items() if name not in record}

        write_jsonl(path, (entry.utterance for entry in entries), to_record)
    else:
        raise ConfigError(f"the target is {target!r}, expected one of {', '.join(TARGETS)}")


def _write_kaldi(path: Path, entries: Sequence[Entry]) -> None:
    if any(entry.extra for entry in entries):
        raise ConfigError("Kaldi files hold no further fields; write JSONL, or leave --keep and --add out")
    write_kaldi(path / "wav.scp", {e.utterance.key: e.utterance.audio for e in entries})
    write_kaldi(path / "text", {e.utterance.key: e.utterance.transcript for e in entries})
    for name, file in zip(LISTS, ("biasing_list", "keywords"), strict=True):
        lists = {e.utterance.key: getattr(e.utterance, name) for e in entries}
        lacking = [f"{e.place}: no {name}" for e in entries if lists[e.utterance.key] is None]
        if not lacking:
            write_biasing_list(path / file, lists)
        elif len(lacking) < len(lists):
            raise DataError.from_lines(f"{file} needs the {name} of all utterances, or of none", lacking)


def _chatml(entry: Entry, tokenize: Tokenize) -> dict:
    lengths = {
        "speech_length": count_frames(entry.measured),
        "text_length": len(tokenize(entry.utterance.transcript)),
    }
    return format_record(replace(entry.utterance, **lengths))


def _funasr(entry: Entry, tokenize: Tokenize) -> dict:
    utterance = entry.utterance
    return {
        "key": utterance.key,
        "source": utterance.source,
        "source_len": source_length(entry.measured),
        "target": utterance.text,
        "target_len": target_length(utterance.transcript),
        **{name: list(words) for name in LISTS if (words := getattr(utterance, name)) is not None},
    }


def _whisper(entry: Entry, tokenize: Tokenize) -> dict:
    """Return the object that Whisper-Finetune and its like read, with the duration in seconds."""
    utterance = entry.utterance
    return {
        "key": utterance.key,
        "audio": {"path": utterance.source},
        "sentence": utterance.text,
        "duration": round(entry.seconds, 3),
    }


RECORDS = {"chatml": _chatml, "funasr": _funasr, "whisper": _whisper}
TARGETS = ("kaldi", *RECORDS)
