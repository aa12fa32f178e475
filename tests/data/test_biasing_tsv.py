from pathlib import Path

import pytest

from funasr_sap.data.biasing_tsv import format_tsv_line, iter_biasing_tsv, parse_tsv_line, write_biasing_tsv
from funasr_sap.data.utterance import Utterance

LIBRISPEECH = Path(__file__).parents[3] / "shared/data/is21_deep_bias/ref/test-clean.biasing_100.tsv"


def test_line():
    line = 'u1\tthe new york times\t["york"]\t["london", "york"]'
    utterance = Utterance("u1", None, "the new york times", ("london", "york"), ("york",))
    assert parse_tsv_line(line) == utterance and format_tsv_line(utterance) == line
    assert parse_tsv_line('u1\thm\t["a"]') == Utterance("u1", None, "hm", None, ("a",))


def test_bad_lines_are_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('u1\tx\t[]\nu2\tx\nu3\tx\t[1]\nu4\tx\t["a"\nu1\ty\t[]\nu 5\tx\t[]\n')
    problems = []
    assert [each.key for each in iter_biasing_tsv(path, problems)] == ["u1"]
    reasons = (
        "2 columns",
        "expected a list of words",
        "not JSON",
        "the id 'u1' is on line 1",
        "cannot be an id",
    )
    assert len(problems) == 5
    for number, (problem, reason) in enumerate(zip(problems, reasons, strict=True), 2):
        assert problem.startswith(f"{path}:{number}: ") and reason in problem


@pytest.mark.parametrize(
    ("utterance", "reason"),
    [
        (Utterance("u", None, None, (), ()), "its text and its keywords"),
        (Utterance("u", None, "x", (), None), "its text and its keywords"),
        (Utterance("u", None, "a\tb", (), ()), "a tab or a line break"),
    ],
)
def test_what_a_line_cannot_hold(utterance, reason):
    with pytest.raises(ValueError, match=reason):
        format_tsv_line(utterance)


@pytest.mark.skipif(not LIBRISPEECH.exists(), reason="the published lists are not here")
def test_published_lists_come_back_byte_for_byte(tmp_path):
    problems = []
    assert write_biasing_tsv(tmp_path / "a.tsv", iter_biasing_tsv(LIBRISPEECH, problems)) == 2620
    assert not problems and (tmp_path / "a.tsv").read_bytes() == LIBRISPEECH.read_bytes()
