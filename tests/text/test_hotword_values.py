import logging

import numpy as np
import pytest

from funasr_sap.errors import DataError
from funasr_sap.text.hotwords import (
    Hotwords,
    Remarks,
    looks_like_path,
    parse_list,
    parse_value,
    split_dollars,
    split_hotword,
    split_hotwords,
)


def read(value) -> list:
    return parse_value(value, Remarks())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, []),
        ("", []),
        ("cell wall,xylem", ["cell wall", "xylem"]),
        ("cell wall\nxylem, phloem\r\n", ["cell wall", "xylem", "phloem"]),
        ("阿里巴巴，达摩院、魔搭；x;y\tz", ["阿里巴巴", "达摩院", "魔搭", "x", "y", "z"]),
        (["cell wall", "a,b"], ["cell wall", "a,b"]),
        (("xylem",), ["xylem"]),
        ({"xylem"}, ["xylem"]),
        ((word for word in ["a", "b"]), ["a", "b"]),
        ({"a": 0, "b": 0}.keys(), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("['a, b', c]", ["a, b", "c"]),
        ("[laughter]", ["[laughter]"]),
        ("[a],[b]", ["[a]", "[b]"]),
        ("[" * 10_000 + "]" * 10_000, ["[" * 10_000 + "]" * 10_000]),
        ('{"hotwords": ["a", "b"]}', ["a", "b"]),
    ],
)
def test_one_list_in_all_forms(value, words):
    found = read(value)
    assert found == words and isinstance(found, Hotwords)
    assert parse_list(found, Remarks()) is found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("xylem 20", ["xylem"]),
        ("xylem\t20", ["xylem"]),
        ("xylem :2.0", ["xylem"]),
        ("cell wall:20", ["cell wall"]),
        ("阿里巴巴 20\n达摩院 30", ["阿里巴巴", "达摩院"]),
        ("xylem 20,phloem 10,leaf", ["xylem", "phloem", "leaf"]),
        (["xylem 20", "phloem 1.5"], ["xylem", "phloem"]),
        (["xylem", "phloem\t1.5", "leaf : 3"], ["xylem", "phloem", "leaf"]),
        ({"xylem": 20, "cell wall": 1.5}, ["xylem", "cell wall"]),
        ({"xylem": np.int64(20)}, ["xylem"]),
        ('{"xylem":20}', ["xylem"]),
        ("{xylem: 20, cell wall: 1.5}", ["xylem", "cell wall"]),
        ("{xylem:20,phloem:3}", ["xylem", "phloem"]),
        ([("xylem", 20), ("leaf", 1)], ["xylem", "leaf"]),
        ([{"word": "xylem", "weight": 20}, {"hotword": "leaf"}], ["xylem", "leaf"]),
    ],
)
def test_weights_are_left_out_and_told_once(value, words, caplog):
    remarks = Remarks()
    assert parse_value(value, remarks) == words
    remarks.tell()
    remarks.tell()
    (warning,) = caplog.records
    assert "left out, as SAP² has none" in warning.getMessage()


@pytest.mark.parametrize(
    "words",
    [
        ["Windows 11", "Linux", "cat"],
        ["Boeing 747", "Airbus 380"],
        ["Olympics 2024"],
        ["John 3:16", "4:3"],
        ["COVID-19", "B2B", "5G", "2024", "20"],
        ["1,000,000"],
    ],
)
def test_numbers_that_are_no_weights_stay(words, caplog):
    remarks = Remarks()
    assert parse_value(words, remarks) == words
    remarks.tell()
    assert not caplog.records


def test_a_list_that_was_read_is_not_read_again():
    once = read(["a 1 20", "b 2 10"])
    assert once == ["a 1", "b 2"] and read(once) is once


@pytest.mark.parametrize(
    "value",
    [{"a": ["x"], "b": None}, {"a": "x y,z"}, [["x"], "y", None], [None, None], '{"a": ["x"]}', "{a: [x]}"],
)
def test_lists_by_utterance_stay_apart(value):
    found = read(value)
    assert not isinstance(found, Hotwords) and isinstance(found, dict | list)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "expected a list of strings, .* got int"),
        (b"xylem", "got bytes"),
        (["xylem", 7], "got int at position 1"),
        ([None, "a"], "got NoneType at position 0"),
        ([["xylem"]], "got list at position 0"),
        ([{"x": "y"}], "got dict at position 0"),
        ({"a": ["x"]}, "got dict"),
    ],
)
def test_what_is_no_list_is_an_error(value, message):
    with pytest.raises(DataError, match=message):
        parse_list(value, Remarks())


@pytest.mark.parametrize(
    ("value", "remark"),
    [
        (["a,b,c"], "1 keyword(s) hold separators, the first is 'a,b,c'"),
        (["阿里巴巴，达摩院", "x"], "1 keyword(s) hold separators"),
        ("one two three four five", "put commas between keywords"),
        ("words.lst", "look like a path"),
        (["/etc/passwd", "lists/hotwords", "C:\\words"], "3 keyword(s) look like a path"),
    ],
)
def test_what_is_odd_is_told(value, remark, caplog):
    remarks = Remarks()
    parse_value(value, remarks)
    remarks.tell()
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING and remark in warning.getMessage()


@pytest.mark.parametrize(
    "text", ["words.lst", "words.CSV", "data/x.abc", "lists/hotwords", "~/a", "my words.txt"]
)
def test_paths_are_told_from_words(text):
    assert looks_like_path(text)


@pytest.mark.parametrize(
    "text",
    ["AC/DC", "TCP/IP", "node.js", ".NET", "Booking.com", "and/or", "St. Gallen", "U.S.", "km/h", "", "/"],
)
def test_words_are_told_from_paths(text):
    assert not looks_like_path(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\nc", ["a", "b", "c"]),
        ("cell wall,xylem", ["cell wall", "xylem"]),
        ("阿里巴巴，达摩院", ["阿里巴巴", "达摩院"]),
        ("a 20 b 10", ["a", "b"]),
        ("a 20\nb 10\n", ["a", "b"]),
        ("a :2.0", ["a"]),
        ('{"a":20}', ["a"]),
        ("Windows 11 Linux", ["Windows", "11", "Linux"]),
    ],
)
def test_spaces_part_the_words_of_hotword(text, words):
    assert split_hotword(text, Remarks()) == words


def test_separators():
    assert split_hotwords(" a b ;c,d;;", ";") == ["a b", "c,d"]
    assert split_hotwords("\u3000a$b ", "$", blanks=" ") == ["\u3000a", "b"]
    assert split_dollars("a,b$c") == ["a,b", "c"]
    assert split_dollars("a,b c") == ["a", "b c"]


@pytest.mark.parametrize(
    "value",
    [
        *("xylem^2.0", "xylem=20", "xylem |20", "xylem (20)", "(xylem:1.5)", "xylem*2", "xylem@2.0"),
        "xylem :2.0 #0.35",
        *(
            ["xylem,20"],
            [["xylem", 20]],
            {"hotwords": {"xylem": 20}},
            {"version": 1, "words": [("xylem", 2)]},
        ),
    ],
)
def test_weights_in_other_marks_are_left_out_and_told(value, caplog):
    remarks = Remarks()
    assert parse_value(value, remarks) == ["xylem"]
    remarks.tell()
    assert "the weights of 1 keyword(s)" in caplog.text


def test_weights_of_words_between_spaces():
    assert split_hotword("xylem:20 leaf^2 root", Remarks()) == ["xylem", "leaf", "root"]


@pytest.mark.parametrize("word", ["xylem\tleaf", "xylem;leaf", "xylem|leaf", "xylem / leaf"])
def test_one_separator_in_a_keyword_is_told(word, caplog):
    remarks = Remarks()
    assert parse_value([word, "root"], remarks) == [word, "root"]
    remarks.tell()
    assert "hold separators" in caplog.text


def test_words_with_and_without_weights():
    assert parse_value(["root", ("xylem", 2), {"word": "leaf"}], Remarks()) == ["root", "xylem", "leaf"]
