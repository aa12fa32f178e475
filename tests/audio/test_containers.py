import io
import logging
import re
import threading

import numpy as np
import pytest
import soundfile
import torch
from encoding import KINDS, encode, encode_video_alone

from funasr_sap.audio import load_audio
from funasr_sap.data.audio_header import read_header
from funasr_sap.errors import DataError

SHIFT = 1500  # samples of 16 kHz that codecs may be late, or early


def assert_is_speech(waveform, speech):
    """Check that the loudness over time, in windows of 50 ms, is that of the speech."""
    assert abs(len(waveform) - len(speech)) < 2400
    middle = envelope(speech[SHIFT : SHIFT + 24000])
    best = max(
        np.corrcoef(envelope(waveform.numpy()[start : start + 24000]), middle)[0, 1]
        for start in range(0, 2 * SHIFT, 100)
    )
    assert best > 0.97


def envelope(samples):
    return np.sqrt(np.square(samples[: len(samples) // 800 * 800]).reshape(-1, 800).mean(1))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_decoded_and_measured(kind, speech, tmp_path):
    path = encode(tmp_path / f"talk.{kind}", speech)
    waveform = load_audio(path)
    assert_is_speech(waveform, speech)
    data = path.read_bytes()
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), np.frombuffer(data, np.uint8)):
        assert torch.equal(load_audio(source), waveform)
    assert torch.equal(load_audio(data, source_rate=8000), waveform)  # fs is that of bare samples alone
    header = read_header(str(path))
    assert header.samples / header.rate == pytest.approx(len(waveform) / 16000, abs=0.1)


@pytest.mark.parametrize("kind", ["m4a", "webm", "aac", "wma"])
def test_the_suffix_says_nothing(kind, speech, tmp_path):
    path = encode(tmp_path / "talk.raw", speech, kind)
    assert_is_speech(load_audio(path), speech)
    assert read_header(path).samples > 0


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "mpegts"])
def test_the_first_audio_track_of_a_video(kind, speech, tmp_path):
    path = encode(tmp_path / f"talk.{kind}", speech, streams=2, video=True)
    assert_is_speech(load_audio(path), speech)


def test_a_video_without_sound(tmp_path):
    path = encode_video_alone(tmp_path / "silent.mp4")
    for source in (path, path.read_bytes()):
        with pytest.raises(DataError, match=r"audio.*: holds no audio, only video$"):
            load_audio(source)
    with pytest.raises(DataError, match=r"^holds no audio, only video$"):
        read_header(path)


def test_channels_are_averaged(speech, tmp_path):
    stereo = encode(tmp_path / "a.mka", np.stack([speech, speech]), layout="stereo")
    assert_is_speech(load_audio(stereo), speech)


@pytest.mark.parametrize("kind", ["webm", "aac", "mkv", "mpegts", "wma", "amr"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_gives_what_there_is(kind, share, speech, tmp_path, caplog):
    data = encode(tmp_path / f"talk.{kind}", speech).read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(data[: int(share * len(data))])
    waveform = load_audio(cut)
    assert 0.5 * share * len(speech) < len(waveform) < len(speech)
    assert read_header(cut).samples > 0
    assert all(f"audio {cut}: cut off" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("size", [40, 100, 1000, 5000])
def test_a_cut_mp4_is_one_sentence(size, speech, tmp_path):
    path = encode(tmp_path / "talk.m4a", speech)
    path.write_bytes(path.read_bytes()[:size])
    for read in (load_audio, read_header):
        with pytest.raises(DataError, match="not readable as audio") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_cut_mp4_whose_index_comes_first(speech, tmp_path, caplog):
    path = encode(tmp_path / "talk.mp4", speech, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert 0.3 * len(speech) < len(load_audio(path)) < 0.9 * len(speech)
    (record,) = caplog.records
    assert "cut off" in record.getMessage() and record.name == "funasr_sap.audio.containers"


def test_damage_inside_is_passed_over(speech, tmp_path, caplog):
    path = encode(tmp_path / "talk.aac", speech)
    data = bytearray(path.read_bytes())
    for start in range(4000, 6000, 400):
        data[start : start + 40] = bytes(40)
    caplog.set_level(logging.WARNING)
    assert 0.5 * len(speech) < len(load_audio(bytes(data))) < 1.2 * len(speech)


def test_a_playlist_opens_no_other_file(speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech, 16000)
    for name, text in (
        ("list.m3u8", f"#EXTM3U\n#EXTINF:3,\n{tmp_path}/a.wav\n#EXT-X-ENDLIST\n"),
        ("list.mp4", f"ffconcat version 1.0\nfile {tmp_path}/a.wav\n"),
    ):
        (tmp_path / name).write_text(text)
        for source in (tmp_path / name, text.encode()):
            with pytest.raises(DataError, match=re.escape("not readable as audio (Format not recognised)")):
                load_audio(source)


def test_threads_decode_at_once(speech, tmp_path):
    paths = [encode(tmp_path / f"talk.{kind}", speech) for kind in ("m4a", "webm", "wma")] * 8
    expected = [load_audio(path) for path in paths]
    found = [None] * len(paths)

    def decode(place):
        found[place] = load_audio(paths[place])

    threads = [threading.Thread(target=decode, args=(place,)) for place in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(torch.equal, found, expected))


def test_pyav_is_imported_where_it_is_needed_alone():
    import subprocess
    import sys

    code = (
        "import sys, funasr_sap.data.scp2jsonl, funasr_sap.audio; print({'av', 'torch'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
