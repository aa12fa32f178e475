import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.audio_header import AudioHeader, read_header

FORMATS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "ULAW")]
FORMATS += [
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
]


def by_libsndfile(path):
    info = soundfile.info(str(path))
    return AudioHeader(info.frames, info.samplerate)


@given(
    form=st.sampled_from(FORMATS),
    samples=st.integers(1, 3000),
    rate=st.sampled_from([8000, 16000, 22050, 44100]),
    channels=st.integers(1, 2),
    cut=st.integers(0, 3000),
)
def test_headers_are_those_of_libsndfile(tmp_path_factory, form, samples, rate, channels, cut):
    path = tmp_path_factory.getbasetemp() / "header.audio"
    soundfile.write(path, np.zeros((samples, channels)), rate, form[1], format=form[0])
    assert read_header(str(path)) == by_libsndfile(path)
    os.truncate(path, max(200, path.stat().st_size - cut))  # a file cut short: what there is of it counts
    try:
        expected = by_libsndfile(path)
    except soundfile.LibsndfileError:
        with pytest.raises(ValueError):
            read_header(str(path))
    else:
        assert not expected.samples or read_header(str(path)) == expected


def chunk(name, content):
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def test_other_chunks_before_the_data(tmp_path):
    fmt = b"".join(
        n.to_bytes(size, "little") for n, size in [(1, 2), (1, 2), (8000, 4), (16000, 4), (2, 2), (16, 2)]
    )
    for note in (b"odd", b"a note longer than what is read at first " * 10):
        body = (
            b"WAVE"
            + chunk(b"LIST", note)
            + chunk(b"fmt ", fmt)
            + chunk(b"data", bytes(200))
            + chunk(b"LIST", note)
        )
        (tmp_path / "a.wav").write_bytes(chunk(b"RIFF", body))
        assert read_header(str(tmp_path / "a.wav")) == (100, 8000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "Format not recognised"),
        (b"RIFF\x04\0\0\0WAVE", "Error in WAV file"),
        (b"not audio at all", "Format not recognised"),
    ],
)
def test_unreadable(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_header(str(tmp_path / "a.wav"))


def test_not_a_file(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_header(str(tmp_path))
    with pytest.raises(ValueError, match="a command"):
        read_header("sph2pipe x.sph |")
