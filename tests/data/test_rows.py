import json

import openpyxl
import pytest

from funasr_sap.data.rows import Row, read_rows
from funasr_sap.errors import ConfigError, DataError

TABLE = [{"File": "001.wav", "Text": "你好, world"}, {"File": "002.wav", "Text": "two"}]


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def excel(path, sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def fields(path, **more):
    return [row.fields for row in read_rows(path, **more)]


def test_text_lines(tmp_path):
    path = write(
        tmp_path / "a.txt", "\ufeff001.wav one two\r\n\nmy talk 2.wav\tthree four\n003　五 六\n004\n"
    )
    assert read_rows(path) == [
        Row(f"{path}:1", {"audio": "001.wav", "text": "one two"}),
        Row(f"{path}:3", {"audio": "my talk 2.wav", "text": "three four"}),
        Row(f"{path}:4", {"audio": "003", "text": "五 六"}),
        Row(f"{path}:5", {"audio": "004", "text": ""}),
    ]


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "1.txt", "first line\n second line \n")
    write(tmp_path / "a.txt", "")
    assert fields(tmp_path) == [
        {"audio": "a", "text": ""},
        {"audio": "b/1", "text": "first line second line"},
    ]


@pytest.mark.parametrize(("suffix", "sign"), [("csv", ","), ("tsv", "\t")])
def test_tables(tmp_path, suffix, sign):
    rows = [["File", "Text", ""], ["001.wav", '"你好, world"', ""], ["", "", ""], [" 002.wav ", "two"]]
    path = write(tmp_path / f"a.{suffix}", "\ufeff" + "".join(sign.join(row) + "\r\n" for row in rows))
    assert fields(path) == TABLE
    assert read_rows(path)[1].place == f"{path}:4"


def test_a_cell_may_have_line_breaks(tmp_path):
    path = write(tmp_path / "a.csv", 'File,Text\n1,"two\nlines"\n2,x\n')
    assert [row.place for row in read_rows(path)] == [f"{path}:3", f"{path}:4"]
    assert fields(path)[0]["Text"] == "two\nlines"


def test_excel(tmp_path):
    rows = [["File", "Text"], ["001.wav", "你好, world"], [None, None], ["002.wav", "two"]]
    path = excel(tmp_path / "a.xlsx", {"first": rows, "second": [["n"], [7]]})
    assert fields(path) == TABLE
    assert read_rows(path)[1].place == f"{path}, row 4"
    assert fields(path, sheet="second") == [{"n": "7"}]
    with pytest.raises(ConfigError, match="has no sheet 'x'; it has 'first', 'second'"):
        read_rows(path, sheet="x")
    with pytest.raises(DataError, match="is not an Excel file"):
        read_rows(write(tmp_path / "b.xlsx", "File,Text\n"))


def test_json(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(TABLE))
    assert fields(path) == TABLE
    path = write(tmp_path / "b.json", '{"x/1.wav": "one", "2": {"sentence": "two", "key": "k"}}')
    assert fields(path) == [
        {"key": "1", "audio": "x/1.wav", "text": "one"},
        {"key": "k", "audio": "2", "sentence": "two"},
    ]


def test_jsonl_and_chatml(tmp_path):
    user = {"role": "user", "content": "语音转写：<|startofspeech|>!a/1.wav<|endofspeech|>"}
    chat = {"messages": [user, {"role": "assistant", "content": "one"}], "hotwords": ["x"], "speaker": 3}
    plain = {"audio": {"path": "2.wav"}, "sentence": ""}
    rows = read_rows(write(tmp_path / "a.jsonl", f"{json.dumps(chat)}\n{json.dumps(plain)}\n"))
    names = ("key", "audio", "text", "hotwords", "speaker")
    assert [rows[0].get(name) for name in names] == ["1", "a/1.wav", "one", ("x",), 3]
    names = ("audio.path", "sentence", "a.b", "sentence.x")
    assert [rows[1].get(name) for name in names] == ["2.wav", "", None, None]


def test_all_bad_lines_are_named(tmp_path):
    with pytest.raises(DataError, match=r"3 bad line\(s\)") as error:
        read_rows(write(tmp_path / "a.jsonl", '{\n[1]\n{"messages": 1}\n{"audio": "x"}\n'))
    for number, reason in ((1, "not JSON"), (2, "expected a JSON object"), (3, '"messages" is')):
        assert f"a.jsonl:{number}: {reason}" in str(error.value)
    with pytest.raises(DataError, match=r"a.csv:2: 3 cells, expected 2 \(File, Text\)"):
        read_rows(write(tmp_path / "a.csv", "File,Text\n1,one, two\n"))
    with pytest.raises(DataError, match="two columns are named Text"):
        read_rows(write(tmp_path / "a.csv", "File,Text,Text\n1,2,3\n"))
    (tmp_path / "a.csv").write_bytes("文件,文本\n".encode("gbk"))
    with pytest.raises(DataError, match="byte 1 is not UTF-8; save the table as CSV UTF-8"):
        read_rows(tmp_path / "a.csv")


def test_nothing_to_read(tmp_path):
    for path in (tmp_path, write(tmp_path / "a.csv", "File,Text\n"), write(tmp_path / "a.jsonl", "\n")):
        with pytest.raises(DataError, match="has no utterances"):
            read_rows(path)
    with pytest.raises(ConfigError, match=r"ends in '.docx', expected a folder or one of"):
        read_rows(tmp_path / "a.docx")
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "none.txt")
