r"""Convert a data set from one format to another, and say what the new one cannot hold.

    funasr-sap convert --from sap2 --to jsonl --input train.json --output data/train.jsonl
    funasr-sap convert --from tsv --to kaldi --input test-clean.biasing_100.tsv --output data/test_clean

What is written appears only when it is complete. Utterances that cannot be read or written are named, and
fail the conversion unless --skip-bad leaves them out. formats.md of the
documentation shows what each format can hold.
"""

import argparse
import logging

from funasr_sap.data.formats import FORMATS, convert
from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.errors import DataError
from funasr_sap.tool import split_help


def main(argv: list[str] | None = None) -> None:
    """Convert what the arguments name; report on stderr what was left out or dropped."""
    arguments = vars(_parser().parse_args(argv))
    result = convert(
        arguments["input"],
        arguments["output"],
        FORMATS[arguments["from"]].read,
        FORMATS[arguments["to"]],
        read_kaldi(arguments["wav_scp"]) if arguments["wav_scp"] else None,
        arguments["skip_bad"],
    )
    if result.bad:
        logging.warning("%s", DataError.from_lines("left out", result.bad))
    for name, number in result.dropped.items():
        logging.warning("dropped %s of %d utterances: %s cannot hold it", name, number, arguments["to"])
    for name, number in result.changed.items():
        logging.warning("took off the blanks around %s of %d utterances", name, number)
    print(f"{arguments['output']}: {result.written} utterances, {len(result.bad)} left out")


def _parser() -> argparse.ArgumentParser:
    summary, details = split_help(__doc__)
    titles = "\n".join(f"  {name:12}{each.title}" for name, each in FORMATS.items())
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f"{details}\nformats:\n{titles}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--from", choices=list(FORMATS), required=True, metavar="FORMAT", help="format of the input")
    add("--to", choices=list(FORMATS), required=True, metavar="FORMAT", help="format of the output")
    add("--input", required=True, help="file, or folder of a Kaldi directory")
    add("--output", required=True, help="file, or a folder that does not exist yet")
    add("--wav-scp", help="audio paths by utterance id, for an input that names none or others")
    add("--skip-bad", action="store_true", help="leave out, by name, what cannot be read or written")
    return parser
