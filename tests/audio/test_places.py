import functools
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from funasr_sap.audio import load_audio, places
from funasr_sap.data.audio_header import read_header
from funasr_sap.errors import DataError


class Handler(http.server.SimpleHTTPRequestHandler):
    """A folder's files; ``/short`` ends before it should, ``/large`` and ``/endless`` are too long."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path in ("/short", "/large", "/endless"):
            self.send_response(200)
            if self.path != "/endless":
                self.send_header("Content-Length", str(10**5 if self.path == "/short" else 10**12))
            self.end_headers()
            self.wfile.write(bytes(1000 if self.path != "/endless" else 10**6))
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f"127.0.0.1:{web.server_address[1]}"
        web.shutdown()


@pytest.fixture
def wav(tmp_path, speech):
    soundfile.write(tmp_path / "my talk.wav", speech, 16000)
    return tmp_path / "my talk.wav"


def test_schemes_are_read_in_any_case(wav, server):
    folder, address = server
    (folder / "a.wav").write_bytes(wav.read_bytes())
    expected = load_audio(wav)
    quoted = str(wav).replace(" ", "%20")
    for url in (
        *(f"http://{address}/a.wav", f"HTTP://{address}/a.wav", wav.as_uri(), f"FILE://{quoted}"),
        *(f"file://localhost{quoted}", f"file:{quoted}", f"file://{wav}"),
    ):
        assert torch.equal(load_audio(url), expected)
    assert read_header(wav.as_uri()).samples == len(expected)


def test_a_home_folder(wav, monkeypatch):
    monkeypatch.setenv("HOME", str(wav.parent))
    assert torch.equal(load_audio("~/my talk.wav"), load_audio(wav))
    assert torch.equal(load_audio(Path("~/my talk.wav")), load_audio(wav))
    assert read_header("~/my talk.wav").rate == 16000


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (
            "s3://bucket/a.wav",
            "the scheme s3: is not known, expected http:, https: or file:; download it first",
        ),
        ("FTP://host/a.wav", "the scheme ftp: is not known"),
        ("data:audio/wav;base64,AAAA", "the scheme data: is not known"),
        ("file://host/a.wav", "names a file of the machine host"),
        ("file:///none/a.wav", "no such file"),
        ("talks/*.wav", "no such file (a pattern, which only the shell reads"),
        ("talks/0?.wav", "a pattern"),
        ("talks/[ab].wav", "a pattern"),
        ("cat a.wav |", "a command, expected an audio file; run it and store its output"),
        ("sph2pipe -f wav a.sph |  ", "a command, expected an audio file; run it and store its output"),
        ("data/wav.ark:1234", "an entry of a Kaldi archive"),
        ("talk: part 1.wav", "no such file"),
        ("x" * 5000, "no such file"),
        ("a\0.wav", "no such file"),
    ],
)
def test_what_names_no_file(place, sentence):
    for read in (load_audio, read_header):
        with pytest.raises(DataError) as caught:
            read(place)
        assert sentence in str(caught.value) and len(str(caught.value)) < 600


def test_devices_are_no_files():
    with pytest.raises(DataError, match="is not a file"):
        load_audio("/dev/null")


def test_pipes_and_standard_input(wav, tmp_path, pcm, monkeypatch):
    expected = load_audio(wav)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(wav.read_bytes()))
    writer.start()
    assert torch.equal(load_audio(fifo), expected)
    writer.join()
    read, write = os.pipe()  # as <(...) of bash
    writer = threading.Thread(target=lambda: os.fdopen(write, "wb").write(wav.read_bytes()))
    writer.start()
    assert torch.equal(load_audio(f"/dev/fd/{read}"), expected)
    writer.join()
    os.close(read)
    for data, rate in ((wav.read_bytes(), None), (pcm, 16000)):
        (tmp_path / "in").write_bytes(data)
        with open(tmp_path / "in") as stream:
            monkeypatch.setattr("sys.stdin", stream)
            assert len(load_audio("-", source_rate=rate)) == len(expected)


def test_downloads_have_a_limit(server, monkeypatch):
    address = server[1]
    with pytest.raises(
        DataError, match=r"/large: cannot be downloaded \(1000000000000 bytes; expected 1 GiB at most"
    ):
        load_audio(f"http://{address}/large")
    with pytest.raises(
        DataError, match=r"/short: cannot be downloaded \(the connection ended after 1000 of 100000"
    ):
        load_audio(f"http://{address}/short")
    monkeypatch.setattr(places, "MAX_BYTES", 2**19)
    with pytest.raises(DataError, match=r"/endless: cannot be downloaded \(larger than"):
        load_audio(f"http://{address}/endless")


def test_what_is_downloaded_is_judged_as_files_are(server, pcm):
    folder, address = server
    (folder / "a.raw").write_bytes(pcm)
    (folder / "page.wav").write_bytes(b"<html><body>moved</body></html>")
    with pytest.raises(DataError, match="need fs="):
        load_audio(f"http://{address}/a.raw")
    assert len(load_audio(f"http://{address}/a.raw", source_rate=16000)) == len(np.frombuffer(pcm, "<i2"))
    with pytest.raises(DataError, match="an HTML page"):
        load_audio(f"http://{address}/page.wav")
