r"""Make biasing lists: the rare words of each utterance and N distractors, shuffled.

funasr-sap biasing-lists --keywords data/test/keywords --text data/test/text \
    --distractors data/words.txt --num 100 --output data/test/biasing_list.100

With --shared, one list for all utterances, a keyword a line.
"""

import argparse
from collections.abc import Sequence

from funasr_sap.data.biasing import make_biasing_lists, make_shared_list, read_words
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi, write_biasing_list


def main(argv: Sequence[str] | None = None) -> None:
    """Read the files, draw the lists, write them."""
    arguments = _parser().parse_args(argv)
    parts = (
        read_biasing_list(arguments.keywords),
        read_words(arguments.distractors),
        arguments.num,
        arguments.seed,
        read_kaldi(arguments.text, allow_empty=True) if arguments.text else None,
    )
    if arguments.shared:
        words = make_shared_list(*parts)
        with atomic_write(arguments.output) as stream:
            stream.writelines(f"{word}\n" for word in words)
        print(f"{arguments.output}: {len(words)} keywords, {arguments.num} of them distractors")
        return
    lists = make_biasing_lists(*parts)
    write_biasing_list(arguments.output, lists)
    print(f"{arguments.output}: {len(lists)} biasing lists, {arguments.num} distractors each")


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--keywords", required=True, help="rare words of each utterance: 'utt word$word' lines"
    )
    parser.add_argument("--distractors", required=True, help="pool of distractors, one word or phrase a line")
    parser.add_argument("--num", required=True, type=_count, help="distractors an utterance")
    parser.add_argument("--text", help="reference transcripts; what occurs there is never a distractor")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    parser.add_argument("--shared", action="store_true", help="write one list for all utterances")
    parser.add_argument("--output", required=True, help="biasing list to write")
    return parser


def _count(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number, 0 or more")
    return int(text)
