r"""Turn the output of stage 1 into the input of stage 2: the keywords that it kept become the biasing lists.

    funasr-sap extract-keywords --keywords exp/stage1/1best_recog/keywords \
        --input data/test/data.jsonl --output data/test/stage2.jsonl
    funasr-sap extract-keywords --keywords exp/stage1/result.jsonl \
        --input data/test/data.jsonl --to sap2 --output data/test/stage2.json

Results and data are joined by utterance id: an utterance without a result is an error. One for which nothing
was kept ("none") gets an empty biasing list. The output appears only when it is complete. Results are
1best_recog/keywords, the JSON lines that the command funasr prints, or those of SAP²-ASR ("response").
"""

import argparse
import logging

from funasr_sap.data.formats import FORMATS, convert
from funasr_sap.data.kept_keywords import read_kept_keywords, with_kept_keywords
from funasr_sap.tool import split_help


def main(argv: list[str] | None = None) -> None:
    """Read the results, write the data set with the new biasing lists."""
    arguments = vars(_parser().parse_args(argv))
    kept = read_kept_keywords(arguments["keywords"])
    read = FORMATS[arguments["from"]].read
    result = convert(
        arguments["input"],
        arguments["output"],
        lambda path, problems: with_kept_keywords(read(path, problems), kept, problems),
        FORMATS[arguments["to"]],
    )
    for name, number in result.dropped.items():
        logging.warning("dropped %s of %d utterances: %s cannot hold it", name, number, arguments["to"])
    print(f"{arguments['output']}: {result.written} utterances")


def _parser() -> argparse.ArgumentParser:
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    formats = {"choices": list(FORMATS), "metavar": "FORMAT", "default": "jsonl"}
    add("--keywords", required=True, help="what stage 1 wrote")
    add("--input", required=True, help="the data set, file or folder")
    add("--output", required=True, help="the data set of stage 2, file or new folder")
    add("--from", **formats, help="of the data set: see funasr-sap convert --help (default: %(default)s)")
    add("--to", **formats, help="of the output (default: %(default)s)")
    return parser
