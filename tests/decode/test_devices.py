import pytest
import torch

from funasr_sap.decode import devices
from funasr_sap.errors import ConfigError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["cuda:0", "cuda:1"]),
        ({"nj": 1}, ["cuda:0"]),
        ({"nj": 3}, ["cuda:0", "cuda:1", "cuda:0"]),
        ({"device": "cuda:1"}, ["cuda:1"]),
        ({"gpus": "1,0"}, ["cuda:1", "cuda:0"]),
        ({"device": "cpu", "nj": 2}, ["cpu", "cpu"]),
    ],
)
def test_processes_are_dealt_over_gpus(options, expected, two_gpus):
    assert devices.choose_devices(**options) == expected


def test_without_a_gpu_the_cpu_decodes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.choose_devices() == ["cpu"]
    assert devices.choose_devices("cuda:1", nj=2) == ["cpu", "cpu"]
    with pytest.raises(ConfigError, match="gpus: got 0, but this machine has 0 CUDA device"):
        devices.choose_devices(gpus="0")


@pytest.mark.parametrize(
    ("options", "name"), [({"nj": 0}, "nj"), ({"gpus": "0;1"}, "gpus"), ({"gpus": "2"}, "gpus")]
)
def test_impossible_choices_are_errors(options, name, two_gpus):
    with pytest.raises(ConfigError, match=f"^{name}: "):
        devices.choose_devices(**options)


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.setattr(devices, "count_cpus", lambda: 8)
    assert [devices.share_threads(processes) for processes in (0, 1, 3, 8, 20)] == [8, 8, 2, 1, 1]
