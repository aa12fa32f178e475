import functools
import multiprocessing

import pytest
import stub_recogniser

from funasr_sap.decode.workers import decode_batches
from funasr_sap.errors import ConfigError, WorkerError
from funasr_sap.request import Request


def make_batches(*batches: str) -> list[list[Request]]:
    return [[Request(key, f"{key}.wav", []) for key in batch.split()] for batch in batches]


def decode(batches, devices, **settings):
    return list(decode_batches(functools.partial(stub_recogniser.build, **settings), devices, 1, batches))


@pytest.mark.parametrize("devices", [["cpu"], ["first", "second"]], ids=["here", "processes"])
def test_each_batch_is_decoded_once(devices):
    """Two processes; the start of each takes seconds on a busy machine."""
    batches = make_batches("a b", "c", "d e f", "g", "h")
    loaded, *found = decode(batches, devices, seconds=0.05)
    assert loaded == []
    keys = sorted([each["key"] for each in results] for results in found if results)
    assert keys == sorted([each.key for each in batch] for batch in batches)
    assert {each["on"] for results in found for each in results} <= set(devices)
    assert not multiprocessing.active_children()


def test_without_work_nothing_is_loaded():
    assert decode([], ["cpu", "cpu"], model_dir="missing") == []


@pytest.mark.parametrize("devices", [["cpu"], ["cpu", "cpu"]], ids=["here", "processes"])
def test_a_model_that_cannot_be_used_is_its_error(devices):
    with pytest.raises(ConfigError, match=r"^model: no such model$"):
        decode(make_batches("a", "b"), devices, model_dir="missing")
    assert not multiprocessing.active_children()


def test_anything_else_is_one_sentence_here():
    sentence = r"^RuntimeError: two lines \(stub_recogniser.py:\d+\) while it decoded a and 1 more$"
    with pytest.raises(WorkerError, match=sentence):
        decode(make_batches("a crash"), ["cpu"])


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("crash", r"RuntimeError: two lines \(stub_recogniser.py:\d+\) while it decoded crash$"),
        ("killed", r"the process was killed by SIGKILL while it decoded killed; is there enough memory\?$"),
    ],
)
def test_anything_else_is_one_sentence_of_a_process(key, sentence):
    with pytest.raises(WorkerError, match=rf"^worker \d of 2 \(cpu\): {sentence}"):
        decode(make_batches("a", key, "c"), ["cpu", "cpu"], seconds=0.01)
    assert not multiprocessing.active_children()
