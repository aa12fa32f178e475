import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data import json_array
from funasr_sap.data.json_array import iter_array

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def entries(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = []
    return list(iter_array(path, problems)), [problem.partition(".json:")[2] for problem in problems]


@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 0, 2]), chunk=st.integers(1, 40))
def test_entries_are_those_of_json(values, indent, chunk, tmp_path_factory):
    text = json.dumps(values, indent=indent)
    path = tmp_path_factory.mktemp("array") / "a.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK", chunk)  # so that entries lie across what is read at a time
        found, problems = entries(path, f"\ufeff {text} \n")
    assert [json.loads(entry) for _, entry in found] == values and not problems
    for line, entry in found:
        assert entry.splitlines()[0] in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("text", "good", "problem"),
    [
        ('[{"a": 1},\n{"a": 2]\n', 1, "2: not JSON: Expecting ',' delimiter"),
        ('[{"a": 1},\n{"a": 2}\n', 2, "3: not JSON: cut off"),
        ('[{"a": 1},\n\n{"a": "x', 1, "3: not JSON: Unterminated string starting at"),
        ('[{"a": 1}\n{"a": 2}]', 1, "2: not JSON: expected ']', got '{'"),
        ('[{"a": 1},\n]', 1, "2: not JSON: Expecting value"),
        ("[1e5,\n1.5ex]", 2, "2: not JSON: expected ']', got 'e'"),
        ('[1] \n 2', 1, "2: not JSON: text after the end of the array"),
        ("{}", 0, "1: not JSON: expected '[', got '{'"),
        ("[" + "[" * 100_000, 0, "1: not JSON: nested too deeply"),
        (b"[1,\n2,\n\xff]", 0, "1: in this line or after it are bytes that are not UTF-8"),
    ],
)  # fmt: skip
def test_where_it_ends_is_named(tmp_path, text, good, problem):
    found, problems = entries(tmp_path / "a.json", text)
    assert (len(found), problems) == (good, [problem])


def test_memory_does_not_grow_with_the_file(tmp_path):
    import tracemalloc

    path = tmp_path / "large.json"
    with path.open("w") as stream:
        stream.write("[" + ",".join([json.dumps({"text": "x" * 10_000})] * 3000) + "]")
    tracemalloc.start()
    assert sum(1 for _ in iter_array(path, [])) == 3000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 30e6 and peak < 8e6
