import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = """
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.tool import run

def main():
    {body}

run(main)
"""


def start(body, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = textwrap.dedent(HEAD).format(body=body)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes)


@pytest.mark.parametrize(
    ("body", "status", "stdout", "stderr"),
    [
        ("print('done')", 0, "done\n", ""),
        ("return 3", 3, "", ""),
        ("raise DataError('bad line')", 1, "", "error: bad line\n"),
        ("raise ConfigError('bad key')", 1, "", "error: bad key\n"),
        ("open('/none/such')", 1, "", "error: /none/such: No such file or directory\n"),
        ("raise OSError('no space')", 1, "", "error: no space\n"),
        ("import logging; logging.info('a log')", 0, "", "INFO: a log\n"),
    ],
)
def test_exit_status_and_message(body, status, stdout, stderr):
    process = start(body)
    assert process.communicate() == (stdout, stderr)
    assert process.returncode == status


def test_other_errors_keep_their_traceback():
    process = start("raise KeyError('a bug')")
    assert "Traceback" in process.communicate()[1]
    assert process.returncode == 1


def test_interrupt():
    process = start("print('ready', flush=True); import time; time.sleep(60)")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "error: interrupted\n")
    assert process.returncode == 130


def test_a_reader_that_has_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    process = start("print('x' * 100000)", stdout=writer)
    os.close(writer)
    assert process.communicate()[1] == ""
    assert process.returncode == 141
