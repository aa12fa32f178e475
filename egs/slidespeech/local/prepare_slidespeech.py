#!/usr/bin/env python3
"""Prepare the SlideSpeech corpus (openslr.org/144): Kaldi directories with one wav an utterance.

python local/prepare_slidespeech.py --corpus L95 --data-root DIR --output-dir data/L95 --slides 5

DIR, or related_files/ in it, has the folders L95 or S95, dev and test with segments, text and keywords, and
optionally slides.jsonl, the OCR of the slides; anywhere below DIR lies a wav for each recording, named by its
id. A run that was interrupted goes on where it stopped.

Text and keywords are cleaned as the public scripts do it: lower case, ASCII punctuation but the apostrophe
taken out, nothing put in its place (jymh/SAP2-ASR, data_preprocess.ipynb, at eeb5d55: its keywords are only
lower-cased; here they are cleaned too, else they would not be found in the text); full-width marks part words
(Mashiro009/slidespeech_dl, cal_recall_demo/compute_wer_details.py, at a1f9af4); white space is folded.
"""

import argparse
import string
from pathlib import Path

from funasr_sap.data.cutting import cut_recordings
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import (
    Segment,
    read_biasing_list,
    read_kaldi,
    read_segments,
    write_biasing_list,
    write_kaldi,
)
from funasr_sap.data.slides import merge_neighbours, read_slides, slides_of_keywords
from funasr_sap.errors import DataError
from funasr_sap.metrics.keywords import occurrences
from funasr_sap.tool import run

FILES = ("segments", "text", "keywords")
SOURCE = (
    "SlideSpeech is resource 144 of openslr.org, whose audio (a wav for each session) and related_files "
    "(segments, text and keywords of each set; related_files.tar.gz at slidespeech.github.io) are expected "
    "under --data-root"
)
FULL_WIDTH = "、。！，；？：「」︰『』《》"
PUNCTUATION = str.maketrans(FULL_WIDTH, " " * len(FULL_WIDTH), string.punctuation.replace("'", ""))


def clean(text: str) -> str:
    """Clean a transcript or a keyword, see above."""
    return " ".join(text.lower().translate(PUNCTUATION).split())


def find_sets(corpus: str, root: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the folder of each set: its place by the name of our set, and the files that are not there."""
    folders, missing = {}, []
    for name, published in (("train", corpus), ("dev", "dev"), ("test", "test")):
        nested = root / "related_files" / published
        folders[name] = nested if nested.is_dir() else root / published
        missing += [f"{published}/{file}" for file in FILES if not (folders[name] / file).is_file()]
    return folders, missing


def find_recordings(folders: dict[str, Path], root: Path, missing: list[str]) -> dict[str, Path]:
    """Find the wav of each recording; adds to ``missing`` what is not there."""
    wavs = {path.stem: path for path in sorted(root.rglob("*.wav"))}
    if not missing:
        segments = [each for path in folders.values() for each in read_segments(path / "segments").values()]
        lacking = sorted({segment.recording for segment in segments} - wavs.keys())
        if lacking:
            missing.append(f"the wav of {len(lacking)} recording(s), first {lacking[0]}.wav")
    elif not wavs:
        missing.append("all wavs")
    return wavs


def write_set(folder: Path, recordings: dict[str, Path], output_dir: Path, num_slides: int) -> list[str]:
    """Write the Kaldi directory of one set; returns all its keywords.

    The published keywords are what the slide of an utterance offers, that is its biasing list; ours are those
    of them that are spoken. ``biasing_list.slidesN`` covers N slides, see `merge_neighbours`.
    """
    segments, texts, lists = read_set(folder)
    write_kaldi(output_dir / "wav.scp", cut_recordings(segments, recordings, output_dir / "wav"))
    write_kaldi(output_dir / "text", texts)
    write_biasing_list(output_dir / "biasing_list", lists)
    write_biasing_list(output_dir / "keywords", spoken_keywords(lists, texts))
    wide = lists
    if num_slides > 1:
        ocr = folder / "slides.jsonl"
        slides = read_slides(ocr) if ocr.is_file() else slides_of_keywords(segments, lists)
        wide = merge_neighbours(segments, lists, slides, num_slides, clean)
    write_biasing_list(output_dir / f"biasing_list.slides{num_slides}", wide)
    return [word for words in lists.values() for word in words]


def read_set(folder: Path) -> tuple[dict[str, Segment], dict[str, str], dict[str, list[str]]]:
    """Read segments, cleaned texts and cleaned keywords of the utterances in ``segments``."""
    segments, texts = read_segments(folder / "segments"), read_kaldi(folder / "text", allow_empty=True)
    offered = read_biasing_list(folder / "keywords")
    lonely = [f"{utt_id}: in segments, not in text" for utt_id in segments if utt_id not in texts]
    lonely += [f"{utt_id}: in segments, not in keywords" for utt_id in segments if utt_id not in offered]
    if lonely:
        raise DataError.from_lines(f"utterances of {folder} without a partner", lonely)
    lists = {utt_id: dict.fromkeys(map(clean, offered[utt_id])) for utt_id in segments}
    return (
        segments,
        {utt_id: clean(texts[utt_id]) for utt_id in segments},
        {utt_id: [word for word in words if word] for utt_id, words in lists.items()},
    )


def spoken_keywords(lists: dict[str, list[str]], texts: dict[str, str]) -> dict[str, list[str]]:
    """Keep the words of each list that occur in the transcript."""
    return {
        utt_id: [word for word in lists[utt_id] if occurrences(word.split(), text.split())]
        for utt_id, text in texts.items()
    }


def main(argv=None):
    """Check that all is there, then write train, dev, test and distractors."""
    arguments = _parser().parse_args(argv)
    corpus, output_dir = f"SlideSpeech {arguments.corpus}", arguments.output_dir
    if not arguments.data_root:
        raise DataError(f"{corpus}: no --data-root is given; {SOURCE}")
    root = Path(arguments.data_root)
    folders, missing = find_sets(arguments.corpus, root)
    recordings = find_recordings(folders, root, missing)
    if missing:
        raise DataError(f"{corpus} in {root} lacks {', '.join(missing)}; {SOURCE}")
    words = {
        name: write_set(path, recordings, output_dir / name, arguments.slides)
        for name, path in folders.items()
    }
    with atomic_write(output_dir / "distractors") as stream:
        stream.writelines(f"{word}\n" for word in sorted(set(words["train"])))


def _parser():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--corpus", required=True, choices=("L95", "S95"), help="the training set")
    add("--data-root", default="", help="where the corpus lies")
    add("--output-dir", required=True, type=Path, help="gets train, dev, test, distractors")
    add("--slides", type=_odd, default=1, help="slides a biasing list covers (default: %(default)s)")
    return parser


def _odd(text):
    if not text.isdecimal() or int(text) % 2 == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1, 3, 5, ..., the same on either side")
    return int(text)


if __name__ == "__main__":
    run(main)
