import unicodedata

import pytest

from funasr_sap.data.audio_index import AudioIndex, audio_stem
from funasr_sap.errors import DataError

FILES = ["1.wav", "talk.v2.flac", "a/0001.wav", "b/0001.wav", "b/c/0001.wav", "x.wav", "x.mp3", "notes.txt"]


@pytest.fixture
def index(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return AudioIndex(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("1", "1.wav"),
        ("1.mp3", "1.wav"),  # converted since
        ("/old/place/1.wav", "1.wav"),
        ("C:\\old\\1.wav", "1.wav"),
        ("talk.v2", "talk.v2.flac"),
        ("a/0001", "a/0001.wav"),
        ("data/b/0001.flac", "b/0001.wav"),
        ("b/c/0001.wav", "b/c/0001.wav"),
        ("x.mp3", "x.mp3"),
    ],
)
def test_found(index, tmp_path, name, found):
    assert index.find(name) == tmp_path / found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2", "no audio file in .* is named '2'"),
        ("talk", "no audio"),
        ("0001", "3 audio files"),
        ("x", "2 audio"),
    ],
)
def test_not_found(index, name, reason):
    with pytest.raises(ValueError, match=reason):
        index.find(name)


def test_all_audio_is_listed(index, tmp_path):
    assert {path.relative_to(tmp_path).as_posix() for path in index} == set(FILES) - {"notes.txt"}


def test_accents_in_one_or_two_characters(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "café.WAV")).touch()
    assert AudioIndex(tmp_path).find(unicodedata.normalize("NFC", "café")).suffix == ".WAV"


def test_no_audio(tmp_path):
    with pytest.raises(DataError, match="holds no audio files"):
        AudioIndex(tmp_path)


def test_stem():
    assert [audio_stem(name) for name in ("a/b.wav", "a\\b.c.MP3", "b.c")] == ["b", "b.c", "b.c"]


def test_a_video_counts_where_no_audio_file_has_its_name(tmp_path):
    for name in ("a.mp4", "a.wav", "b.webm", "sub/a.MP4", "c.m4a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    index = AudioIndex(tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in index}
    assert found == {"a.wav", "b.webm", "sub/a.MP4", "c.m4a"}
    assert index.find("b") == tmp_path / "b.webm" and audio_stem("x/b.webm") == "b"
