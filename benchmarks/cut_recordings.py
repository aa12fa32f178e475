#!/usr/bin/env python3
r"""Speed of cutting recordings into utterances, as ratios to a plain copy of the same files.

taskset -c 0 python benchmarks/cut_recordings.py --recordings 6 --minutes 10

The baseline is shutil.copyfile of the recordings: no cutting can write less than that. Against it stand
cutting in one pass, the naive way of opening the recording anew for each utterance, and a second run, which
finds all cut. They take turns, and the best round of each counts. The recordings are 16 kHz, 16 bit, mono, as
those of SlideSpeech, cut without gaps into utterances of 2 to 12 s.
"""

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from funasr_sap.data.cutting import cut_recordings
from funasr_sap.data.kaldi import Segment
from funasr_sap.tool import run

RATE = 16000  # Hz


def main(argv=None):
    """Make the recordings, time all ways, print the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--recordings", type=int, default=6, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=10, help="of each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    best, utterances = race(arguments.recordings, arguments.minutes, arguments.rounds)
    hours = arguments.recordings * arguments.minutes / 60
    print(f"{hours:.2f} hours, {utterances} utterances")
    for way, seconds in best.items():
        ratio, rate = seconds / best["copy"], hours / seconds
        print(f"{way:16} {seconds:8.3f} s {ratio:7.2f} x copy {rate:9.1f} hours of audio a second")


def race(count: int, minutes: float, rounds: int) -> tuple[dict[str, float], int]:
    """Cut the same recordings in all ways, in turns: the best seconds of each, and how many utterances."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings, segments = make_recordings(folder, count, minutes)
        seconds = {"copy": [], "one pass": [], "an opening each": [], "second run": []}
        for _ in range(rounds):
            shutil.rmtree(folder / "out", ignore_errors=True)
            seconds["copy"].append(timed(copy, recordings, folder / "out/copy"))
            seconds["one pass"].append(timed(cut_recordings, segments, recordings, folder / "out/cut"))
            seconds["an opening each"].append(timed(naive, segments, recordings, folder / "out/naive"))
            seconds["second run"].append(timed(cut_recordings, segments, recordings, folder / "out/cut"))
    return {way: min(times) for way, times in seconds.items()}, len(segments)


def make_recordings(folder: Path, count: int, minutes: float) -> tuple[dict[str, Path], dict[str, Segment]]:
    """Write noise; returns the files and the segments."""
    rng, noise = random.Random(0), np.random.default_rng(0)
    recordings, segments = {}, {}
    for index in range(count):
        name = f"talk{index}"
        recordings[name] = folder / f"{name}.wav"
        samples = noise.integers(-9999, 9999, round(minutes * 60 * RATE), dtype=np.int16)
        soundfile.write(recordings[name], samples, RATE, "PCM_16")
        start = 0.0
        while start < minutes * 60:
            end = min(start + rng.uniform(2, 12), minutes * 60)
            segments[f"{name}-{len(segments):06d}"] = Segment(name, start, end)
            start = end
    return recordings, segments


def copy(recordings: dict[str, Path], output_dir: Path) -> None:
    """Copy the recordings."""
    output_dir.mkdir(parents=True)
    for path in recordings.values():
        shutil.copyfile(path, output_dir / path.name)


def naive(segments: dict[str, Segment], recordings: dict[str, Path], output_dir: Path) -> None:
    """Open the recording anew for each utterance."""
    output_dir.mkdir(parents=True)
    for utt_id, segment in segments.items():
        start, stop = round(segment.start * RATE), round(segment.end * RATE)
        samples, _ = soundfile.read(recordings[segment.recording], start=start, stop=stop, dtype="int16")
        soundfile.write(output_dir / f"{utt_id}.wav", samples, RATE, "PCM_16")


def timed(function, *arguments) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


if __name__ == "__main__":
    run(main)
