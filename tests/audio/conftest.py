"""Real speech, for files of every kind."""

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="session")
def speech(speech_wavs) -> np.ndarray:
    """An utterance's samples: 16 kHz, fp32."""
    samples, rate = soundfile.read(speech_wavs[0].source, dtype="float32")
    assert rate == 16000
    return samples


@pytest.fixture(scope="session")
def pcm(speech) -> bytes:
    """The same as bare 16-bit samples."""
    return np.round(speech * 32767).astype("<i2").tobytes()
