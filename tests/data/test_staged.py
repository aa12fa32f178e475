import itertools
import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funasr_sap.data.staged import format_table, prepare_staged_data
from funasr_sap.errors import ConfigError, DataError

TOOL = Path(__file__).parents[2] / "tools" / "prepare_staged_data.py"
KEYS = list(itertools.product(("general", "domain"), ("train", "val")))


def line(key, frames=100, kind="source"):
    if kind == "source":
        return json.dumps({"key": key, "source": f"{key}.wav", "source_len": frames, "target": "你好"})
    user = {"role": "user", "content": f"语音转写：<|startofspeech|>!{key}.wav<|endofspeech|>"}
    return json.dumps({"messages": [user], "key": key, "speech_length": frames}, ensure_ascii=False)


def make(folder, general=1000, domain=50, lengths=(), kind="source"):
    """Write the four files, val a tenth of train; `lengths` in frames."""
    lengths = itertools.chain(lengths, itertools.repeat(100))
    sizes = {"general": general, "domain": domain}
    files = {}
    for source, split in KEYS:
        size = sizes[source] if split == "train" else max(1, sizes[source] // 10)
        files[source, split] = folder / f"{source}_{split}.jsonl"
        rows = [line(f"{source}_{split}_{number}", next(lengths), kind) for number in range(size)]
        files[source, split].write_text("".join(row + "\n" for row in rows))
    return files


def read(path):
    return path.read_text().splitlines()


def count(path):
    return Counter("_".join(json.loads(row)["key"].split("_")[:2]) for row in read(path))


def test_default_stages(tmp_path):
    prepare_staged_data(make(tmp_path), tmp_path / "staged")
    expected = {1: (50, 50, 5, 5), 2: (12, 50, 1, 5), 3: (0, 50, 0, 5)}
    for stage, (general, domain, general_val, domain_val) in expected.items():
        train = count(tmp_path / f"staged/stage{stage}/train.jsonl")
        val = count(tmp_path / f"staged/stage{stage}/val.jsonl")
        assert train == Counter(general_train=general, domain_train=domain)
        assert val == Counter(general_val=general_val, domain_val=domain_val)
        assert len(set(read(tmp_path / f"staged/stage{stage}/train.jsonl"))) == general + domain


@settings(max_examples=30, deadline=None)
@given(
    ratio=st.tuples(st.integers(0, 100), st.integers(1, 100)),
    domain=st.integers(1, 30),
    general=st.integers(1, 100),
    by=st.sampled_from(["utterances", "hours"]),
    data=st.data(),
)
def test_ratios_are_exact(tmp_path_factory, ratio, domain, general, by, data):
    folder = tmp_path_factory.mktemp("staged")
    lengths = data.draw(st.lists(st.integers(0, 3000), min_size=150, max_size=150))
    files = make(folder, general, domain, lengths)
    parts = prepare_staged_data(
        files, folder / "out", [f"{ratio[0]}:{ratio[1]}"], by, seed=data.draw(st.integers(0, 3))
    )
    longest = 1 if by == "utterances" else max(lengths)
    for general_part, domain_part in zip(parts[::2], parts[1::2], strict=True):
        got, base = (
            (general_part.utterances, domain_part.utterances)
            if by == "utterances"
            else (general_part.frames, domain_part.frames)
        )
        wanted = base * ratio[0] / ratio[1]
        available = len(read(files["general", general_part.split]))
        assert abs(got - wanted) <= longest / 2 or (general_part.utterances == available and got < wanted)
        assert domain_part.utterances == len(read(files["domain", domain_part.split]))


@pytest.mark.parametrize("kind", ["source", "messages"])
def test_lines_are_copied_as_they_are(tmp_path, kind):
    files = make(tmp_path, kind=kind)
    for path in files.values():  # a byte order mark, Windows line ends, blank lines, no line end at the end
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n").rstrip())
    prepare_staged_data(files, tmp_path / "staged")
    originals = {row for path in files.values() for row in path.read_text(encoding="utf-8-sig").split("\n")}
    written = read(tmp_path / "staged/stage1/train.jsonl")
    assert len(written) == 100
    assert set(written) <= originals


def test_the_seed_decides(tmp_path):
    files = make(tmp_path)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare_staged_data(files, tmp_path / name, seed=seed)
    paths = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jsonl"))
    assert len(paths) == 6
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in paths)
    drawn = [set(read(tmp_path / name / "stage1/train.jsonl")) for name in "ac"]
    assert drawn[0] != drawn[1]


def test_a_small_general_set_is_used_once_and_said(tmp_path, caplog):
    files = make(tmp_path, general=10)
    prepare_staged_data(files, tmp_path / "staged", ["50:50", "0:100"])
    assert count(tmp_path / "staged/stage1/train.jsonl")["general_train"] == 10
    assert "stage 1 train, 50:50: the general set is too small, 50 utterances wanted" in caplog.text
    assert "stage 2" not in caplog.text
    caplog.clear()
    prepare_staged_data(files, tmp_path / "staged", ["50:50"], by="hours")
    assert "0.014 hours wanted; all of it, 0.003 hours, is used once" in caplog.text


@pytest.mark.parametrize("where", [("general", "val"), ("domain", "val"), ("general", "train")])
def test_an_id_is_in_one_file_only(tmp_path, where):
    files = make(tmp_path)
    with files[where].open("a") as stream:
        stream.write(line("domain_train_0") + "\n")
    with pytest.raises(DataError, match=r"the id 'domain_train_0' is in .*\.jsonl:\d+ already") as error:
        prepare_staged_data(files, tmp_path / "staged")
    assert "domain_train.jsonl:1" in str(error.value)
    assert not (tmp_path / "staged").exists()


def test_audio_is_on_one_side_only(tmp_path):
    files = make(tmp_path)
    again = {"key": "again", "source": "general_train_3.wav", "source_len": 1}
    with files["general", "train"].open("a") as stream:  # two tasks on one audio are no mistake
        stream.write(json.dumps(again) + "\n")
    prepare_staged_data(files, tmp_path / "staged")
    with files["domain", "val"].open("a") as stream:
        stream.write(json.dumps(again | {"key": "leak"}) + "\n")
    with pytest.raises(DataError, match=r"domain_val.jsonl:6: the audio 'general_train_3.wav' is in .*:4; "):
        prepare_staged_data(files, tmp_path / "staged")


def test_lines_without_key_are_told_apart_by_their_audio(tmp_path):
    files = make(tmp_path)
    for path, folder in ((files["domain", "train"], "x"), (files["domain", "val"], "y")):
        path.write_text(json.dumps({"source": f"{folder}/0001.wav"}) + "\n")
    prepare_staged_data(files, tmp_path / "staged")
    files["domain", "val"].write_text(json.dumps({"source": "x/0001.wav"}) + "\n")
    with pytest.raises(DataError, match=r"the id 'x/0001.wav' is in .*domain_train.jsonl:1 already"):
        prepare_staged_data(files, tmp_path / "staged")


def test_all_bad_lines_are_named(tmp_path):
    files = make(tmp_path, domain=2)
    with files["domain", "train"].open("ab") as stream:
        stream.write(b'{\n\xff\n{"key": "k"}\n[]\n{"key": "k", "source": "a.wav"}\n')
    with pytest.raises(DataError) as error:
        prepare_staged_data(files, tmp_path / "staged", by="hours")
    for number, reason in enumerate(
        ("not JSON", "'utf-8' codec", 'expected "messages"', "expected a JSON", "no speech"), 3
    ):
        assert f"domain_train.jsonl:{number}: {reason}" in str(error.value)


def test_bad_settings(tmp_path):
    files = make(tmp_path)
    for ratio, reason in (
        ("50", "expected general:domain"),
        ("100:0", "has no domain data"),
        ("-1:2", "expected"),
    ):
        with pytest.raises(ConfigError, match=reason):
            prepare_staged_data(files, tmp_path / "staged", [ratio])
    with pytest.raises(ConfigError, match="by is 'words'"):
        prepare_staged_data(files, tmp_path / "staged", by="words")
    files["domain", "val"].write_text("\n")
    with pytest.raises(DataError, match=r"no utterances in the domain set .*domain_val\.jsonl"):
        prepare_staged_data(files, tmp_path / "staged")


def test_table(tmp_path):
    parts = prepare_staged_data(
        make(tmp_path, lengths=itertools.cycle([90000])), tmp_path / "staged", ["20:80"]
    )
    assert format_table(parts).splitlines() == [
        "stage  split  general:domain  source   utterances  share   hours  share",
        "1      train  20:80           general          12  19.4%   3.000  19.4%",
        "1      train  20:80           domain           50  80.6%  12.500  80.6%",
        "1      val    20:80           general           1  16.7%   0.250  16.7%",
        "1      val    20:80           domain            5  83.3%   1.250  83.3%",
    ]


def test_hours_are_unknown_without_lengths(tmp_path):
    files = make(tmp_path)
    files["domain", "train"].write_text('{"key": "k", "source": "a.wav"}\n')
    row = format_table(prepare_staged_data(files, tmp_path / "staged")).splitlines()[2]
    assert row.split() == ["1", "train", "50:50", "domain", "1", "50.0%", "?", "?"]


@pytest.mark.parametrize(("dash", "kind"), [("-", "source"), ("_", "messages")])
def test_tool(tmp_path, capsys, dash, kind):
    files = make(tmp_path, kind=kind)
    main = runpy.run_path(str(TOOL))["main"]
    arguments = [f"--{source}{dash}{split}={files[source, split]}" for source, split in KEYS]
    main([*arguments, f"--output{dash}dir={tmp_path}/staged", "--ratios", "50:50", "0:100", "--by", "hours"])
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * 2 * 2
    assert sorted(path.name for path in (tmp_path / "staged").iterdir()) == ["parts.json", "stage1", "stage2"]
