"""Cut recordings into utterances: each recording is read once, and what was cut before stays."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from funasr_sap.audio.files import open_recording
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import Segment
from funasr_sap.errors import DataError

RECEIPT = ".cut"


def cut_recordings(
    segments: Mapping[str, Segment], recordings: Mapping[str, Path], output_dir: Path
) -> dict[str, str]:
    """Cut utterances out of their recordings, as 16-bit wavs of the same sample rate.

    This is the only copy that is made of the audio. A recording that is cut gets a receipt, `RECEIPT`, in
    its folder; when the receipt still fits the recording and its segments, it is not cut again. So a run
    that was interrupted goes on at the recording where it stopped.

    Args:
        segments: where each utterance lies; an end beyond the recording's is its end.
        recordings: the audio file of each recording.
        output_dir: gets ``RECORDING/UTTERANCE.wav``.

    Returns:
        The wav of each utterance.

    Raises:
        DataError: names all unreadable recordings, and all segments that lie outside of theirs.
    """
    parts: dict[str, dict[str, Segment]] = defaultdict(dict)
    for utt_id, segment in segments.items():
        parts[segment.recording][utt_id] = segment
    wavs: dict[str, str] = {}
    problems: list[str] = []
    for recording, inside in tqdm(parts.items(), desc=str(output_dir), unit="recording", disable=None):
        folder = output_dir / recording
        paths = {utt_id: folder / f"{utt_id}.wav" for utt_id in inside}
        receipt = _receipt(recordings[recording], inside)
        if not _is_cut(folder, receipt, paths):
            found = _cut(recordings[recording], inside, paths)
            if not found:
                with atomic_write(folder / RECEIPT) as stream:
                    stream.write(receipt)
            problems += found
        wavs |= {utt_id: str(path) for utt_id, path in paths.items()}
    if problems:
        raise DataError.from_lines(f"cannot cut recordings into {output_dir}", problems)
    return wavs


def _cut(recording: Path, segments: dict[str, Segment], paths: dict[str, Path]) -> list[str]:
    """Cut one recording; returns what is wrong with it."""
    problems = []
    next(iter(paths.values())).parent.mkdir(parents=True, exist_ok=True)
    try:
        with open_recording(recording) as audio:
            # In the order of time, so that a compressed recording is decoded once.
            for utt_id, segment in sorted(segments.items(), key=lambda item: item[1].start):
                samples = _read(audio, segment)
                if len(samples):
                    soundfile.write(paths[utt_id], samples, audio.samplerate, "PCM_16")
                else:
                    problems.append(f"{utt_id}: its segment lies outside of {recording}")
    except (ValueError, OSError, soundfile.SoundFileError) as error:
        problems.append(f"{recording}: {getattr(error, 'strerror', None) or error}")
    return problems


def _read(audio: soundfile.SoundFile, segment: Segment) -> np.ndarray:
    start = min(round(segment.start * audio.samplerate), audio.frames)
    end = audio.frames if segment.end is None else min(round(segment.end * audio.samplerate), audio.frames)
    audio.seek(start)
    return audio.read(max(0, end - start), dtype="int16")


def _receipt(recording: Path, segments: dict[str, Segment]) -> str:
    """What the wavs of a recording depend on: its size and time of change, and its segments."""
    if not recording.is_file():  # cutting says what is wrong with it
        return ""
    status = recording.stat()
    lines = [f"{utt_id} {segment.start} {segment.end}" for utt_id, segment in sorted(segments.items())]
    return "\n".join([f"{status.st_size} {status.st_mtime_ns}", *lines, ""])


def _is_cut(folder: Path, receipt: str, paths: dict[str, Path]) -> bool:
    try:
        return (folder / RECEIPT).read_text(encoding="utf-8") == receipt and all(
            path.exists() for path in paths.values()
        )
    except FileNotFoundError:
        return False
