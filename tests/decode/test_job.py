import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stub_recogniser

from funasr_sap.context.vocabulary import VocabularyStore
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.decode import job
from funasr_sap.decode.job import DecodingJob
from funasr_sap.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
TIMEOUT = 300  # seconds; a run takes about ten on a free machine
UTTERANCES = 60


@pytest.fixture
def scp(tmp_path):
    """A list in no order, of different lengths."""
    keys = [f"utt{number:02}" for number in range(UTTERANCES)]
    random.Random(1).shuffle(keys)
    lines = []
    for number, key in enumerate(keys):
        path = tmp_path / f"{key}.wav"
        soundfile.write(path, np.zeros(1600 + 400 * (number % 9)), 16000)
        lines.append(f"{key} {path}\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    return tmp_path / "wav.scp"


@pytest.fixture
def decode(monkeypatch, scp, tmp_path):
    """Run a job of the stub in this process: its summary, and the ids that were decoded."""

    def run(**settings):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        monkeypatch.setattr(job, "build_recogniser", Build(log))
        settings = {"model_dir": "stub", "scp_file": str(scp), "device": "cpu", **settings}
        summary = DecodingJob(**settings).run()
        return summary, log.read_text().split() if log.exists() else []

    return run


class Build:
    """The stub's ``build``, with a log."""

    def __init__(self, log):
        self.log = log

    def __call__(self, *arguments, **settings):
        return stub_recogniser.build(*arguments, log=self.log, **settings)


def expected_lines(keys) -> list[str]:
    return [f"{key}\twords of {key}" for key in keys]


def test_results_stand_in_the_order_of_the_list(decode, scp, tmp_path):
    keys = list(read_kaldi(scp))
    summary, decoded = decode(output_file=str(tmp_path / "new/all.txt"), output_dir=str(tmp_path / "out"))
    assert (tmp_path / "new/all.txt").read_text().splitlines() == expected_lines(keys)
    folder = tmp_path / "out/1best_recog"
    assert sorted(os.listdir(folder)) == ["errors", "keywords", "score", "text", "time_stamp"]
    assert read_kaldi(folder / "text") == {key: f"words of {key}" for key in keys}
    assert read_biasing_list(folder / "keywords") == {key: [key] for key in keys}
    assert decoded != keys and sorted(decoded) == sorted(keys)  # by length
    assert (summary.utterances, summary.before, summary.failed) == (UTTERANCES, 0, 0)
    seconds = sum(soundfile.info(path).duration for path in read_kaldi(scp).values())
    assert summary.speech == pytest.approx(seconds)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["1best_recog"]
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["all.txt"]


def test_failures_are_counted_and_tried_again_alone(decode, scp, tmp_path):
    path = scp.parent / "utt00.wav"
    scp.write_text(f"bad1 {path}\n{scp.read_text()}bad2 {path}\n")
    output = tmp_path / "all.txt"
    for before in (0, UTTERANCES):
        summary, decoded = decode(output_file=str(output))
        assert (summary.before, summary.failed, len(decoded)) == (before, 2, UTTERANCES + 2 - before)
        assert output.read_text().splitlines() == expected_lines(list(read_kaldi(scp))[1:-1])
        assert read_kaldi(f"{output}.errors") == {key: f"{key}: not readable" for key in ("bad1", "bad2")}
    scp.write_text(scp.read_text().replace("bad", "good"))
    with pytest.raises(ConfigError, match="scp_file"):
        decode(output_file=str(output))
    summary, decoded = decode(output_file=str(output), resume=False)
    assert (summary.before, summary.failed, len(decoded)) == (0, 0, UTTERANCES + 2)
    assert sorted(each.name for each in tmp_path.glob("all.txt*")) == ["all.txt"]


def test_other_options_are_an_error_while_results_are_unfinished(decode, scp, tmp_path):
    scp.write_text(f"{scp.read_text()}bad {scp.parent / 'utt00.wav'}\n")
    decode(output_dir=str(tmp_path / "out"), options={"prune": "llm"})
    with pytest.raises(ConfigError, match=r"prune \(llm, now none\)"):
        decode(output_dir=str(tmp_path / "out"), options={"prune": "none"})
    summary, _ = decode(output_dir=str(tmp_path / "out"), options={"prune": "llm"}, batch_size=1)
    assert summary.before == UTTERANCES


def test_options_without_effect_may_change(decode, scp, tmp_path):
    scp.write_text(f"{scp.read_text()}bad {scp.parent / 'utt00.wav'}\n")
    decode(output_dir=str(tmp_path / "out"), options={"speculate": True})
    options = {"speculate": False, "index_dir": str(tmp_path / "indexes")}
    summary, _ = decode(output_dir=str(tmp_path / "out"), options=options)
    assert summary.before == UTTERANCES


def test_a_vocabulary_is_known_by_its_words(decode, scp, tmp_path):
    scp.write_text(f"{scp.read_text()}bad {scp.parent / 'utt00.wav'}\n")
    store = VocabularyStore(tmp_path / "store")
    call = {"output_dir": str(tmp_path / "out"), "biasing_list": str(store.folder / "plants")}
    store.put("plants", ["xylem"])
    decode(**call)
    assert decode(**call)[0].before == UTTERANCES
    store.put("plants", ["phloem"])
    with pytest.raises(ConfigError, match=r"biasing_list \(.*, now "):
        decode(**call)


def test_another_version_does_not_go_on(decode, scp, tmp_path, monkeypatch):
    scp.write_text(f"{scp.read_text()}bad {scp.parent / 'utt00.wav'}\n")
    decode(output_dir=str(tmp_path / "out"))
    monkeypatch.setattr("funasr_sap.__version__", "99.0")
    with pytest.raises(ConfigError, match=r"versions \(funasr-sap .*, now funasr-sap 99\.0, funasr "):
        decode(output_dir=str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ConfigError, "output_file, output_dir: expected one"),
        ({"output_file": "."}, ConfigError, "is a folder"),
        (
            {"output_file": "all.txt", "scp_file": "talk.wav"},
            ConfigError,
            "expected wav.scp or JSONL, got talk.wav",
        ),
        ({"output_file": "all.txt", "scp_file": "no.scp"}, DataError, "no such file: no.scp"),
        ({"output_file": "all.txt", "biasing_list": "none.txt"}, DataError, "no such file: none.txt"),
        ({"output_file": "all.txt", "batch_size": 0}, ConfigError, "batch_size"),
        ({"output_file": "all.txt", "model_dir": "missing"}, ConfigError, "no such model"),
    ],
)
def test_what_cannot_be_decoded_is_an_error_and_leaves_nothing(
    settings, error, message, decode, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(error, match=message):
        decode(**settings)
    assert not list((tmp_path / "here").iterdir())


@pytest.fixture
def start(scp, tmp_path):
    """Start ``run_job.py`` in a process group of its own."""

    def run(seconds=0.05) -> subprocess.Popen:
        arguments = [scp, tmp_path / "out", tmp_path / "log", seconds]
        command = [sys.executable, Path(__file__).parent / "run_job.py", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)

    return run


def wait_for(process, partial: Path, lines: int) -> None:
    """Wait until so many lines are in the file of partial results."""
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        if partial.exists() and partial.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)
    raise AssertionError(f"no {lines} results: {process.communicate()}")


def wait_for_the_end_of_all(group: int) -> None:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("processes are left")


def kill_and_go_on(start, scp, tmp_path, kills: list[int]) -> None:
    """Kill runs at so many results; then finish, and compare with what one run gives."""
    keys, partial = list(read_kaldi(scp)), tmp_path / "out/partial.jsonl"
    for lines in kills:
        process = start()
        wait_for(process, partial, lines)
        process.kill()
        process.communicate()
        wait_for_the_end_of_all(process.pid)  # the processes that it started see that it is gone
        assert not (tmp_path / "out/all.txt").exists()
    finished = partial.read_bytes().count(b"\n") - 1
    (tmp_path / "log").unlink()
    stdout, stderr = start(seconds=0).communicate(timeout=TIMEOUT)
    assert f"{UTTERANCES - finished} utterances" in stdout and f"{finished} finished before" in stdout, stderr
    decoded = (tmp_path / "log").read_text().split()
    assert len(decoded) == len(set(decoded)) == UTTERANCES - finished
    assert (tmp_path / "out/all.txt").read_text().splitlines() == expected_lines(keys)
    assert read_kaldi(tmp_path / "out/1best_recog/text") == {key: f"words of {key}" for key in keys}
    assert not partial.exists()


def test_after_a_sigkill_none_is_lost_and_none_is_doubled(start, scp, tmp_path):
    """Two starts of three processes, which take ten seconds on a busy machine."""
    kill_and_go_on(start, scp, tmp_path, [random.Random(0).randrange(5, 50)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_after_many_sigkills_none_is_lost_and_none_is_doubled(seed, start, scp, tmp_path):
    """Six starts of three processes each."""
    kill_and_go_on(start, scp, tmp_path, sorted(random.Random(seed).sample(range(2, 55), 5)))


def test_ctrl_c_stops_all_and_keeps_what_is_finished(start, tmp_path):
    process = start(seconds=0.2)
    wait_for(process, tmp_path / "out/partial.jsonl", 4)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.endswith("error: interrupted\n") and "Traceback" not in stderr
    wait_for_the_end_of_all(process.pid)
    assert (tmp_path / "out/partial.jsonl").read_bytes().count(b"\n") >= 4
