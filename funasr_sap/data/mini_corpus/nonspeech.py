"""Clips without speech, which a recogniser must answer with nothing, whatever hotwords it is given.

    python -m funasr_sap.data.mini_corpus.nonspeech --output-dir DIR --clips 200 --seed 1

Symbols:
    T   samples of a clip, 16 kHz
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal
from tqdm import tqdm

from funasr_sap.data.kaldi import write_kaldi
from funasr_sap.data.mini_corpus.acoustics import SAMPLE_RATE, draw_noise, to_int16
from funasr_sap.errors import ConfigError
from funasr_sap.tool import run, split_help

SECONDS = (0.5, 6.0)
LEVELS = (-60.0, -15.0)  # root mean square, dB of full scale


def silence(length: int, rng: np.random.Generator) -> np.ndarray:
    """Nothing at all: (T,) zeros."""
    return np.zeros(length, dtype=np.float32)


def white_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with the same power at all frequencies: (T,)."""
    return draw_noise(length, rng, pink=False)


def pink_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with the same power in all octaves: (T,)."""
    return draw_noise(length, rng, pink=True)


def hum(length: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum, 50 or 60 Hz with falling harmonics: (T,)."""
    frequency = rng.choice((50.0, 60.0))
    return _harmonics(length, frequency, 1 / np.arange(1, 9) ** rng.uniform(0.5, 2), rng)


def clicks(length: int, rng: np.random.Generator) -> np.ndarray:
    """One to eight clicks a second, each a decay of a few ms: (T,)."""
    wave = np.zeros(length, dtype=np.float32)
    count = max(1, round(rng.uniform(1, 8) * length / SAMPLE_RATE))
    wave[rng.integers(0, length, count)] = rng.uniform(-1, 1, count)
    decay = np.exp(-np.arange(SAMPLE_RATE // 50) / (SAMPLE_RATE * rng.uniform(0.0005, 0.004)))
    return signal.fftconvolve(wave, decay * rng.standard_normal(len(decay)))[:length]


def music(length: int, rng: np.random.Generator) -> np.ndarray:
    """Notes of a tempered scale, each with harmonics and a decay: (T,)."""
    notes, wave = round(rng.uniform(0.15, 0.6) * SAMPLE_RATE), []
    while sum(map(len, wave)) < length:
        frequency = 220 * 2 ** (rng.integers(-12, 25) / 12)
        decay = np.exp(-np.arange(notes) / (SAMPLE_RATE * rng.uniform(0.1, 1)))
        wave.append(decay * _harmonics(notes, frequency, 1 / np.arange(1, 7) ** 1.5, rng))
    return np.concatenate(wave)[:length]


def breaths(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of 300 to 3000 Hz that swells and fades once in two to four seconds: (T,)."""
    band = signal.butter(
        2, (rng.uniform(200, 500), rng.uniform(1500, 3500)), "bandpass", fs=SAMPLE_RATE, output="sos"
    )
    swell = np.sin(np.pi * np.arange(length) / (SAMPLE_RATE * rng.uniform(2, 4))) ** 2
    return np.asarray(signal.sosfilt(band, rng.standard_normal(length))) * swell


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    each.__name__: each for each in (silence, white_noise, pink_noise, hum, clicks, music, breaths)
}


def _harmonics(length: int, frequency: float, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(length) / SAMPLE_RATE
    phases = rng.uniform(0, 2 * np.pi, len(weights))
    numbers = np.arange(1, len(weights) + 1)
    return (weights[:, None] * np.sin(2 * np.pi * frequency * numbers[:, None] * time + phases[:, None])).sum(
        0
    )


def make_clip(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a clip of a kind: (T,) int16, of a length from ``SECONDS`` and a level from ``LEVELS``."""
    wave = KINDS[kind](round(rng.uniform(*SECONDS) * SAMPLE_RATE), rng)
    power = np.sqrt(np.mean(np.square(wave)))
    wave = wave * (10 ** (rng.uniform(*LEVELS) / 20) / power if power else 0.0)
    return to_int16(np.clip(wave, -1, 1))


def make_nonspeech(output_dir: Path, clips: int, seed: int = 0) -> None:
    """Make a Kaldi directory of clips, the kinds in turn; the same arguments give the same bytes.

    Args:
        output_dir: gets ``wav/``, ``wav.scp``, ``utt2dur``, ``text`` and ``keywords`` (both empty).
        clips: how many.
        seed: other seeds give other clips.
    """
    if clips < 1:
        raise ConfigError(f"clips: expected at least 1, got {clips}")
    (output_dir / "wav").mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, str]] = {"wav.scp": {}, "utt2dur": {}}
    for number in tqdm(range(clips), desc="clips", disable=None):
        kind = list(KINDS)[number % len(KINDS)]
        utt_id = f"nonspeech-s{seed}-{number:05d}-{kind}"
        wave = make_clip(kind, np.random.default_rng((seed, number)))
        path = output_dir / "wav" / f"{utt_id}.wav"
        soundfile.write(path, wave, SAMPLE_RATE, "PCM_16")
        files["wav.scp"][utt_id] = str(path)
        files["utt2dur"][utt_id] = f"{len(wave) / SAMPLE_RATE:.4f}"
    nothing = dict.fromkeys(files["wav.scp"], "")
    for name, content in {**files, "text": nothing, "keywords": nothing}.items():
        write_kaldi(output_dir / name, content)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and make the clips."""
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        prog="python -m funasr_sap.data.mini_corpus.nonspeech",
        description=summary,
        epilog=details.partition("Symbols")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output-dir", required=True, type=Path, help="gets wav.scp, text, ... and wav/")
    parser.add_argument("--clips", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other clips (default: 0)")
    arguments = parser.parse_args(argv)
    make_nonspeech(arguments.output_dir, arguments.clips, arguments.seed)


if __name__ == "__main__":
    run(main)
