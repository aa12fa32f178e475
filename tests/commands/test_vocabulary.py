import json
import logging

import pytest

from funasr_sap.commands.vocabulary import main
from funasr_sap.context.vocabulary import VocabularyStore
from funasr_sap.errors import DataError

ENTRIES = [
    "Photosynthesis",
    "photosynthesis",
    "ox",
    "★★★",
    "光合作用",
    "Crowe",
    "crow",
    "a" * 120,
    "São Paulo",
]
TABLE = """\
keyword                                   heard as        problem
Photosynthesis                            photosynthesis
photosynthesis                            photosynthesis  doubled: Photosynthesis
ox                                        ox              short
★★★                                                       unheard
光合作用                                                  unheard
Crowe                                     crowe           confusable: crow
crow                                      crow            confusable: Crowe
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...                  too long
São Paulo                                 sao paulo
"""


@pytest.fixture(autouse=True)
def level():
    """Log as before: the command sets its own level."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(ENTRIES), encoding="utf-8")
    return path


def test_what_is_heard_and_what_is_wrong(words, capsys):
    assert main(["check", str(words)]) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout == TABLE
    problems = "1 doubled, 1 short, 2 unheard, 2 confusable, 1 too long"
    assert stderr.endswith(f"{words}: 9 keywords: {problems}\n")
    assert main(["check", str(words), "--json", "--strict"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["written"] for line in lines] == ENTRIES
    assert lines[1] == {
        **{"written": "photosynthesis", "cleaned": "photosynthesis", "heard": "photosynthesis"},
        **{"problem": "doubled", "other": "Photosynthesis"},
    }


def test_a_good_list_passes(tmp_path, capsys):
    (tmp_path / "words.txt").write_text("photosynthesis\nchlorophyll\n")
    assert main(["check", str(tmp_path / "words.txt"), "--strict"]) == 0
    assert "2 keywords: nothing is wrong" in capsys.readouterr().err


def test_a_list_that_is_built_is_read_again(words, small_model_dir, tmp_path, capsys):
    store = tmp_path / "lists"
    given = ["--name", "my words", "--store", str(store)]
    assert main(["build", str(words), *given, "--model", str(small_model_dir)]) == 0
    assert capsys.readouterr().out == f"{store / 'my words'}: 7 keywords of 9 entries\n"
    stored = VocabularyStore(store).get("my words")
    assert [*stored] == ENTRIES and [*store.glob("my words/*/order.npy")]
    assert main(["list", "--store", str(store)]) == 0
    assert capsys.readouterr().out == f"my words  9  {stored.content}\n"
    with pytest.raises(DataError, match=r"expected a name of 1 to 60 letters and digits.*got '\.\./words'"):
        main(["build", str(words), "--name", "../words", "--store", str(store)])
    with pytest.raises(DataError, match="--store: no such folder"):
        main(["list", "--store", str(tmp_path / "none")])


def test_lists_by_utterance_are_no_vocabulary(tmp_path):
    (tmp_path / "biasing_list").write_text("u1 xylem$phloem\n")
    with pytest.raises(DataError, match="holds lists by utterance; expected one list of keywords"):
        main(["check", str(tmp_path / "biasing_list")])
    with pytest.raises(DataError, match="no such file"):
        main(["check", str(tmp_path / "none.txt")])
