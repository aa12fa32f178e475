"""From dry synthetic speech to a recording: vocal tract, 16 kHz, room, noise, silence."""

import numpy as np
import soxr
from scipy import fft, signal

from funasr_sap.data.mini_corpus.speech import SAMPLE_RATE as SPEECH_RATE

SAMPLE_RATE = 16_000
PEAK_LIMIT = 0.95
LEVEL = 0.06  # root mean square, of full scale
SILENT = 0.03  # of that level: quieter than any phone


def scale_vocal_tract(samples: np.ndarray, factor: float) -> np.ndarray:
    """Resample to 16 kHz as if spoken by a vocal tract ``factor`` times as long.

    A longer one has all its resonances lower; the pitch goes with them, and speech slows down.

    Args:
        samples: (S,) int16 at 22.05 kHz.
        factor: 1 leaves the voice as it is.
    Returns: (T,) float32 at 16 kHz, full scale 1.
    """
    return soxr.resample(samples.astype(np.float32) / 32768, SPEECH_RATE / factor, SAMPLE_RATE, "MQ")


def record(
    speech: np.ndarray, rng: np.random.Generator, noise: float = 0.0, reverb: float = 0.0
) -> tuple[np.ndarray, int]:
    """Make a recording of synthetic speech.

    Args:
        speech: (T,) float32 at 16 kHz, full scale 1.
        rng: draws all that is random.
        noise: probability of white or pink noise at 10 to 30 dB SNR.
        reverb: probability of a room with 0.1 to 0.4 s reverberation time.

    Returns:
        The recording, int16 at 16 kHz, with 0.05 to 0.25 s of silence at both ends; and how many samples
        later than in ``speech`` everything is heard there.
    """
    speech = speech * np.float32(
        LEVEL * 10 ** (rng.uniform(-6, 3) / 20) / np.sqrt(np.mean(np.square(speech)))
    )
    first, last = _loud_part(speech)
    speech = speech[first:last]
    before, after = (int(rng.uniform(0.05, 0.25) * SAMPLE_RATE) for _ in range(2))
    wave = np.pad(speech, (before, after))
    use_reverb, use_noise = rng.random(2) < (reverb, noise)
    if use_reverb:
        wave = signal.fftconvolve(wave, _room_response(rng))[: len(wave)].astype(np.float32)
    if use_noise:
        power = float(np.mean(np.square(speech)))
        scale = np.sqrt(power / 10 ** (rng.uniform(10, 30) / 10))
        wave += np.float32(scale) * draw_noise(len(wave), rng, pink=rng.random() < 0.5)
    peak = float(np.abs(wave).max())
    if peak > PEAK_LIMIT:
        wave *= np.float32(PEAK_LIMIT / peak)
    return to_int16(wave), before - first


def pause(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Faint noise of a silent room: (T,) int16 at 16 kHz."""
    return to_int16(0.0003 * rng.standard_normal(round(seconds * SAMPLE_RATE), dtype=np.float32))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Samples of full scale 1 as 16-bit integers."""
    return np.round(wave * 32767).astype(np.int16)


def _loud_part(wave: np.ndarray) -> tuple[int, int]:
    """Where espeak-ng's own silence ends and begins again."""
    loud = np.flatnonzero(np.abs(wave) > SILENT * LEVEL)
    return (loud[0], loud[-1] + 1) if len(loud) else (0, len(wave))


def _room_response(rng: np.random.Generator) -> np.ndarray:
    """An impulse and an exponentially decaying tail of noise, 3 to 15 dB below it in energy."""
    reverberation_time = rng.uniform(0.1, 0.4)
    time = np.arange(int(reverberation_time * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    # The reverberation time is that of a decay by 60 dB: a factor of 1000, exp(6.9).
    tail = rng.standard_normal(len(time), dtype=np.float32) * np.exp(-6.9 * time / reverberation_time)
    tail *= np.sqrt(10 ** (-rng.uniform(3, 15) / 10) / np.sum(np.square(tail)))
    tail[0] = 1.0
    return tail.astype(np.float32)


def draw_noise(length: int, rng: np.random.Generator, pink: bool) -> np.ndarray:
    """White or pink (1/f) noise of unit power, (length,) float32."""
    padded = fft.next_fast_len(length, real=True) if pink else length
    noise = rng.standard_normal(padded, dtype=np.float32)
    if pink:
        spectrum = np.asarray(fft.rfft(noise))
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum), dtype=np.float32))
        spectrum[0] = 0
        noise = np.asarray(fft.irfft(spectrum, padded))[:length]
        noise /= np.sqrt(np.mean(np.square(noise)))
    return noise
