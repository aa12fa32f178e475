"""Hotwords as users give them to ``generate``, from a string to lists by utterance id."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from funasr_sap.data.kaldi import read_biasing_list, write_biasing_list
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.hotwords import assign_hotwords, read_hotwords
from funasr_sap.request import Request


@pytest.fixture
def kept(model, wavs):
    """The keywords of the first utterance, when the LLM gets all that are given."""
    return lambda value: model.generate(wavs[0], prune="none", hotwords=value)[0]["keywords"]


@pytest.mark.parametrize("count", [1, 3])
def test_one_list_of_hotwords_for_all(count, model, wavs, hotwords, tmp_path):
    three = hotwords[:3]
    (tmp_path / "words.txt").write_text("\n".join(three), encoding="utf-8-sig")
    (tmp_path / "words").write_text("\r\n".join(three) + "\r\n", encoding="utf-8")
    files = [str(tmp_path / "words.txt"), tmp_path / "words"]
    texts = [",".join(three), ", ".join(three), "\n".join(three), "\n".join(three) + "\n"]
    for given in [three, tuple(three), np.array(three), *texts, *files]:
        for result in model.generate(wavs[:count], hotwords=given):
            assert result["keywords"] == three


def test_hotword_is_the_older_name(model, wavs, hotwords, tmp_path):
    three = hotwords[:3]
    (tmp_path / "words.txt").write_text("\n".join(three), encoding="utf-8")
    for given in (" ".join(three), str(tmp_path / "words.txt"), three):
        assert model.generate(wavs[0], hotword=given)[0]["keywords"] == three
    assert model.generate(wavs[0], hotwords="", hotword=three)[0]["keywords"] == three
    with pytest.raises(DataError, match="hotwords: got hotword as well"):
        model.generate(wavs[0], hotword="a", hotwords=["b"])


def test_hotwords_for_each(model, speech_dir, speech_wavs, wavs, tmp_path):
    lists = [list(each.hotwords) for each in speech_wavs]
    table = {each.key: list(each.hotwords) for each in speech_wavs}
    (tmp_path / "lists.jsonl").write_text(
        "\n".join(json.dumps({"key": key, "hotwords": words}) for key, words in table.items()),
        encoding="utf-8",
    )
    wanted = model.generate(wavs, hotwords=lists)
    for result, utterance in zip(wanted, speech_wavs, strict=True):
        assert result["keywords"] and set(result["keywords"]) <= set(utterance.hotwords)
    reversed_table = dict(reversed(table.items()))
    files = [str(speech_dir / "biasing_list"), speech_dir / "biasing_list", tmp_path / "lists.jsonl"]
    for given in [
        table,
        reversed_table,
        tuple(map(tuple, lists)),
        [",".join(each) for each in lists[:-1]] + lists[-1:],
        *files,
    ]:
        assert model.generate(wavs, hotwords=given) == wanted
    pair = (str(speech_dir / "wav.scp"), str(speech_dir / "biasing_list"))
    assert model.generate(pair, data_type=("sound", "text")) == wanted
    assert model.generate((wavs, lists), data_type=["sound", "text"]) == wanted
    assert model.generate((wavs, ["$".join(each) for each in lists]), data_type=("sound", "text")) == wanted


def test_empty_lists_for_each(model, wavs, hotwords, tmp_path):
    keys = [Path(wav).stem for wav in wavs[:2]]
    write_biasing_list(tmp_path / "biasing_list", {key: [] for key in keys})
    for given in (
        None,
        [],
        "",
        [[], []],
        [None, None],
        tmp_path / "biasing_list",
        {key: None for key in keys},
    ):
        assert [result["keywords"] for result in model.generate(wavs[:2], hotwords=given)] == [[], []]
    results = model.generate(wavs[:2], hotwords=[[], hotwords[:2]])
    assert [result["keywords"] for result in results] == [[], hotwords[:2]]


def test_a_file_of_keywords_that_begins_like_an_utterance(model, wavs, tmp_path):
    shutil.copy(wavs[0], tmp_path / "water.wav")
    words = ["water power", "steam engine", "water"]
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    for path in (tmp_path / "words.txt", str(tmp_path / "words.txt")):
        result = model.generate(tmp_path / "water.wav", hotwords=path, prune="none")[0]
        assert result["keywords"] == words


def test_lists_that_do_not_fit_are_refused(model, speech_dir, wavs, tmp_path):
    lists = read_biasing_list(speech_dir / "biasing_list")
    first = next(iter(lists))
    write_biasing_list(
        tmp_path / "biasing_list.others", {f"other-{key}": words for key, words in lists.items()}
    )
    write_biasing_list(
        tmp_path / "biasing_list.fewer", {key: words for key, words in lists.items() if key != first}
    )
    for given, message in (
        ([["a"], ["b"]], "hotwords: got 2 biasing lists for 12 utterance"),
        (tmp_path / "biasing_list.others", f"no biasing list for 12 utterance(s), first {first!r}"),
        (str(tmp_path / "biasing_list.fewer"), f"no biasing list for 1 utterance(s), first {first!r}"),
        ({}, "no biasing list for 12 utterance"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            model.generate(wavs, hotwords=given)
    for data, words in (((wavs,), None), (wavs[0], None), ((wavs, ["a"]), ["b"])):
        with pytest.raises(DataError, match=r"input: expected \(audio, biasing lists\) alone"):
            model.generate(data, data_type=("sound", "text"), hotwords=words)
    with pytest.raises(ConfigError, match="data_type"):
        model.generate((wavs, wavs), data_type=("text", "sound"))


def test_lists_by_utterance_id_are_told_by_name_alone(model, wavs, hotwords, tmp_path, caplog):
    keys = [Path(wav).stem for wav in wavs[:2]]
    table = {keys[0]: hotwords[:2], keys[1]: hotwords[2:4]}
    for name in ("biasing_list.N100", "my_biasing_list.txt", "lists", "lists.txt"):
        write_biasing_list(tmp_path / name, table)
    for name, given in (
        ("hotwords", tmp_path / "biasing_list.N100"),
        ("hotwords", str(tmp_path / "my_biasing_list.txt")),
        ("biasing_list", tmp_path / "lists"),
        ("biasing_list", str(tmp_path / "lists.txt")),
        ("biasing_list", table),
    ):
        results = model.generate(wavs[:2], **{name: given})
        assert [result["keywords"] for result in results] == [*table.values()]
    assert not caplog.records
    lines = (tmp_path / "lists").read_text(encoding="utf-8").splitlines()
    assert read_hotwords(tmp_path / "lists") == lines
    (warning,) = caplog.records
    assert "look like a biasing list by utterance id" in warning.getMessage()
    assert "biasing_list=FILE" in warning.getMessage()
    with pytest.raises(DataError, match="biasing_list: no such file"):
        read_hotwords(biasing_list=tmp_path / "none")
    with pytest.raises(DataError, match="hotwords: got biasing_list as well"):
        read_hotwords("a", biasing_list=tmp_path / "lists")


def test_a_pair_parts_texts_at_dollars(model, wavs, hotwords):
    text = "$".join(hotwords[:2])
    for pair in ((wavs[0], text), ([wavs[0]], text), ([wavs[0]], [text])):
        (result,) = model.generate(pair, data_type=("sound", "text"))
        assert result["keywords"] == hotwords[:2]


@pytest.mark.parametrize("name", ["passwd", "words.lst"])
def test_a_string_is_no_path(name, kept, model, wavs, tmp_path, caplog):
    path = tmp_path / name
    path.write_text("secret\n")
    for given in (str(path), [str(path)], {Path(wavs[0]).stem: str(path)}, [[str(path)]]):
        caplog.clear()
        assert kept(given) == [str(path)]
        (warning,) = caplog.records
        assert "no file is read; give pathlib.Path" in warning.getMessage()
    for own in (str(path), [str(path)]):
        requests = [Request("utt", wavs[0], own)]
        assert model.generate(requests, prune="none")[0]["keywords"] == [str(path)]
    assert kept(path) == ["secret"]


def test_a_string_that_names_a_list_is_read_as_funasr_does(kept, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("secret\n")
    Path("words.json").write_text('["secret"]')
    with caplog.at_level(logging.INFO, logger="funasr_sap.hotwords"):
        for name in ("words.txt", "words.json", "./words.txt"):
            caplog.clear()
            assert kept(name) == ["secret"]
            assert [each.getMessage() for each in caplog.records] == [f"hotwords: reading the file {name}"]
    assert kept(["words.txt"]) == kept([["words.txt"]]) == ["words.txt"]


def test_a_missing_file_with_another_suffix_is_told(kept, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("lectures").mkdir()
    for name in ("words.lst", "words.csv", "lists/hotwords", "lectures/one"):
        caplog.clear()
        assert kept(name) == [name]
        assert [
            f"the first is {name!r}; it is taken as a word" in each.getMessage() for each in caplog.records
        ] == [True]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("HTTPS://host/words.txt", "is a URL, and URLs are not read; download it and give the file"),
        ("s3://bucket/words", "URLs are not read"),
        ("none.txt", "hotwords: no such file: none.txt"),
        ("x/biasing_list", "hotwords: no such file: x/biasing_list"),
        (Path("none"), "hotwords: no such file: none"),
        ({"xylem": ["a"]}, "go by utterance id, and the keys given begin with 'xylem'; keywords for all"),
    ],
)
def test_what_cannot_be_read(value, message, kept):
    with pytest.raises(DataError, match=re.escape(message)):
        kept(value)


def test_words_with_dots_and_slashes_are_words(kept, caplog):
    for word in ("AC/DC", "node.js", ".NET", "TCP/IP", "Booking.com", "and/or", "3:16", "R&D", "C++"):
        assert kept(word) == kept([word]) == [word]
    assert not caplog.records


def test_full_width_letters_are_written_as_given(model, speech_wavs, wavs):
    word = speech_wavs[0].keywords[0]
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in word)
    (narrow,) = model.generate(wavs[0], hotwords=[word])
    (result,) = model.generate(wavs[0], hotwords=[wide])
    assert narrow["keywords"] == [word] and result["keywords"] == [wide]
    assert result["keyword_scores"] == narrow["keyword_scores"]
    assert result["text"] == re.sub(rf"\b{word}\b", wide, narrow["text"])


def test_a_row_before_the_call_before_the_model(model_dir, wavs, caplog):
    from funasr_sap import AutoModel

    built = AutoModel(model=model_dir, ncpu=1, disable_pbar=True, hotwords=["default"], prune="none")
    assert not {"hotwords", "hotword"} & {*built.kwargs}  # FunASR would copy them in each call
    rows = [Request("a", wavs[0], ["own"]), Request("b", wavs[1]), Request("c", wavs[2], [])]
    caplog.clear()

    def keywords(**call):
        return [result["keywords"] for result in built.generate(rows, **call)]

    assert keywords() == [["own"], ["default"], ["default"]]
    assert not caplog.records
    assert keywords(hotwords=["call"]) == keywords(hotword="call") == [["own"], ["call"], ["call"]]
    assert "1 of 3 utterance(s) bring a list of their own" in caplog.text
    assert keywords(hotwords=[]) == [["own"], [], []]
    assert keywords(biasing_list={"b": "x,y", "c": None}) == [["own"], ["x", "y"], []]
    assert keywords(hotwords=[["p"], ["q"], "r"]) == [["own"], ["q"], ["r"]]


def test_a_default_list_is_read_once(model_dir, wavs, tmp_path):
    from funasr_sap import AutoModel

    (tmp_path / "words.txt").write_text("xylem\n")
    built = AutoModel(model=model_dir, ncpu=1, disable_pbar=True, hotwords=tmp_path / "words.txt")
    (tmp_path / "words.txt").unlink()
    assert built.generate(wavs[0], prune="none")[0]["keywords"] == ["xylem"]
    lists = assign_hotwords(["a", "b"], None, [None, None], built.default_hotwords)
    assert lists[0] is lists[1] is built.default_hotwords


def test_a_list_that_utterances_share_is_read_once():
    words, other = ["leaf"], ["light"]
    lists = assign_hotwords(["a", "b", "c"], read_hotwords([words, other, words]))
    assert lists == [["leaf"], ["light"], ["leaf"]] and lists[0] is lists[2]
    for value in ({"a": words, "b": words}, words):
        lists = assign_hotwords(["a", "b"], read_hotwords(value))
        assert lists[0] is lists[1]
    lists = assign_hotwords(["a", "b"], own=[words, words])
    assert lists[0] is lists[1]


def test_weights_of_many_lists_are_told_once(caplog):
    lists = assign_hotwords(["a", "b"], read_hotwords([["x 20", "y 10"], "z :2.0"]))
    assert lists == [["x", "y"], ["z"]]
    (warning,) = caplog.records
    assert "the weights of 3 keyword(s) are left out" in warning.getMessage()
