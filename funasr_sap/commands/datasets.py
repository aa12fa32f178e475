r"""Turn transcripts and a folder of audio into data sets: Kaldi files or JSONL, split where wanted.

funasr-sap datasets --input transcripts.txt --audio-dir wavs --target kaldi --output-dir data/mine
funasr-sap datasets --input labels.xlsx --audio-dir wavs --fields text=Transcript audio=File \
    --target chatml --output-dir data/mine --split 8:1:1 --by recording
funasr-sap datasets --input whisper.jsonl --target funasr --output-dir data/mine

Input: a folder of .txt files, .txt, .csv, .tsv, .xlsx, .json or .jsonl. With --audio-dir, audio is found by
file name; else the rows hold paths. What has no partner is an error, or left out and named with --lenient.
Output: wav.scp and text, or data.jsonl; with --split train, valid and test. See data_tools.md of the
documentation.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from funasr_sap.data.entries import Mapper, measure, read_entries, split_entries
from funasr_sap.data.scp2jsonl import load_tokenizer
from funasr_sap.data.split import parse_ratio
from funasr_sap.data.targets import TARGETS, write_entries
from funasr_sap.text.words import split_words


def main(argv: Sequence[str] | None = None) -> None:
    """Read, join, split, write; print what each part has."""
    arguments = _parser().parse_args(argv)
    if arguments.split:
        parse_ratio(arguments.split)  # a mistake in it is told before hours of audio are looked at
    mapper = Mapper(
        dict(arguments.fields), arguments.keep, dict(arguments.add), arguments.recording or Mapper.recording
    )
    tokenize = load_tokenizer(arguments.tokenizer) if arguments.tokenizer else split_words
    entries = read_entries(arguments.input, mapper, arguments.audio_dir, arguments.sheet, arguments.lenient)
    parts = {"": measure(entries, arguments.jobs, arguments.lenient)}
    if arguments.split:
        parts = split_entries(parts[""], arguments.split, arguments.by, arguments.seed)
    for name, part in parts.items():
        path = Path(arguments.output_dir, name)
        if arguments.target != "kaldi":
            path = Path(arguments.output_dir, f"{name or 'data'}.jsonl")
        write_entries(path, part, arguments.target, tokenize)
        hours = sum(entry.seconds for entry in part) / 3600
        recordings = len({entry.recording for entry in part})
        print(f"{path}: {len(part)} utterances, {hours:.3f} hours, {recordings} recordings")


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--input", required=True, help="file or folder of transcripts")
    add("--audio-dir", help="folder of the audio, subfolders included")
    add("--output-dir", required=True, help="the folder to write into")
    add("--target", choices=TARGETS, default="chatml", help="format to write (default: %(default)s)")
    add(
        "--fields",
        nargs="+",
        type=_pair,
        default=[],
        metavar="NAME=FIELD",
        help="where key, audio, text, recording, hotwords or keywords stand, if under another name; "
        "a.b is field b in field a",
    )
    add("--keep", nargs="+", default=[], metavar="FIELD", help="further fields that JSONL lines keep")
    add("--add", nargs="+", type=_pair, default=[], metavar="FIELD=TEXT", help="fields that all lines get")
    add("--sheet", help="of an Excel file (default: the first)")
    add("--tokenizer", help="directory of the LLM's tokenizer, which counts text_length (default: words)")
    add("--split", metavar="8:1:1", help="split into train:valid:test (default: no split)")
    add(
        "--by",
        choices=("utterance", "recording"),
        default="utterance",
        help="what is never in two parts (default: %(default)s)",
    )
    add(
        "--recording", metavar="REGEX", help="what in a key is its recording (default: up to the last - or _)"
    )
    add("--seed", type=int, default=0, help="of the split (default: %(default)s)")
    add("--lenient", action="store_true", help="leave out, by name, what has no partner or is unreadable")
    add("--jobs", type=int, help="processes that read audio headers (default: one a CPU)")
    return parser


def _pair(text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected name=value")
    return name, value
