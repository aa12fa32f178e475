import random
import runpy
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.data.biasing import (
    common_words,
    draw_biasing_list,
    make_biasing_lists,
    make_shared_list,
    rare_words,
    read_words,
)
from funasr_sap.data.biasing_tsv import iter_biasing_tsv
from funasr_sap.data.kaldi import read_biasing_list
from funasr_sap.errors import DataError

IS21 = Path(__file__).parents[3] / "shared" / "data" / "is21_deep_bias"
POOL = [f"word{number}" for number in range(1000)]


def load_tool():
    return runpy.run_path(str(Path(__file__).parents[2] / "tools" / "make_biasing_lists.py"))["main"]


@given(
    rare=st.lists(st.sampled_from(POOL), max_size=5),
    exclude=st.sets(st.sampled_from(POOL), max_size=20),
    num=st.integers(0, 60),
    size=st.sampled_from([85, 100, 300, 1000]),
    seed=st.integers(0, 10),
)
def test_lists_have_the_rare_words_and_num_others(rare, exclude, num, size, seed):
    words = draw_biasing_list(rare, POOL[:size], num, random.Random(seed), exclude)
    assert len(words) == len(set(words)) == len(set(rare)) + num
    assert set(rare) <= set(words)
    assert not (set(words) - set(rare)) & exclude
    assert words == draw_biasing_list(rare, POOL[:size], num, random.Random(seed), exclude)


def test_case_makes_no_difference():
    words = draw_biasing_list(["Alpha"], ["ALPHA", "beta", "Beta", "GAMMA"], 1, random.Random(1), ["gamma"])
    assert sorted(words)[0] == "Alpha"
    assert sorted(words)[1].casefold() == "beta"


def test_all_that_is_left_can_be_drawn():
    words = draw_biasing_list([], POOL, 999, random.Random(0), ["word7"])
    assert sorted(words) == sorted(set(POOL) - {"word7"})
    with pytest.raises(DataError, match="1000 distractors wanted, but only 999 of the 1000 words"):
        draw_biasing_list([], POOL, 1000, random.Random(0), ["word7"])


def test_a_pool_of_repetitions_ends():
    assert sorted(draw_biasing_list([], ["a"] * 1000 + ["b"], 2, random.Random(0))) == ["a", "b"]
    with pytest.raises(DataError, match="only 2 of the 1001 words"):
        draw_biasing_list([], ["a"] * 1000 + ["b"], 3, random.Random(0))


def test_every_distractor_is_as_likely():
    rng = random.Random(0)
    counts = dict.fromkeys(POOL[:20], 0)
    for _ in range(2000):
        for word in draw_biasing_list([], POOL[:20], 5, rng):
            counts[word] += 1
    assert all(400 < count < 600 for count in counts.values())


def test_drawing_from_a_large_pool_is_fast():
    pool = [f"word{number}" for number in range(100_000)]
    rng = random.Random(0)
    start = time.perf_counter()
    for _ in range(10):
        draw_biasing_list(["word1"], pool, 2000, rng)
    assert (time.perf_counter() - start) / 10 < 0.05


def test_lists_do_not_depend_on_other_utterances():
    both = make_biasing_lists({"a": ["x"], "b": ["y"]}, POOL, 20, seed=3)
    assert make_biasing_lists({"b": ["y"]}, POOL, 20, seed=3) == {"b": both["b"]}
    assert make_biasing_lists({"b": ["y"]}, POOL, 20, seed=4) != {"b": both["b"]}
    assert sorted(both["a"])[:20] != sorted(both["b"])[:20]


def test_lists_stay_the_same_between_versions():
    assert make_biasing_lists({"u1": ["x"]}, POOL, 3) == {"u1": ["x", "word966", "word740", "word732"]}


def test_what_is_spoken_is_no_distractor():
    pool = ["neural", "neural network", "network", "deep neural", "机器", "学习机", "c++", "other", "它"]
    texts = {"u": "Deep  NEURAL network, in C++: 机器学习"}
    lists = make_biasing_lists({"u": []}, pool, 3, texts=texts)
    assert sorted(lists["u"]) == ["other", "学习机", "它"]
    with pytest.raises(DataError, match="u: 4 distractors wanted, but only 3 of the 9 words"):
        make_biasing_lists({"u": []}, pool, 4, texts=texts)
    assert "network" not in make_biasing_lists({"u": ["neural network"]}, pool, 6)["u"]


def test_ids_without_partner_are_all_named():
    with pytest.raises(DataError) as error:
        make_biasing_lists({"a": [], "b": []}, POOL, 1, texts={"b": "", "c": ""})
    assert "a: has keywords, no text" in str(error.value)
    assert "c: has a text, no keywords" in str(error.value)


def test_read_words(tmp_path):
    path = tmp_path / "words"
    path.write_bytes("\ufeffone\r\ntwo words \n\none\n".encode())
    assert read_words(path) == ["one", "two words"]
    path.write_bytes(b"\n")
    with pytest.raises(DataError, match="has no words"):
        read_words(path)
    path.write_bytes(b"ok\n\xff\n")
    with pytest.raises(DataError, match="words:2: byte 1"):
        read_words(path)


def test_common_words_are_sorted_by_count_then_spelling():
    texts = ["b a c a", "", "c  b d"]
    assert common_words(texts, 9) == ["a", "b", "c", "d"]
    assert common_words(texts, 2) == ["a", "b"]
    assert common_words([], 5) == []


def test_rare_words_are_those_beyond_the_common_ones():
    assert rare_words("the cat the hat a cat", {"the", "a"}) == ["cat", "hat"]
    assert rare_words("", {"the"}) == []


@pytest.mark.skipif(not IS21.is_dir(), reason="needs shared/data/is21_deep_bias, which no clone has")
def test_rare_words_are_those_of_the_published_lists():
    common = set(read_words(IS21 / "words" / "common_words_5k.txt"))
    problems = []
    published = list(iter_biasing_tsv(IS21 / "ref" / "test-clean.biasing_100.tsv", problems))
    assert not problems and len(published) == 2620
    for each in published:
        assert set(rare_words(each.text, common)) == set(each.keywords)


def test_tool(tmp_path, capsys):
    (tmp_path / "keywords").write_text("u2 rare one$two\nu1\n")
    (tmp_path / "text").write_text("u1 nothing here\nu2 the rare one two\n")
    (tmp_path / "words").write_text("\n".join(["the", "nothing", *POOL]))
    files = [f"--{name}={tmp_path / name}" for name in ("keywords", "text")]
    load_tool()([*files, f"--distractors={tmp_path}/words", "--num=50", f"--output={tmp_path}/list"])
    lists = read_biasing_list(tmp_path / "list")
    assert {utt_id: len(words) for utt_id, words in lists.items()} == {"u1": 50, "u2": 52}
    assert "2 biasing lists" in capsys.readouterr().out


def test_a_shared_list_has_all_rare_words_and_distractors_that_nobody_says():
    keywords, texts = {"a": ["x", "y"], "b": ["y"]}, {"a": "x y word1", "b": "word2 y"}
    words = make_shared_list(keywords, POOL, 998, texts=texts)
    assert sorted(words) == sorted(["x", "y", *POOL[:1], *POOL[3:]])
    assert words == make_shared_list(keywords, POOL, 998, texts=texts)
    with pytest.raises(DataError, match="999 distractors wanted"):
        make_shared_list(keywords, POOL, 999, texts=texts)


def test_the_tool_writes_a_shared_list(tmp_path):
    (tmp_path / "keywords").write_text("a x$y\nb\n")
    (tmp_path / "words").write_text("".join(f"{word}\n" for word in POOL))
    arguments = [f"--{name}={tmp_path / name}" for name in ("keywords", "output")]
    load_tool()([*arguments, f"--distractors={tmp_path / 'words'}", "--num=5", "--shared"])
    words = (tmp_path / "output").read_text().splitlines()
    assert len(words) == 7 and {"x", "y"} < set(words)
