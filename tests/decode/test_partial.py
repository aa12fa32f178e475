import json

import pytest

from funasr_sap.decode.partial import PartialResults
from funasr_sap.errors import ConfigError, DataError

MADE_WITH = {"model": "abc", "prune": "llm", "top": None}
RESULTS = [{"key": "utt2", "text": "木质部 xylem"}, {"key": "utt1", "text": ""}]


def finished(path, **options) -> dict:
    with PartialResults(path, MADE_WITH, **options) as partial:
        return partial.finished


@pytest.fixture
def path(tmp_path):
    """A file with two results."""
    path = tmp_path / "exp/partial.jsonl"
    with PartialResults(path, MADE_WITH) as partial:
        partial.add(RESULTS)
    return path


def test_results_are_there_in_the_next_run(path):
    assert finished(path) == {each["key"]: each for each in RESULTS}
    with PartialResults(path, MADE_WITH) as partial:
        partial.add([{"key": "utt3", "text": "three"}])
    assert list(finished(path)) == ["utt2", "utt1", "utt3"]


def test_results_are_in_the_file_at_once(tmp_path):
    with PartialResults(tmp_path / "partial.jsonl", MADE_WITH) as partial:
        partial.add(RESULTS[:1])
        lines = (tmp_path / "partial.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(lines[-1]) == RESULTS[0]


def test_a_file_cut_anywhere_keeps_its_whole_lines(path):
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        expected = max(sum(end <= size for end in ends) - 1, 0)  # less the first line
        with PartialResults(path, MADE_WITH) as partial:
            assert list(partial.finished) == ["utt2", "utt1"][:expected]
            partial.add([{"key": "new", "text": "line"}])
        assert list(finished(path)) == [*["utt2", "utt1"][:expected], "new"]


def test_a_result_that_stands_twice_counts_once(path):
    path.write_bytes(path.read_bytes() + b'{"key": "utt1", "text": "again"}\n')
    assert finished(path)["utt1"]["text"] == ""


def test_other_settings_are_an_error_that_names_them(path):
    before = path.read_bytes()
    with pytest.raises(
        ConfigError, match=r"settings: prune \(llm, now none\), top \(None, now 5\); .*resume=false"
    ):
        PartialResults(path, MADE_WITH | {"prune": "none", "top": 5})
    assert path.read_bytes() == before
    with PartialResults(path, MADE_WITH | {"top": 5}, resume=False) as partial:
        assert partial.finished == {}


def test_without_results_there_is_nothing_to_differ_from(path):
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first)
    with PartialResults(path, {"model": "other"}) as partial:
        assert partial.finished == {}
    assert not path.exists()


def test_another_run_is_kept_out(path):
    with PartialResults(path, MADE_WITH), pytest.raises(ConfigError, match="in use by another run"):
        PartialResults(path, MADE_WITH)
    assert len(finished(path)) == 2


@pytest.mark.parametrize("line", [b"no json", b"[1]", b"\xff", b'{"text": "no key"}'])
def test_another_file_is_an_error(line, path):
    lines = path.read_bytes().splitlines()
    for number in (1, 2):
        path.write_bytes(b"\n".join([*lines[: number - 1], line, *lines[number:]]) + b"\n")
        with pytest.raises(DataError, match=rf"partial.jsonl:{number}: expected a result of an earlier run"):
            PartialResults(path, MADE_WITH)


def test_what_is_removed_is_gone(path):
    with PartialResults(path, MADE_WITH) as partial:
        partial.remove()
    assert not path.exists()
