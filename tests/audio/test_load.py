import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from funasr_sap.audio import load_audio
from funasr_sap.errors import DataError

RATE = 16000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)  # 1 s


def write(path, samples=TONE, rate=RATE, subtype="PCM_16"):
    soundfile.write(path, samples, rate, subtype)
    return path


def strength(waveform, frequency, rate=RATE):
    """Share of the energy within 5 Hz of a frequency."""
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs().square()
    hertz = torch.fft.rfftfreq(len(waveform), 1 / rate)
    return float(spectrum[(hertz - frequency).abs() <= 5].sum() / spectrum.sum())


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_sample_formats(subtype, tmp_path):
    waveform = load_audio(write(tmp_path / "a.wav", subtype=subtype))
    assert waveform.dtype == torch.float32 and waveform.shape == (RATE,)
    torch.testing.assert_close(waveform, torch.from_numpy(TONE), atol=0.02, rtol=0)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_file_formats(suffix, tmp_path):
    waveform = load_audio(write(tmp_path / f"a.{suffix}", subtype=None))
    assert abs(len(waveform) - RATE) < 2400 and strength(waveform, 440) > 0.98


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_other_rates_are_resampled(rate, tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    waveform = load_audio(write(tmp_path / "a.wav", tone, rate))
    assert abs(len(waveform) - RATE) <= 1 and strength(waveform, 440) > 0.99
    assert float(waveform.square().mean()) == pytest.approx(0.125, rel=0.02)


def test_eight_channels_are_averaged(tmp_path):
    channels = np.stack([TONE * (channel == 3) for channel in range(8)], 1)
    waveform = load_audio(write(tmp_path / "a.wav", channels, subtype="FLOAT"))
    torch.testing.assert_close(waveform, torch.from_numpy(TONE) / 8)


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("channels_first", [True, False])
def test_stereo_arrays(make, channels_first):
    stereo = np.stack([TONE, 0 * TONE], 0 if channels_first else 1)
    torch.testing.assert_close(load_audio(make(stereo)), torch.from_numpy(TONE) / 2)


def test_integers_give_what_their_file_gives(tmp_path):
    from_file = load_audio(write(tmp_path / "a.wav"))
    integers, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    for samples in (integers, torch.from_numpy(integers), integers.astype(np.int32) << 16, integers.tolist()):
        assert torch.equal(load_audio(samples), from_file)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floating_point_tensors(dtype):
    samples = torch.from_numpy(TONE).to(dtype)
    torch.testing.assert_close(load_audio(samples.requires_grad_()), samples.detach().float())


def test_bare_samples_of_another_rate():
    waveform = load_audio(TONE, source_rate=32000)
    assert len(waveform) == RATE // 2 and strength(waveform, 880) > 0.99
    with pytest.raises(DataError, match="0 Hz"):
        load_audio(TONE, source_rate=0)


def test_bytes_and_file_objects(tmp_path):
    path = write(tmp_path / "a.wav")
    expected = load_audio(path)
    data = path.read_bytes()
    for source in (str(path), data, bytearray(data), io.BytesIO(data)):
        assert torch.equal(load_audio(source), expected)


def test_a_cut_file_gives_what_is_there(tmp_path):
    path = write(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[: 44 + 2 * 8000])
    torch.testing.assert_close(load_audio(path), torch.from_numpy(TONE[:8000]), atol=1e-3, rtol=0)


def test_the_shortest_audio_is_one_window():
    assert len(load_audio(TONE[:400])) == 400
    with pytest.raises(DataError, match="399 samples at 16000 Hz; expected at least 25 ms"):
        load_audio(TONE[:399])


BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "text": (b"this is a transcript, not audio\n" * 9, "not readable as audio"),
    "half a header": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not readable as audio"),
    "no samples": (None, "0 samples"),
    "one sample": (TONE[:1], "1 samples"),
    "nan": (np.where(np.arange(RATE) == 77, np.nan, TONE), "holds NaN or infinite samples"),
    "inf": (np.where(np.arange(RATE) == 77, np.inf, TONE), "holds NaN or infinite samples"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named(name, tmp_path):
    content, message = BAD_FILES[name]
    path = tmp_path / "talk.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, TONE[:0] if content is None else content, subtype="FLOAT")
    with pytest.raises(DataError, match=rf"talk\.wav: .*{message}"):
        load_audio(str(path))


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"talk\.wav: no such file"):
        load_audio(tmp_path / "talk.wav")
    with pytest.raises(DataError, match="is not a file"):
        load_audio(tmp_path)


def test_a_header_that_promises_too_much(tmp_path):
    form = (b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", *form, b"data", 2**32 - 1)
    path = tmp_path / "a.wav"
    path.write_bytes(header + b"\0\0" * 8000)
    assert len(load_audio(path)) == 8000


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "got NoneType"),
        (42, "got int"),
        ({"a": 1}, "got dict"),
        (b"", "empty"),
        (b"RIFF", "not readable as audio"),
        (np.zeros((2, 3, 400)), r"1-D or 2-D array of numbers, got float64 of shape \(2, 3, 400\)"),
        (np.array(0.5), "1-D or 2-D"),
        (np.zeros(800, dtype=complex), "got complex128"),
        (np.zeros(800, dtype=bool), "got bool"),
        (np.array(["a"] * 800), "array of numbers"),
        ([[0.1, 0.2], [0.3]], "not an array of numbers"),
        ([], "0 samples"),
        (np.zeros((0, 2)), "0 samples"),
        (torch.zeros(2, 0), "0 samples"),
        (torch.full((800,), float("nan")), "holds NaN"),
    ],
)
def test_other_sources_are_errors(source, message):
    with pytest.raises(DataError, match=message):
        load_audio(source)
