import pytest

from funasr_sap.data.kaldi_folder import iter_kaldi_folder, write_kaldi_folder
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

BOTH = [
    Utterance("b", "b.wav", "", ("x", "y$z"), ()),
    Utterance("a", "a.wav", "hello there", (), ("x",)),
]


def read(folder):
    problems = []
    return list(iter_kaldi_folder(folder, problems)), problems


def files(folder, **contents):
    folder.mkdir()
    for name, content in contents.items():
        (folder / name.replace("wav_scp", "wav.scp")).write_text(content)
    return folder


def test_files_are_sorted_and_joined_by_id(tmp_path):
    assert write_kaldi_folder(tmp_path / "new" / "set", BOTH) == 2
    written = {path.name: path.read_text() for path in (tmp_path / "new" / "set").iterdir()}
    assert written == {
        "wav.scp": "a a.wav\nb b.wav\n",
        "text": "a hello there\nb\n",
        "biasing_list": 'a\nb ["x", "y$z"]\n',
        "keywords": "a x\nb\n",
    }
    assert read(tmp_path / "new" / "set") == (BOTH[::-1], [])


def test_what_is_unknown_of_all_has_no_file(tmp_path):
    write_kaldi_folder(tmp_path / "set", [Utterance("a", None, "hello")])
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["text"]
    assert read(tmp_path / "set") == ([Utterance("a", None, "hello")], [])


def test_what_only_some_have_is_an_error_and_nothing_is_written(tmp_path):
    (tmp_path / "set").mkdir()  # an empty folder may be there
    with pytest.raises(DataError, match=r"holds all utterances or is not there: 2 bad .*\n  'b' has no text"):
        write_kaldi_folder(tmp_path / "set", [BOTH[1], Utterance("b", "b.wav", None, (), None)])
    assert not list((tmp_path / "set").iterdir()) and len(list(tmp_path.iterdir())) == 1


def test_a_folder_with_files_is_kept(tmp_path):
    folder = files(tmp_path / "set", keywords="a old\n")
    with pytest.raises(DataError, match="set exists already, expected no folder"):
        write_kaldi_folder(folder, BOTH)
    assert (folder / "keywords").read_text() == "a old\n" and len(list(folder.iterdir())) == 1


def test_ids_that_files_lack_are_bad(tmp_path):
    folder = files(
        tmp_path / "set",
        wav_scp="a a.wav\nb b.wav\nc\n",
        text="a hello\nd alone\n",
        keywords="a x\nb\nd\nother y\n",
    )
    utterances, problems = read(folder)
    assert [each.key for each in utterances] == ["a"]
    assert problems == [
        f"{folder}/wav.scp:3: 'c' has no value, expected 'id value'",
        f"{folder}: 'b' is not in text, but in other files",
        f"{folder}: 'd' is not in wav.scp, but in other files",
    ]


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (
            {"wav_scp": "talk t.wav\n", "segments": "u talk 0 1\n"},
            "has segments: its wav.scp names recordings",
        ),
        ({"keywords": "a x\n"}, "has neither wav.scp nor text"),
    ],
)
def test_other_folders_are_errors(tmp_path, contents, reason):
    with pytest.raises(DataError, match=reason):
        read(files(tmp_path / "set", **contents))
