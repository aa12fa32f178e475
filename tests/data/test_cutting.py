import os

import numpy as np
import pytest
import soundfile
from encoding import encode

from funasr_sap.data.cutting import cut_recordings
from funasr_sap.data.kaldi import Segment
from funasr_sap.errors import DataError

RATE = 1000  # Hz: a sample a millisecond
SEGMENTS = {
    "a2": Segment("a", 1.5, 2.25),
    "a1": Segment("a", 0.25, 1.0),
    "a3": Segment("a", 2.0, None),
    "b1": Segment("b", 0.0, 99.0),
    "c1": Segment("c", 0.1, 0.2),
}


@pytest.fixture
def recordings(tmp_path):
    """Three recordings of 3 s in which each sample is its own place, plus 10,000 a recording."""
    paths = {}
    for index, name in enumerate("abc"):
        paths[name] = tmp_path / "talks" / f"{name}.wav"
        paths[name].parent.mkdir(exist_ok=True)
        soundfile.write(paths[name], np.arange(3 * RATE, dtype=np.int16) + 10_000 * index, RATE, "PCM_16")
    return paths


def written(folder):
    """Return what tells a file that was written again from one that was left alone."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*/*.wav")}


def test_samples_are_those_of_the_segments(recordings, tmp_path):
    wavs = cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    assert wavs == {utt_id: str(tmp_path / "wav" / utt_id[0] / f"{utt_id}.wav") for utt_id in SEGMENTS}
    spans = {"a1": (250, 1000), "a2": (1500, 2250), "a3": (2000, 3000), "b1": (0, 3000), "c1": (100, 200)}
    for utt_id, (start, end) in spans.items():
        samples, rate = soundfile.read(wavs[utt_id], dtype="int16")
        assert (rate, soundfile.info(wavs[utt_id]).subtype) == (RATE, "PCM_16")
        assert np.array_equal(samples, np.arange(start, end) + 10_000 * "abc".index(utt_id[0]))


def test_a_flac_recording_is_cut_alike(recordings, tmp_path):
    whole = np.sin(np.arange(3 * 16000) / 10) / 2
    recordings["a"] = tmp_path / "a.flac"
    soundfile.write(recordings["a"], whole, 16000)
    decoded, _ = soundfile.read(recordings["a"], dtype="int16")
    samples, _ = soundfile.read(cut_recordings(SEGMENTS, recordings, tmp_path / "wav")["a2"], dtype="int16")
    assert np.array_equal(samples, decoded[24000:36000])


def test_nothing_is_cut_twice(recordings, tmp_path):
    first = cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    before = written(tmp_path / "wav")
    assert cut_recordings(SEGMENTS, recordings, tmp_path / "wav") == first
    assert written(tmp_path / "wav") == before


def test_an_interrupted_run_goes_on_at_its_recording(recordings, tmp_path, monkeypatch):
    write, count = soundfile.write, iter(range(100))

    def interrupted(path, *arguments):
        if next(count) == 4:  # after a1, a2, a3 and b1
            path.write_bytes(b"RIFF")
            raise KeyboardInterrupt
        write(path, *arguments)

    monkeypatch.setattr(soundfile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    monkeypatch.setattr(soundfile, "write", write)
    before = written(tmp_path / "wav")
    wavs = cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    after = written(tmp_path / "wav")
    same = {name for name in after if after[name] == before.get(name)}
    assert same == {"a1.wav", "a2.wav", "a3.wav", "b1.wav"}
    assert soundfile.info(wavs["c1"]).frames == 100


def test_what_changed_is_cut_again(recordings, tmp_path):
    wavs = cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    changed = {**SEGMENTS, "b1": Segment("b", 1.0, 2.0)}
    soundfile.write(recordings["c"], np.full(3 * RATE, 7, np.int16), RATE, "PCM_16")
    os.utime(recordings["c"], ns=(1, 1))  # older than what was cut
    os.unlink(wavs["a2"])
    cut_recordings(changed, recordings, tmp_path / "wav")
    assert soundfile.info(wavs["b1"]).frames == 1000
    assert set(soundfile.read(wavs["c1"], dtype="int16")[0]) == {7}
    assert soundfile.info(wavs["a2"]).frames == 750


def test_all_problems_are_named_and_the_rest_is_kept(recordings, tmp_path):
    recordings["a"].write_text("no audio")
    segments = {**SEGMENTS, "b2": Segment("b", 3.5, 4.0)}
    with pytest.raises(DataError) as error:
        cut_recordings(segments, recordings, tmp_path / "wav")
    assert "2 bad line(s)" in str(error.value) and f"{recordings['a']}" in str(error.value)
    assert f"b2: its segment lies outside of {recordings['b']}" in str(error.value)
    before = written(tmp_path / "wav")["c1.wav"]
    soundfile.write(recordings["a"], np.zeros(3 * RATE), RATE, "PCM_16")
    cut_recordings(SEGMENTS, recordings, tmp_path / "wav")
    assert written(tmp_path / "wav")["c1.wav"] == before


def test_a_container_is_cut_alike_and_what_cannot_be_cut_is_named(recordings, tmp_path):
    tone = (0.5 * np.sin(np.arange(3 * 16000) / 10)).astype(np.float32)
    recordings["a"] = encode(tmp_path / "a.m4a", tone)
    samples, rate = soundfile.read(cut_recordings(SEGMENTS, recordings, tmp_path / "wav")["a2"])
    assert (rate, len(samples)) == (16000, 12000)
    assert samples.std() == pytest.approx(tone.std(), rel=0.05)
    recordings["b"] = tmp_path / "none.wav"
    recordings["c"].write_bytes(b"<html><body>not found</body></html>")
    with pytest.raises(DataError) as caught:
        cut_recordings(SEGMENTS, recordings, tmp_path / "other")
    assert "2 bad line(s)" in str(caught.value)
    assert "none.wav: no such file" in str(caught.value) and "it is an HTML page" in str(caught.value)
