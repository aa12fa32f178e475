import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.kaldi import (
    Segment,
    read_biasing_list,
    read_kaldi,
    read_segments,
    write_biasing_list,
    write_kaldi,
)
from funasr_sap.errors import DataError

IDS = st.from_regex(r"[A-Za-z0-9_语音\-./]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def bad_lines(error):
    return str(error.value).splitlines()[1:]


@given(table=st.dictionaries(IDS, VALUES))
def test_kaldi_round_trip(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("kaldi") / "text"
    write_kaldi(path, table)
    assert read_kaldi(path, allow_empty=True) == {key: value.strip(" \t\r") for key, value in table.items()}
    assert list(read_kaldi(path, allow_empty=True)) == sorted(table)


@given(table=st.dictionaries(IDS, st.lists(st.text(min_size=1) | st.sampled_from(["a$b", "[x]", '["', " "]))))
def test_biasing_list_round_trip(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("kaldi") / "biasing_list"
    write_biasing_list(path, table)
    assert read_biasing_list(path) == table


def test_blank_lines_byte_order_mark_and_windows_line_ends(tmp_path):
    path = write(tmp_path / "text", b"\xef\xbb\xbfa  one two\r\n\r\n\nb\tthree\xe3\x80\x80four \r\n")
    assert read_kaldi(path) == {"a": "one two", "b": "three　four"}


def test_all_bad_lines_are_named(tmp_path):
    path = write(tmp_path / "wav.scp", b"a a.wav\nb\nc \xff.wav\na again.wav\nd\xe3\x80\x80d.wav\n")
    with pytest.raises(DataError, match=r"4 bad line\(s\)") as error:
        read_kaldi(path)
    assert bad_lines(error) == [
        f"  {path}:2: 'b' has no value, expected 'id value'",
        f"  {path}:3: byte 3 (0xff) is not UTF-8",
        f"  {path}:4: the id 'a' is on line 1 already",
        f"  {path}:5: 'd\\u3000d.wav' cannot be an id, it contains '\\u3000'",
    ]


def test_empty_values_only_where_allowed(tmp_path):
    path = write(tmp_path / "text", "a\nb words\n")
    assert read_kaldi(path, allow_empty=True) == {"a": "", "b": "words"}
    with pytest.raises(DataError, match="text:1: 'a' has no value"):
        read_kaldi(path)


@pytest.mark.parametrize("table", [{"a b": "x"}, {"": "x"}, {"a": "x\ny"}])
def test_what_a_line_cannot_hold_is_not_written(tmp_path, table):
    path = write(tmp_path / "text", "old text\n")
    with pytest.raises(DataError, match="cannot write"):
        write_kaldi(path, table)
    assert path.read_text() == "old text\n"
    assert list(tmp_path.iterdir()) == [path]


def test_biasing_list_forms(tmp_path):
    lines = [
        "a one$two words$",
        'b ["three", "fo$ur"]',
        "c",
        '{"key": "d", "hotwords": ["five"], "n": 1}',
        "e []",
    ]
    path = write(tmp_path / "biasing_list", "\n".join(lines))
    expected = {"a": ["one", "two words"], "b": ["three", "fo$ur"], "c": [], "d": ["five"], "e": []}
    assert read_biasing_list(path) == expected
    write_biasing_list(path, expected)
    assert path.read_text().splitlines()[:3] == ["a one$two words", 'b ["three", "fo$ur"]', "c"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('a ["one"', "not JSON"),
        ("a [1, 2]", "expected a list of words"),
        ('{"key": "a"}', 'expected "key" and "hotwords"'),
        ('{"key": "a", "hotwords": "x"}', "expected a list of words"),
        ('a text of a TSV\t["rare"]\t["all"]', "a tab among the words"),
    ],
)
def test_bad_biasing_lists(tmp_path, line, reason):
    with pytest.raises(DataError, match=f"list:2: .*{reason}"):
        read_biasing_list(write(tmp_path / "list", f"ok fine\n{line}\n"))


def test_segments(tmp_path):
    path = write(tmp_path / "segments", "u1 talk 0.5 2\nu2 talk 2 -1\n")
    assert read_segments(path) == {"u1": Segment("talk", 0.5, 2.0), "u2": Segment("talk", 2.0, None)}


def test_bad_segments(tmp_path):
    path = write(tmp_path / "segments", "a t 1\nb t 2 1\nc t x 1\nd t -2 1\ne t nan 1\n")
    with pytest.raises(DataError, match=r"5 bad line\(s\)"):
        read_segments(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_kaldi(tmp_path / "none")
