#!/usr/bin/env python3
"""Prepare LibriSpeech (openslr.org/12): Kaldi directories, and the rare words that biasing lists are made of.

python local/prepare_librispeech.py --corpus 960 --data-root LibriSpeech --output-dir data/960

DIR has the standard tree, SET/SPEAKER/CHAPTER with *.flac and *.trans.txt. Transcripts are lower-cased. As in
is21_deep_bias (arXiv:2104.02194), a word is rare when it is not among the 5,000 most frequent words of the
training transcripts. Written are train, dev, test-clean and test-other, each with wav.scp, text and keywords
(the rare words of an utterance), and common_words and rare_words, the pool of distractors.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from funasr_sap.data.biasing import common_words, rare_words, read_words
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_kaldi, write_biasing_list, write_kaldi
from funasr_sap.errors import DataError
from funasr_sap.tool import run

TRAIN = {
    "100": ("train-clean-100",),
    "460": ("train-clean-100", "train-clean-360"),
    "960": ("train-clean-100", "train-clean-360", "train-other-500"),
}
OTHERS = {
    "dev": ("dev-clean", "dev-other"),
    "test-clean": ("test-clean",),
    "test-other": ("test-other",),
}
SOURCE = "LibriSpeech is resource 12 of openslr.org, whose archives unpack into the folder for --data-root"


def read_tree(folders: Iterable[Path]) -> tuple[dict[str, str], dict[str, str]]:
    """Read published sets.

    Args:
        folders: such as ``LibriSpeech/dev-clean``.

    Returns:
        The audio file and the lower-cased transcript of each utterance.

    Raises:
        DataError: names all utterances without audio, all audio without a transcript, and bad lines.
    """
    wavs, texts, problems = {}, {}, []
    for folder in folders:
        chapters = sorted(folder.glob("*/*/"))
        for chapter in tqdm(chapters, desc=folder.name, unit="chapter", disable=None):
            audio = {path.stem: str(path) for path in chapter.glob("*.flac")}
            spoken: dict[str, str] = {}
            for transcripts in chapter.glob("*.trans.txt"):
                spoken |= read_kaldi(transcripts, allow_empty=True)
            problems += [f"{chapter}: {key} has a transcript, no flac" for key in spoken if key not in audio]
            problems += [f"{chapter}: {key}.flac has no transcript" for key in audio if key not in spoken]
            wavs |= audio
            texts |= {utt_id: text.lower() for utt_id, text in spoken.items()}
    if problems:
        raise DataError.from_lines("flac and trans.txt do not fit", problems)
    return wavs, texts


def read_or_list(path: str | None, words: Iterable[str]) -> list[str]:
    """Read words where a file is given, else take those that were found."""
    return read_words(path) if path else list(words)


def write_words(path: Path, words: Iterable[str]) -> None:
    """Write one word a line."""
    with atomic_write(path) as stream:
        stream.writelines(f"{word}\n" for word in words)


def main(argv=None):
    """Check that all sets are there, then write them."""
    arguments = _parser().parse_args(argv)
    sets = {"train": TRAIN[arguments.corpus], **OTHERS}
    if not arguments.data_root:
        raise DataError(f"LibriSpeech: no --data-root is given; {SOURCE}")
    root, output_dir = Path(arguments.data_root), arguments.output_dir
    published = [name for names in sets.values() for name in names]
    missing = [name for name in published if not any(root.glob(f"{name}/*/*/*.trans.txt"))]
    if missing:
        raise DataError(f"LibriSpeech in {root} lacks {', '.join(missing)}; {SOURCE}")
    read = {name: read_tree(root / folder for folder in names) for name, names in sets.items()}
    spoken = read["train"][1].values()
    common = read_or_list(arguments.common_words, common_words(spoken, arguments.num_common))
    known = set(common)
    rare = read_or_list(arguments.rare_words, rare_words(" ".join(spoken), known))
    write_words(output_dir / "common_words", common)
    write_words(output_dir / "rare_words", sorted(set(rare) - known))
    for name, (wavs, texts) in read.items():
        write_kaldi(output_dir / name / "wav.scp", wavs)
        write_kaldi(output_dir / name / "text", texts)
        keywords = {utt_id: rare_words(text, known) for utt_id, text in texts.items()}
        write_biasing_list(output_dir / name / "keywords", keywords)


def _parser():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--corpus", required=True, choices=tuple(TRAIN), help="hours of the training set")
    add("--data-root", default="", help="the folder with train-clean-100, dev-clean, ...")
    add("--output-dir", required=True, type=Path, help="gets train, dev, test-clean, test-other")
    add("--common-words", help="the common words, one a line (default: the most frequent ones of training)")
    add("--num-common", type=int, default=5000, help="how many those are (default: %(default)s)")
    add("--rare-words", help="the pool of distractors, one a line (default: the rare words of training)")
    return parser


if __name__ == "__main__":
    run(main)
