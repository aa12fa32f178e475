import pytest

from funasr_sap.errors import DataError
from funasr_sap.text.hotword_files import parse_content
from funasr_sap.text.hotwords import Hotwords, Remarks


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("xylem\r\ncell wall\n\n木质部", ["xylem", "cell wall", "木质部"]),
        ("cell wall, inner\nxylem\n", ["cell wall, inner", "xylem"]),
        ("Washington, D.C.\nSmith, John", ["Washington, D.C.", "Smith, John"]),
        ("xylem,leaf,cell wall\n", ["xylem", "leaf", "cell wall"]),
        ("xylem,leaf\ncell wall,a b", ["xylem", "leaf", "cell wall", "a b"]),
        ("xylem, leaf, cell wall\nroot", ["xylem", "leaf", "cell wall", "root"]),
        ("1,000,000 trees\nroot", ["1,000,000 trees", "root"]),
        ("北京、上海\n广州", ["北京", "上海", "广州"]),
        ("xylem\tleaf\nroot\tstem", ["xylem", "leaf", "root", "stem"]),
        ('["xylem", "cell wall"]', ["xylem", "cell wall"]),
        ("[\n 'xylem',\n 'cell wall',\n]", ["xylem", "cell wall"]),
        ('"xylem",\n"cell wall"\n', ["xylem", "cell wall"]),
        ("[laughter]\n[noise]", ["[laughter]", "[noise]"]),
        ("- xylem\n- 'cell wall'\n- 2024", ["xylem", "cell wall", "2024"]),
        ("hotwords:\n  - xylem\n  - leaf", ["xylem", "leaf"]),
        ("* xylem\n* leaf", ["xylem", "leaf"]),
        ("# plants\nxylem # a tissue\n\n# more\nC#\n", ["xylem", "C#"]),
        ("#MeToo\n#FridaysForFuture", ["#MeToo", "#FridaysForFuture"]),
        ("Windows 11\nLinux\nBeOS", ["Windows 11", "Linux", "BeOS"]),
        ("visit thirty\ncultures\nprivate", ["visit thirty", "cultures", "private"]),
        ("1. xylem\n2. leaf", ["xylem", "leaf"]),
        ("12 xylem\n3 leaf", ["xylem", "leaf"]),
        ("hotwords: [xylem, leaf]", ["xylem", "leaf"]),
        ('hotwords = ["xylem", "leaf"]\n', ["xylem", "leaf"]),
        ("", []),
    ],
)
def test_files_of_keywords(content, words, caplog):
    remarks = Remarks()
    found = parse_content(content, ".txt", remarks)
    assert found == words and isinstance(found, Hotwords)
    remarks.tell()
    assert all("are parted" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("content", "suffix", "words"),
    [
        ("xylem 20\ncell wall 10\n", ".txt", ["xylem", "cell wall"]),
        ("xylem\t20\nleaf\n", "", ["xylem", "leaf"]),
        ("xylem :2.0\nleaf\n", ".txt", ["xylem", "leaf"]),
        ("xylem,20\ncell wall,10\n", ".txt", ["xylem", "cell wall"]),
        ("xylem | 20\nleaf | 3", ".txt", ["xylem", "leaf"]),
        ("xylem,20\nleaf,10", ".csv", ["xylem", "leaf"]),
        ('Word,Weight\nxylem,20\n"a, b",10', ".csv", ["xylem", "a, b"]),
        ("word\tweight\nxylem\t20\nleaf\t1", ".tsv", ["xylem", "leaf"]),
        ("hotword;score\nxylem;20\nleaf;10", ".csv", ["xylem", "leaf"]),
        ("热词,权重\n木质部,20\n叶,3", ".txt", ["木质部", "叶"]),
        ("xylem: 20\nleaf: 3", ".yaml", ["xylem", "leaf"]),
        ('{"xylem": 20}', ".json", ["xylem"]),
    ],
)
def test_weights_are_left_out(content, suffix, words, caplog):
    remarks = Remarks()
    assert parse_content(content, suffix, remarks) == words
    remarks.tell()
    (warning,) = caplog.records
    assert "left out, as SAP² has none" in warning.getMessage()


def test_tables_and_lists_by_suffix():
    assert parse_content("hotword\nxylem\nleaf", ".CSV", Remarks()) == ["xylem", "leaf"]
    assert parse_content("hotword\nxylem\nleaf", ".txt", Remarks()) == ["hotword", "xylem", "leaf"]
    assert parse_content('type,word\n"x, y",leaf', ".txt", Remarks()) == ["leaf"]
    assert parse_content("- xylem # x\n- no\n- 007", ".yml", Remarks()) == ["xylem", "no", "007"]
    assert parse_content('{"u1": ["xylem"], "u2": []}', ".json", Remarks()) == {"u1": ["xylem"], "u2": []}


@pytest.mark.parametrize(("content", "suffix"), [("xylem\n", ".json"), ("[xylem", ".json"), ("[a", ".yaml")])
def test_what_is_not_what_it_says_is_an_error(content, suffix):
    with pytest.raises(DataError, match=r"not (JSON|YAML) .*; expected a list of words"):
        parse_content(content, suffix, Remarks())


@pytest.mark.parametrize(
    "content",
    ["utt1 a$b\nutt2 c$d\nutt3", 'utt1 ["a"]\nutt2 []', '{"key": "u", "hotwords": []}\n{"key": "v"}'],
)
def test_what_looks_like_lists_by_utterance_id_is_told(content, caplog):
    remarks = Remarks()
    assert parse_content(content, ".txt", remarks) == content.splitlines()
    remarks.tell()
    assert "give such a file as biasing_list=FILE" in caplog.text


def test_words_that_are_commented_out_are_told(caplog):
    remarks = Remarks()
    assert parse_content("xylem\n#leaf", ".txt", remarks) == ["xylem"]
    remarks.tell()
    assert "1 line(s) that begin with # are comments, the first is '#leaf'" in caplog.text


def test_a_table_with_chinese_commas_and_lines_of_objects():
    assert parse_content("热词，权重\nxylem，20\n", ".txt", Remarks()) == ["xylem"]
    assert parse_content('{"word": "xylem"}\n{"word": "leaf"}\n', ".txt", Remarks()) == ["xylem", "leaf"]
