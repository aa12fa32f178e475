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
TIMEOUT = 300  # seconds; a call takes about ten on a free machine
END_GAINS = (6, 4, 3, 2, 1.5, 1)  # on the end token's weights


@pytest.fixture(scope="session")
def model(small_model_dir, speech_wavs):
    """``funasr_sap.AutoModel`` of the small random model, with answers that end after a few pieces."""
    from funasr_sap import AutoModel

    built = AutoModel(model=str(small_model_dir), ncpu=1, disable_pbar=True, log_level="WARNING")
    weight = built.model.llm.get_input_embeddings().weight.data[built.model.prompts.end_id]
    original = weight.clone()
    lists = [list(each.hotwords) for each in speech_wavs] + [[]] * len(speech_wavs)
    for gain in END_GAINS:  # the more the shorter, and the more of them are empty
        weight.copy_(gain * original)
        results = built.generate([each.source for each in speech_wavs * 2], hotwords=lists)
        if sum(result["text"] != "" for result in results) > len(results) // 2:
            break
    return built


@pytest.fixture(scope="session")
def model_dir(model, small_model_dir, tmp_path_factory) -> str:
    """The directory of ``model``."""
    folder = tmp_path_factory.mktemp("short") / "model"
    shutil.copytree(small_model_dir, folder)
    torch.save(model.model.state_dict(), folder / "model.pt")
    return str(folder)


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
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        return process.returncode, stdout, stderr

    return call
