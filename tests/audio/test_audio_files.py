import io
import struct

import numpy as np
import pytest
import soundfile
import torch
from encoding import encode

from funasr_sap.audio import load_audio
from funasr_sap.audio.files import open_recording
from funasr_sap.data.audio_header import read_header
from funasr_sap.errors import DataError


def wav_bytes(speech, subtype="PCM_16", form="WAV"):
    stream = io.BytesIO()
    soundfile.write(stream, speech, 16000, subtype, format=form)
    return bytearray(stream.getvalue())


@pytest.mark.parametrize("riff", [0, 36, None])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_a_header_of_length_0(riff, subtype, speech, tmp_path, caplog):
    data = wav_bytes(speech, subtype)
    expected = load_audio(bytes(data))
    start = data.index(b"data") + 4
    data[start : start + 4] = bytes(4)
    if riff is not None:
        data[4:8] = struct.pack("<I", riff)
    path = tmp_path / "talk.wav"
    path.write_bytes(data)
    for source in (path, bytes(data)):
        waveform = load_audio(source)
        # What libsndfile writes behind the data of some formats counts as a few samples.
        torch.testing.assert_close(waveform[: len(expected)], expected)
        assert len(waveform) - len(expected) < 100
    assert "its header says 0 samples; what follows it is read to the end" in caplog.text
    header = read_header(path)
    assert header.rate == 16000 and 0 <= header.samples - len(expected) < 100


def test_a_long_wav_of_length_0(speech):
    data = wav_bytes(speech, form="RF64")
    start = data.index(b"ds64") + 8
    data[start : start + 24] = bytes(24)
    assert torch.equal(load_audio(bytes(data)), load_audio(bytes(wav_bytes(speech))))


def test_a_wav_without_samples_has_none(tmp_path):
    data = wav_bytes(np.zeros(0, np.float32))
    for rest in (b"", b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf60.16.100\0"):
        (tmp_path / "a.wav").write_bytes(bytes(data) + rest)
        with pytest.raises(DataError, match=r"0 samples at 16000 Hz; expected at least 25 ms"):
            load_audio(tmp_path / "a.wav")
        with pytest.raises(DataError, match="no samples"):
            read_header(tmp_path / "a.wav")


def test_a_flac_that_does_not_say_how_long_it_is(speech, tmp_path):
    data = wav_bytes(speech, form="FLAC")
    expected = load_audio(bytes(data))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    assert torch.equal(load_audio(tmp_path / "a.flac"), expected)
    assert read_header(tmp_path / "a.flac") == (len(expected), 16000)


def test_a_header_that_promises_more_than_memory_holds(speech, tmp_path):
    data = wav_bytes(speech, form="FLAC")
    expected = load_audio(bytes(data))
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(data)
    assert torch.equal(load_audio(tmp_path / "a.flac"), expected)


@pytest.mark.parametrize("name", ["talk.raw", "talk.pcm", "talk", "talk.RAW"])
def test_headerless_files_need_their_rate(name, pcm, speech, tmp_path):
    path = tmp_path / name
    path.write_bytes(pcm)
    with pytest.raises(
        DataError, match=rf"{name}: not readable as audio \(Format not recognised\).*need fs="
    ):
        load_audio(path)
    assert torch.equal(load_audio(path, source_rate=16000), load_audio(pcm))
    assert len(load_audio(path, source_rate=8000)) == pytest.approx(2 * len(speech), abs=1)
    with pytest.raises(DataError, match="Format not recognised"):
        read_header(path)


def test_bare_bytes(pcm, speech):
    waveform = load_audio(pcm)
    torch.testing.assert_close(waveform, torch.from_numpy(speech), atol=1e-4, rtol=0)
    for source in (bytearray(pcm), memoryview(pcm), io.BytesIO(pcm), np.frombuffer(pcm, "<i2")):
        assert torch.equal(load_audio(source), waveform)
    with pytest.raises(DataError, match="an odd number"):
        load_audio(pcm + b"\0")
    with pytest.raises(DataError, match="32-bit floats"):
        load_audio(speech.tobytes())


def test_a_recording_of_any_kind_is_opened(speech, tmp_path):
    encode(tmp_path / "a.m4a", speech)
    with open_recording(tmp_path / "a.m4a") as audio:
        assert audio.samplerate == 16000 and abs(audio.frames - len(speech)) < 2400
    (tmp_path / "b.wav").write_bytes(b"<html></html>")
    with pytest.raises(ValueError, match="an HTML page"), open_recording(tmp_path / "b.wav"):
        pass


@pytest.mark.parametrize("form", ["RIFX", "AU"])
def test_other_headers_without_a_length(form, caplog):
    stream, samples = io.BytesIO(), np.linspace(-0.5, 0.5, 16000, dtype=np.float32)
    container = {"RIFX": "WAV", "AU": "AU"}[form]
    soundfile.write(stream, samples, 16000, "PCM_16", endian="BIG", format=container)
    data = bytearray(stream.getvalue())
    place = data.find(b"data") + 4 if form == "RIFX" else 8
    data[place : place + 4] = bytes(4)
    assert np.allclose(load_audio(bytes(data)).numpy(), samples, atol=1e-3)
    assert "its header says 0 samples" in caplog.text
