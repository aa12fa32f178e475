import random

import pytest

from funasr_sap.decode.batches import make_batches, read_durations
from funasr_sap.errors import ConfigError


def test_batches_hold_all_once_and_keep_both_limits():
    rng = random.Random(0)
    durations = [rng.choice([0.5, 3.0, 8.0, 21.0, 90.0, None]) for _ in range(200)]
    batches = make_batches(durations, batch_size=8, batch_seconds=60.0)
    assert sorted(place for batch in batches for place in batch) == list(range(200))
    for batch in batches:
        assert len(batch) <= 8
        lengths = [durations[place] or 60.0 for place in batch]
        assert len(batch) == 1 or len(batch) * max(lengths) <= 60.0
    assert all(len(batch) == 1 for batch in batches if None in [durations[place] for place in batch])


def test_batches_are_of_like_length_and_long_ones_come_first():
    batches = make_batches([1.0, 9.0, 1.1, 9.1, 5.0], batch_size=2, batch_seconds=100.0)
    assert batches == [[3, 1], [4, 2], [0]]
    assert make_batches([200.0, 1.0], batch_size=4, batch_seconds=100.0) == [[0], [1]]
    assert make_batches([], batch_size=4, batch_seconds=100.0) == []


@pytest.mark.parametrize(("size", "seconds", "name"), [(0, 1.0, "batch_size"), (1, 0.0, "batch_seconds")])
def test_limits_below_the_least_are_errors(size, seconds, name):
    with pytest.raises(ConfigError, match=name):
        make_batches([1.0], size, seconds)


def test_lengths_come_from_headers(speech_wavs, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio")
    odd = [tmp_path / "headerless.raw", tmp_path / "none.wav", tmp_path, tmp_path / "not\0a name.wav"]
    odd[0].write_bytes(bytes(3200))
    odd[1].write_bytes(b"")
    sources = [str(broken), "no/such.wav", "http://localhost/a.wav", None, b"bytes", *map(str, odd)]
    found = read_durations([speech_wavs[0].source, *sources])
    assert found[0] == pytest.approx(speech_wavs[0].speech_length / 100, abs=0.02)
    assert not any(found[1:])
