"""Make a mini corpus: python -m funasr_sap.data.mini_corpus --output-dir DIR --split train --hours 1."""

import argparse
import sys

from funasr_sap.data.mini_corpus.corpus import make_corpus
from funasr_sap.data.mini_corpus.language import MODULES
from funasr_sap.data.mini_corpus.vocabulary import SPLITS
from funasr_sap.errors import ConfigError, DataError


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and make the corpus."""
    parser = argparse.ArgumentParser(
        prog="python -m funasr_sap.data.mini_corpus",
        description="Make a synthetic corpus of lecture-like talks: wavs and Kaldi files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--output-dir", required=True, help="gets wav.scp, text, biasing_list, ... and wav/")
    add("--split", required=True, choices=SPLITS, help="splits share no rare word and no voice")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--hours", type=float, help="hours of speech; the talk that reaches them is the last")
    amount.add_argument("--utterances", type=int, help="exact number of utterances")
    add("--seed", type=int, default=0, help="other seeds give other talks")
    add("--lang", choices=tuple(MODULES), default="en", help="language")
    add("--jobs", type=int, default=2, help="talks rendered at a time; the bytes do not depend on it")
    add("--noise", type=float, default=0.3, metavar="P", help="probability of noise, 10 to 30 dB SNR")
    add("--reverb", type=float, default=0.2, metavar="P", help="probability of reverberation, 0.1 to 0.4 s")
    add("--talks", action="store_true", help="also write talks/: long wavs, segments, slides.jsonl")
    arguments = vars(parser.parse_args(argv))
    try:
        make_corpus(arguments.pop("output_dir"), arguments.pop("split"), **arguments)
    except ConfigError as error:
        parser.error(str(error))
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: no Kaldi files were written\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
