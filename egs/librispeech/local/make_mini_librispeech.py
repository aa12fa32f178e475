#!/usr/bin/env python3
"""Make a small LibriSpeech out of synthetic speech: the standard tree, without a download.

python local/make_mini_librispeech.py --output-dir data/mini/LibriSpeech --train 1200 --dev 100 --test 300

Each talk of the mini corpus is a speaker with one chapter. The sets named "other" are noisy and reverberant.
Training, dev and test sets share no rare word and no voice.
"""

import argparse
import tempfile
from itertools import groupby
from pathlib import Path

import soundfile

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.tool import run

# The published name, the split of the mini corpus, probability of noise and reverberation, first speaker.
SETS = (
    ("train-clean-100", "train", 0.0, 1001),
    ("dev-clean", "dev", 0.0, 2001),
    ("dev-other", "dev", 1.0, 3001),
    ("test-clean", "test", 0.0, 4001),
    ("test-other", "test", 1.0, 5001),
)


def write_tree(corpus: Path, folder: Path, first_speaker: int) -> None:
    """Write a mini corpus as SPEAKER/CHAPTER/SPEAKER-CHAPTER-UTTERANCE.flac, with upper-case transcripts."""
    texts, speakers = read_kaldi(corpus / "text"), read_kaldi(corpus / "utt2spk")
    wavs = read_kaldi(corpus / "wav.scp")
    for speaker, (_, utt_ids) in enumerate(groupby(sorted(texts), key=speakers.get), first_speaker):
        chapter = folder / str(speaker) / "1"
        chapter.mkdir(parents=True, exist_ok=True)
        lines = []
        for number, utt_id in enumerate(utt_ids):
            name = f"{speaker}-1-{number:04d}"
            soundfile.write(chapter / f"{name}.flac", *soundfile.read(wavs[utt_id], dtype="int16"))
            lines.append(f"{name} {texts[utt_id].upper()}\n")
        with atomic_write(chapter / f"{speaker}-1.trans.txt") as stream:
            stream.writelines(lines)


def main(argv=None):
    """Make each set in a temporary folder, then write its part of the tree."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--output-dir", required=True, type=Path, help="gets train-clean-100, dev-clean, ...")
    add("--train", type=int, default=1200, help="utterances of train-clean-100 (default: %(default)s)")
    add("--dev", type=int, default=100, help="utterances of each dev set (default: %(default)s)")
    add("--test", type=int, default=300, help="utterances of each test set (default: %(default)s)")
    add("--seed", type=int, default=2026, help="another seed gives other talks (default: %(default)s)")
    add("--jobs", type=int, default=2, help="talks rendered at a time (default: %(default)s)")
    arguments = parser.parse_args(argv)
    for name, split, degraded, first_speaker in SETS:
        with tempfile.TemporaryDirectory() as corpus:
            make_corpus(
                corpus,
                split,
                utterances=getattr(arguments, split),
                seed=arguments.seed + first_speaker,
                jobs=arguments.jobs,
                noise=degraded,
                reverb=degraded,
            )
            write_tree(Path(corpus), arguments.output_dir / name, first_speaker)


if __name__ == "__main__":
    run(main)
