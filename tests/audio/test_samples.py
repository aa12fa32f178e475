import array

import numpy as np
import pytest
import torch

from funasr_sap.audio import load_audio
from funasr_sap.errors import DataError

RATE = 16000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
PCM = np.round(TONE * 32767).astype("<i2")


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_8_bits_have_their_centre_at_128(make):
    waveform = load_audio(make(np.round(TONE * 128 + 128).astype(np.uint8)))
    torch.testing.assert_close(waveform, torch.from_numpy(TONE), atol=0.005, rtol=0)
    with pytest.raises(
        DataError, match=r"got uint16 of shape .*types are floating point, signed integers or uint8"
    ):
        load_audio(np.zeros(800, np.uint16))


@pytest.mark.parametrize(
    "samples", [TONE, torch.from_numpy(TONE), torch.from_numpy(TONE)[None], PCM, TONE.tolist()]
)
@pytest.mark.parametrize("rate", [8000, np.int64(8000), 8000.0])
def test_samples_with_their_rate(samples, rate):
    expected = load_audio(samples, source_rate=8000)
    for source in (
        (samples, rate),
        (rate, samples),
        {"array": samples, "sampling_rate": rate, "path": "a.wav"},
        {"raw": samples, "sampling_rate": rate},
    ):
        assert torch.equal(load_audio(source), expected)
        assert torch.equal(load_audio(source, source_rate=44100), expected)
    assert torch.equal(load_audio((PCM.tobytes(), 8000)), load_audio(PCM, source_rate=8000))


def test_datasets_that_are_not_decoded(tmp_path):
    import soundfile

    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, RATE)
    expected = load_audio(path)
    assert torch.equal(load_audio({"path": str(path), "bytes": None}), expected)
    assert torch.equal(load_audio({"path": "gone.wav", "bytes": path.read_bytes()}), expected)
    with pytest.raises(DataError, match="no such file"):
        load_audio({"path": "gone.wav", "bytes": None})
    for source in ({}, {"array": None, "sampling_rate": 8000}):
        with pytest.raises(DataError, match="got dict; one is read with the keys array and sampling_rate"):
            load_audio(source)


def test_typed_buffers_are_samples():
    expected = load_audio(PCM)
    for source in (memoryview(PCM), array.array("h", PCM.tolist()), array.array("B", PCM.tobytes())):
        assert torch.equal(load_audio(source), expected)


@pytest.mark.parametrize("rate", [5, 0, -1, 16000.5, 10**9])
def test_rates_that_are_none(rate):
    with pytest.raises(DataError, match=r"sampled at .* expected 1000 to 768000 Hz"):
        load_audio((TONE, rate))


@pytest.mark.parametrize("factor", [-1, -0.95, -1.05])
@pytest.mark.parametrize("offset", [0, 0.1])
def test_opposite_channels(factor, offset, caplog):
    noise = 0.01 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    stereo = np.stack([TONE, factor * TONE]) + noise + offset
    waveform = load_audio(stereo)
    assert float(waveform.std()) > 0.9 * TONE.std()
    assert "its channels cancel each other out; the loudest alone is used" in caplog.text


@pytest.mark.parametrize("factors", [(1, 1), (1, 0), (1, 0.1), (1, -0.1), (0, 0, 0, 1), (1, 1, 0, 0)])
def test_other_channels_are_averaged(factors, caplog):
    channels = np.stack([factor * TONE for factor in factors], 1)
    torch.testing.assert_close(load_audio(channels), torch.from_numpy(channels.mean(1)))
    other = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    torch.testing.assert_close(load_audio(np.stack([TONE, other])), torch.from_numpy((TONE + other) / 2))
    assert not caplog.records


def test_channels_that_cancel_for_a_part_of_the_time(caplog):
    speech = np.random.default_rng(5).normal(size=32000).astype(np.float32) / 10
    other = np.concatenate([speech[:20000], -speech[20000:]])
    assert np.allclose(load_audio(np.stack([speech, other])).numpy(), speech)
    assert "its channels cancel each other out" in caplog.text


def test_one_stream_that_fails_is_one_sentence():
    class Broken:
        def read(self):
            raise RuntimeError("connection lost")

    with pytest.raises(DataError, match=r"audio: cannot be read \(RuntimeError: connection lost\)"):
        load_audio(Broken())
