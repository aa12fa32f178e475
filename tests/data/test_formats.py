from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funasr_sap.data.formats import FIELDS, FORMATS, convert
from funasr_sap.data.jsonl import write_jsonl
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

# What docs/formats.md promises, besides the id.
HOLDS = {
    "jsonl": set(FIELDS),
    "kaldi": {"source", "text", "hotwords", "keywords"},
    "funasr": {"source", "text", "speech_length", "text_length"},
    "sap2": {"source", "text", "hotwords"},
    "sap2-prune": {"source", "hotwords", "keywords"},
    "sap2-joint": {"source", "text", "hotwords", "keywords"},
    "tsv": {"text", "hotwords", "keywords"},
}
NEEDS = {
    "sap2-prune": {"hotwords", "keywords"},
    "sap2-joint": {"text", "hotwords", "keywords"},
    "tsv": {"text", "keywords"},
}
TRAPS = st.sampled_from(
    [
        "<|endofcontext|>", "<|startofcontext|>", "<|startofspeech|>!x.wav<|endofspeech|>", "<|im_end|>",
        "<audio>x</audio>", "none", "Paris, Texas", "，", "a$b", "[x]", '["', " ", "\t", "\n", "\r", "\u2028",
        "{", "select keywords", "Then Transcribe", "Selected keywords are: a.\nTranscription: b", "\ufeff",
        "!",
    ]
)  # fmt: skip
TEXT = st.lists(TRAPS | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=3).map(
    "".join
)
WORDS = st.lists(TEXT, max_size=4).map(tuple)
LENGTHS = st.integers(0, 2**31 - 1)
KNOWN = st.builds(
    Utterance,
    key=st.from_regex(r"[A-Za-z0-9_语音\-./]{1,12}", fullmatch=True),
    source=TEXT,
    text=TEXT,
    hotwords=WORDS,
    keywords=WORDS,
    speech_length=LENGTHS,
    text_length=LENGTHS,
)
UTTERANCES = st.lists(KNOWN, min_size=1, max_size=3, unique_by=lambda each: each.key)


def limited(utterance, *names):
    """What of an utterance several formats can all hold; Kaldi's files have no blanks around values."""
    unheld = {name: None for name in FIELDS if not all(name in HOLDS[each] for each in names)}
    utterance = replace(utterance, **unheld)
    if "kaldi" in names:
        stripped = {name: getattr(utterance, name) for name in ("source", "text")}
        stripped = {name: value and value.strip(" \t\r\n") for name, value in stripped.items()}
        utterance = replace(utterance, **stripped)
    return utterance


def fits(utterance, name):
    try:
        FORMATS[name].fit(utterance)
    except ValueError:
        return False
    return True


def read(path, name):
    problems = []
    utterances = list(FORMATS[name].read(path, problems))
    assert not problems
    return utterances


def ordered(utterances):
    return sorted(utterances, key=lambda each: each.key)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30)
@given(utterances=UTTERANCES)
def test_a_format_gives_back_what_it_holds(name, utterances, tmp_path_factory):
    path = tmp_path_factory.mktemp("format") / "data"
    fitting = [each for each in utterances if fits(each, name)]
    assert FORMATS[name].write(path, map(FORMATS[name].fit, fitting)) == len(fitting)
    if fitting:
        assert ordered(read(path, name)) == ordered(limited(each, name) for each in fitting)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@settings(max_examples=6)
@given(utterances=UTTERANCES)
def test_round_trip_of_every_pair(first, second, utterances, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    # Audio is given by wav.scp each time, for formats that name none.
    audio = {each.key: each.source for each in utterances}
    there = (folder / "first", folder / "second", FORMATS[first].read, FORMATS[second], audio)
    back = (folder / "second", folder / "back", FORMATS[second].read, FORMATS[first], audio)
    lacking = [NEEDS.get(first, set()) - HOLDS[second], NEEDS.get(second, set()) - HOLDS[first]]
    utterances = [each for each in utterances if fits(each, first)]
    if not lacking[1]:
        utterances = [e for e in utterances if fits(replace(limited(e, first), source=e.source), second)]
    if not utterances:
        return
    FORMATS[first].write(folder / "first", map(FORMATS[first].fit, utterances))
    for missing, way in zip(lacking[::-1], (there, back), strict=True):
        if missing:
            with pytest.raises(DataError, match="known"):
                convert(*way)
            assert not way[1].exists()
            return
        result = convert(*way)
        if way is there:
            assert set(result.dropped) == HOLDS[first] - HOLDS[second] | ({"source"} - HOLDS[second])
    expected = [limited(each, first, second) for each in utterances]
    if "source" in HOLDS[first]:
        sources = [limited(each, first).source for each in utterances]
        expected = [replace(each, source=source) for each, source in zip(expected, sources, strict=True)]
    assert ordered(read(folder / "back", first)) == ordered(expected)


def test_losses_are_counted_and_kaldi_takes_blanks_off(tmp_path):
    write_jsonl(
        tmp_path / "a.jsonl",
        [
            Utterance("u1", "a.wav", " hello ", ("x",), None, 10, 1),
            Utterance("u2", "b.wav", "there", (), None, None, 1),
        ],
    )
    result = convert(tmp_path / "a.jsonl", tmp_path / "kaldi", FORMATS["jsonl"].read, FORMATS["kaldi"])
    assert (result.written, result.bad) == (2, [])
    assert result.dropped == {"speech_length": 1, "text_length": 2} and result.changed == {"text": 1}
    assert (tmp_path / "kaldi" / "text").read_text() == "u1 hello\nu2 there\n"
    assert sorted(path.name for path in (tmp_path / "kaldi").iterdir()) == ["biasing_list", "text", "wav.scp"]


BAD = (
    '{"key": "u1", "source": "a.wav", "target": "fine"}\n{\n{"key": "u2"}\n{"key": "u3", "source": "c.wav"}\n'
)


def test_bad_lines_leave_an_old_output_as_it_was(tmp_path):
    (tmp_path / "a.jsonl").write_text(BAD)
    (tmp_path / "b.tsv").write_text("old")
    with pytest.raises(DataError, match=r"4 bad line\(s\)") as error:
        convert(tmp_path / "a.jsonl", tmp_path / "b.tsv", FORMATS["jsonl"].read, FORMATS["tsv"])
    for part in (
        "a.jsonl:2: not JSON",
        'a.jsonl:3: expected "messages"',
        "a.jsonl: 'u3': its text and its key",
    ):
        assert part in str(error.value)
    assert (tmp_path / "b.tsv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.tsv"]


def test_bad_lines_can_be_left_out(tmp_path):
    (tmp_path / "a.jsonl").write_text(BAD)
    ways = [tmp_path / "a.jsonl", tmp_path / "out", FORMATS["jsonl"].read]
    result = convert(*ways, FORMATS["funasr"], skip_bad=True)
    assert (result.written, len(result.bad)) == (2, 2)
    assert [each.key for each in read(tmp_path / "out", "funasr")] == ["u1", "u3"]
    with pytest.raises(DataError, match=r"4 bad line\(s\)"):  # nothing would be left
        convert(*ways, FORMATS["tsv"], skip_bad=True)


def test_audio_comes_from_a_table_by_id(tmp_path):
    (tmp_path / "a.tsv").write_text('u1\thello\t[]\nu2\tthere\t["there"]\t["there", "x"]\n')
    ways = [tmp_path / "a.tsv", tmp_path / "out", FORMATS["tsv"].read, FORMATS["jsonl"]]
    with pytest.raises(DataError, match="'u2': no audio is named; give its path with --wav-scp"):
        convert(*ways)
    with pytest.raises(DataError, match=r"1 bad line\(s\):\n.*'u2': not in the wav.scp"):
        convert(*ways, {"u1": "a.wav"})
    convert(*ways, {"u1": "a.wav", "u2": "b.wav", "u3": "c.wav"})
    assert read(tmp_path / "out", "jsonl") == [
        Utterance("u1", "a.wav", "hello", None, ()),
        Utterance("u2", "b.wav", "there", ("there", "x"), ("there",)),
    ]


def test_an_empty_data_set_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"a\.jsonl has no utterances"):
        convert(tmp_path / "a.jsonl", tmp_path / "out", FORMATS["jsonl"].read, FORMATS["sap2"])
    assert not (tmp_path / "out").exists()
