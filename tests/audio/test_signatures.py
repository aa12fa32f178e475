import bz2
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from funasr_sap.audio import load_audio
from funasr_sap.audio.signatures import HEAD, is_audio, name_other
from funasr_sap.errors import DataError


def archive(kind, data: bytes) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr("talk.wav", data)
    else:
        with tarfile.open(fileobj=stream, mode="w") as file:
            member = tarfile.TarInfo("talk.wav")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def png() -> bytes:
    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    lines = b"".join(b"\0" + os.urandom(64) for _ in range(64))
    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def others() -> dict[str, bytes]:
    data = bytes(range(256)) * 40
    text = "this is a transcript, not audio\n" * 40
    npy = io.BytesIO()
    np.save(npy, np.zeros(800, np.int16))
    return {
        "a ZIP archive": archive("zip", data),
        "a tar archive": archive("tar", data),
        "gzip data": gzip.compress(data),
        "bzip2 data": bz2.compress(data),
        "xz data": lzma.compress(data),
        "a PNG image": png(),
        "a JPEG image": b"\xff\xd8\xff\xe0\x00\x10JFIF" + data,
        "a GIF image": b"GIF89a" + data,
        "a PDF file": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + data,
        "a program": b"\x7fELF\x02\x01\x01" + data,
        "a NumPy file": npy.getvalue(),
        "an HTML page": b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>not found</body></html>"
        * 4,
        "JSON": json.dumps({"error": "not found", "code": 404}).encode() * 9,
        "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>' * 4,
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"ab" * 32
        + b"\nsize 9\n",
        "text": text.encode(),
        "text ": "这是一段文字，不是语音。\n".encode() * 40,
        "text  ": "这是一段文字，不是语音。\n".encode("gbk") * 40,
        "text   ": text.encode("utf-16"),
        "text    ": "Привет, это текст, а не звук.\n".encode("cp1251") * 40,
    }


@pytest.mark.parametrize("name", others())
@pytest.mark.parametrize("fs", [None, 16000])
def test_what_is_known_to_be_no_audio_is_named(name, fs, tmp_path, capfd):
    data = others()[name]
    even = data[: len(data) // 2 * 2]
    path = tmp_path / "talk.mp3"
    path.write_bytes(data)
    for source in (data, even, io.BytesIO(even), path, np.frombuffer(data, np.uint8)):
        with pytest.raises(DataError, match=rf"Format not recognised\); expected .*; it is {name.strip()}"):
            load_audio(source, source_rate=fs)
    assert capfd.readouterr().err == ""  # nor does any library say a word


@pytest.mark.parametrize("fs", [None, 16000])
def test_compressed_bytes_of_no_known_kind(fs, pcm, tmp_path):
    data = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = (data.compress(pcm) + data.flush())[:20000]
    (tmp_path / "a.bin").write_bytes(data)
    for source in (data, os.urandom(20000), tmp_path / "a.bin"):
        with pytest.raises(DataError, match=r"not readable as audio \(Format not recognised\)"):
            load_audio(source, source_rate=fs)


def test_pieces_of_speech_look_like_no_file(pcm):
    """As microphones and websockets send them, from any sample on and at any level."""
    samples = np.frombuffer(pcm, "<i2")
    for gain in (1, 0.1, 0.01, 0.001):
        quiet = np.round(samples * gain).astype("<i2")
        for start in range(0, len(samples) - 640, 37):
            piece = quiet[start : start + 640].tobytes()
            assert not is_audio(piece) and not name_other(piece)
            assert len(load_audio(piece)) == 640


def test_samples_that_begin_like_a_frame():
    for first in (b"\xff\xfb", b"\xff\xf1", b"\x56\xff", b"\xff\xfe", b"\xfe\xff", b"\0\0\1\0"):
        piece = first + np.round(300 * np.sin(np.arange(HEAD) / 9)).astype("<i2").tobytes()
        assert not is_audio(piece) and not name_other(piece)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "shift_jis", "euc_jp"])
def test_text_in_other_encodings(encoding):
    text = (
        "this is a transcript and no audio\n"
        if encoding.startswith("utf")
        else "こんにちは世界、音声ではない"
    )
    data = (text * 60).encode(encoding)
    with pytest.raises(DataError, match="it is text"):
        load_audio(data[: len(data) // 4 * 4])


def test_silence_with_an_offset_is_no_text():
    noise = np.random.default_rng(1).normal(100, 12, HEAD).astype("<i2").tobytes()
    assert not is_audio(noise) and not name_other(noise)


def test_a_webp_image():
    with pytest.raises(DataError, match="it is a WebP image"):
        load_audio(b"RIFF\x10\0\0\0WEBPVP8 " + bytes(2000))
