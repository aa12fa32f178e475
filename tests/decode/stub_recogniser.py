"""A recogniser without a model, which processes can load at once; some utterances misbehave."""

import os
import signal
import time
from pathlib import Path

from funasr_sap.errors import ConfigError


def build(device: str, threads: int, model_dir: str = "stub", seconds: float = 0.0, log=None, **settings):
    """Make it: the text of an utterance tells its id and the device.

    Args:
        device: any text.
        threads: not read.
        model_dir: "missing" cannot be loaded.
        seconds: for each batch.
        log: a file that gets the id of each utterance that is decoded.
        settings: not read.
    """
    if model_dir == "missing":
        raise ConfigError("model: no such model")

    def recognise(batch):
        time.sleep(seconds)
        if log is not None:
            with Path(log).open("a") as stream:
                stream.write("".join(f"{request.key}\n" for request in batch))
        return [decode(request.key) for request in batch]

    def decode(key):
        if key == "crash":
            raise RuntimeError("two\nlines")
        if key == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if key.startswith("bad"):
            return {"key": key, "text": "", "error": f"{key}: not readable"}
        return {"key": key, "text": f"words of {key}", "keywords": [key], "timestamp": [[0, 1]], "on": device}

    return recognise
