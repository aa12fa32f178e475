#!/usr/bin/env python3
"""Prepare the SlideSpeech corpus (openslr.org/144): Kaldi directories with one wav an utterance.

python local/prepare_slidespeech.py --corpus L95 --data-root DIR --output-dir data/L95

DIR, or related_files/ in it, has the folders L95 or S95, dev and test with segments, text and keywords;
anywhere below DIR lies a wav for each recording, named by its id.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import soundfile
from tqdm import tqdm

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import (
    Segment,
    read_biasing_list,
    read_kaldi,
    read_segments,
    write_biasing_list,
    write_kaldi,
)
from funasr_sap.errors import DataError
from funasr_sap.metrics.keywords import occurrences
from funasr_sap.tool import run

FILES = ("segments", "text", "keywords")
SOURCE = (
    "SlideSpeech is resource 144 of openslr.org, whose audio (a wav for each session) and related_files "
    "(segments, text and keywords of each set) are expected under --data-root"
)


def find_sets(corpus: str, root: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the folder of each set: its place by the name of our set, and the files that are not there."""
    folders, missing = {}, []
    for name, published in (("train", corpus), ("dev", "dev"), ("test", "test")):
        nested = root / "related_files" / published
        folders[name] = nested if nested.is_dir() else root / published
        missing += [f"{published}/{file}" for file in FILES if not (folders[name] / file).is_file()]
    return folders, missing


def cut_recordings(segments: dict[str, Segment], wavs: dict[str, Path], output_dir: Path) -> dict[str, str]:
    """Cut utterances out of their recordings, each recording opened once, as 16-bit wavs.

    Args:
        segments: where each utterance lies.
        wavs: the file of each recording.
        output_dir: gets ``wav/RECORDING/UTTERANCE.wav``.

    Returns: the wav of each utterance.

    Raises:
        DataError: naming unreadable recordings, and segments that lie outside of theirs.
    """
    utterances = defaultdict(list)
    for utt_id, segment in segments.items():
        utterances[segment.recording].append(utt_id)
    scp, problems = {}, []
    for recording, utt_ids in tqdm(utterances.items(), desc=output_dir.name, unit="recording", disable=None):
        folder = output_dir / "wav" / recording
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with soundfile.SoundFile(wavs[recording]) as audio:
                for utt_id in sorted(utt_ids, key=lambda utt_id: segments[utt_id].start):
                    samples = _read_segment(audio, segments[utt_id])
                    if not len(samples):
                        problems.append(f"{utt_id}: its segment lies outside of {wavs[recording]}")
                        continue
                    path = folder / f"{utt_id}.wav"
                    soundfile.write(path, samples, audio.samplerate, "PCM_16")
                    scp[utt_id] = str(path)
        except soundfile.LibsndfileError as error:
            problems.append(str(error))
    if problems:
        raise DataError.from_lines(f"cannot cut the recordings of {output_dir.name}", problems)
    return scp


def _read_segment(audio: soundfile.SoundFile, segment: Segment):
    """Read a segment's samples; an end beyond the recording's is its end."""
    start = min(round(segment.start * audio.samplerate), audio.frames)
    end = audio.frames if segment.end is None else min(round(segment.end * audio.samplerate), audio.frames)
    audio.seek(start)
    return audio.read(max(0, end - start), dtype="int16")


def write_set(folder: Path, wavs: dict[str, Path], output_dir: Path) -> list[str]:
    """Write the Kaldi directory of one set; returns all its keywords.

    Text and keywords are lower-cased, their white space is folded. The published keywords are what the
    slides offer, that is the biasing list; ours are those of them that are spoken.
    """
    segments, texts = read_segments(folder / "segments"), read_kaldi(folder / "text", allow_empty=True)
    offered = read_biasing_list(folder / "keywords")
    lonely = [f"{utt_id}: in segments, not in text" for utt_id in segments if utt_id not in texts]
    lonely += [f"{utt_id}: in segments, not in keywords" for utt_id in segments if utt_id not in offered]
    if lonely:
        raise DataError.from_lines(f"utterances of {folder} without a partner", lonely)
    texts = {utt_id: _fold(texts[utt_id]) for utt_id in segments}
    lists = {utt_id: list(dict.fromkeys(map(_fold, offered[utt_id]))) for utt_id in segments}
    spoken = {
        utt_id: [word for word in lists[utt_id] if occurrences(word.split(), text.split())]
        for utt_id, text in texts.items()
    }
    write_kaldi(output_dir / "wav.scp", cut_recordings(segments, wavs, output_dir))
    write_kaldi(output_dir / "text", texts)
    write_biasing_list(output_dir / "biasing_list", lists)
    write_biasing_list(output_dir / "keywords", spoken)
    return [word for words in lists.values() for word in words]


def _fold(text: str) -> str:
    return " ".join(text.lower().split())


def main(argv=None):
    """Check that all is there, then write train, dev, test and distractors."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--corpus", required=True, choices=("L95", "S95"), help="the training set")
    parser.add_argument("--data-root", default="", help="where the corpus lies")
    parser.add_argument("--output-dir", required=True, type=Path, help="gets train, dev, test, distractors")
    arguments = parser.parse_args(argv)
    if not arguments.data_root:
        raise DataError(f"SlideSpeech {arguments.corpus}: no --data-root is given; {SOURCE}")
    root = Path(arguments.data_root)
    folders, missing = find_sets(arguments.corpus, root)
    wavs = {path.stem: path for path in sorted(root.rglob("*.wav"))}
    if not missing:
        segments = [each for path in folders.values() for each in read_segments(path / "segments").values()]
        lacking = sorted({segment.recording for segment in segments} - wavs.keys())
        missing = [f"the wav of {len(lacking)} recording(s), first {lacking[0]}.wav"] if lacking else []
    elif not wavs:
        missing.append("all wavs")
    if missing:
        raise DataError(f"SlideSpeech {arguments.corpus} in {root} lacks {', '.join(missing)}; {SOURCE}")
    words = {name: write_set(path, wavs, arguments.output_dir / name) for name, path in folders.items()}
    with atomic_write(arguments.output_dir / "distractors") as stream:
        stream.writelines(f"{word}\n" for word in sorted(set(words["train"])))


if __name__ == "__main__":
    run(main)
