"""A recogniser behind its interfaces: the small random model, made to give short answers."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

ROOT = Path(__file__).parents[2]
END_GAIN = 3  # on the end token's weights: answers end after a few pieces, and most are not empty


@pytest.fixture(scope="session")
def model_dir(small_model_dir, small_model, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("short") / "model"
    shutil.copytree(small_model_dir, folder)
    weights = torch.load(folder / "model.pt", weights_only=True)
    end = small_model.prompts.end_id
    embeddings = [value for name, value in weights.items() if name.startswith("llm.") and len(value) > 99]
    assert all(value.data_ptr() == embeddings[0].data_ptr() for value in embeddings)  # one, tied
    embeddings[0][end] *= END_GAIN
    torch.save(weights, folder / "model.pt")
    return str(folder)


@pytest.fixture(scope="session")
def model(model_dir):
    """``funasr_sap.AutoModel`` of ``model_dir``."""
    from funasr_sap import AutoModel

    return AutoModel(model=model_dir, ncpu=1, disable_pbar=True, log_level="WARNING")


@pytest.fixture(scope="session")
def wavs(speech_wavs) -> list[str]:
    return [each.source for each in speech_wavs]


@pytest.fixture(scope="session")
def hotwords(speech_wavs) -> list[str]:
    """Rare words of some utterances, more than the model keeps."""
    return sorted({word for each in speech_wavs for word in each.keywords})[:8]


@pytest.fixture(scope="session")
def samples(wavs) -> np.ndarray:
    """The first utterance's samples: 16 kHz, fp32."""
    samples, rate = soundfile.read(wavs[0], dtype="float32")
    assert rate == 16000
    return samples


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A web server of a folder: the folder and its address."""
    folder = tmp_path_factory.mktemp("web")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()


@pytest.fixture(scope="session")
def start_shell():
    """Start ``python -m funasr_sap ARGUMENTS`` as a process of its own."""

    def start(*arguments, **more) -> subprocess.Popen:
        # Without a hub to ask: nothing may be downloaded.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MODELSCOPE_DOMAIN": "127.0.0.1:9"}
        command = [sys.executable, "-m", "funasr_sap", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, **pipes, **more)

    return start


@pytest.fixture(scope="session")
def shell(start_shell):
    """Run ``python -m funasr_sap ARGUMENTS``: (exit status, stdout, stderr)."""

    def call(*arguments, **more) -> tuple[int, str, str]:
        process = start_shell(*arguments, **more)
        stdout, stderr = process.communicate(timeout=120)
        return process.returncode, stdout, stderr

    return call
