import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funasr_sap.data import jsonl_index
from funasr_sap.data.jsonl import read_jsonl, write_jsonl
from funasr_sap.data.jsonl_index import UNKNOWN, JsonlIndex
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

UTTERANCES = st.lists(
    st.builds(
        Utterance,
        key=st.from_regex(r"[a-z语]{1,6}", fullmatch=True),
        source=st.just("a.wav"),
        text=st.text(st.characters(exclude_categories=["Cs"])),
        hotwords=st.none() | st.lists(st.text(max_size=5)).map(tuple),
        speech_length=st.none() | st.integers(0, 2**31 - 1),
        text_length=st.none() | st.integers(0, 2**31 - 1),
    ),
    unique_by=lambda each: each.key,
    max_size=8,
)


@settings(max_examples=40)
@given(utterances=UTTERANCES, buckets=st.sampled_from([1, 3, 2**32]))
def test_it_gives_what_the_file_has(utterances, buckets, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "a.jsonl"
    write_jsonl(path, utterances)
    content = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf\n" * (len(content) % 2) + content.replace(b"\n", b"\r\n \n"))
    with pytest.MonkeyPatch.context() as patch:  # few buckets: ids of equal hash are told apart
        crc = jsonl_index.zlib.crc32
        patch.setattr(jsonl_index, "_hash", lambda utt_id: crc(utt_id.encode()) % buckets)
        index = pickle.loads(pickle.dumps(JsonlIndex(path)))
        assert len(index) == len(utterances)
        assert list(index) == utterances == read_jsonl(path)
        assert [index.find(each.key) for each in utterances] == list(range(len(utterances)))
        with pytest.raises(DataError, match="has no utterance 'Z'"):
            index.find("Z")
    for name in ("speech_length", "text_length"):
        expected = [getattr(each, name) for each in utterances]
        found = getattr(index, f"{name}s").tolist()
        assert found == [UNKNOWN if length is None else length for length in expected]


def line(key, **more):
    return json.dumps({"key": key, "source": "a.wav", **more}) + "\n"


def test_every_bad_line_is_named_or_left_out(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    path.write_text(
        line("a", speech_length=1) + "{\n" + line("b") + line("a") + line("c", hotwords=[1]) + line("d")
    )
    with pytest.raises(DataError, match=r"3 bad line\(s\)") as error:
        JsonlIndex(path)
    for part in ("2: not JSON", "4: the id 'a' is on line 1 already", "5: expected a list of words"):
        assert f"a.jsonl:{part}" in str(error.value)
    index = JsonlIndex(path, skip_bad=True)
    assert [each.key for each in index] == ["a", "b", "d"] and index.find("d") == 2
    assert index.speech_lengths.tolist() == [1, -1, -1]
    assert "3 bad line(s)" in caplog.text


def test_a_file_that_changed_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(line("a") + line("b"))
    index = JsonlIndex(path)
    path.write_text("x" + line("a") + line("b"))
    with pytest.raises(DataError, match=r"a\.jsonl has changed since it was indexed"):
        index[0]


def test_an_array_has_no_lines(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(f"\n [{line('a')}]")
    with pytest.raises(DataError, match="is a JSON array, expected lines; convert it"):
        JsonlIndex(path)
