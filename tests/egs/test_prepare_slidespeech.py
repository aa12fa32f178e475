import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi, read_segments
from funasr_sap.data.mini_corpus import make_corpus

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "egs" / "slidespeech" / "local" / "prepare_slidespeech.py"
FILES = ("segments", "text", "keywords")


def prepare(root, output, *options):
    command = [sys.executable, SCRIPT, "--corpus", "S95", "--data-root", root, "--output-dir", output]
    command += options
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The published layout, from three small corpora of talks: what the slides offer is in `keywords`."""
    folder = tmp_path_factory.mktemp("slidespeech")
    for split, published in (("train", "S95"), ("dev", "dev"), ("test", "test")):
        source = folder / "mini" / split
        make_corpus(source, split, utterances=14 if split == "test" else 6, seed=1, jobs=1, talks=True)
        target = folder / "corpus" / "related_files" / published
        target.mkdir(parents=True)
        talks = source / "talks"
        shutil.copyfile(talks / "segments", target / "segments")
        shouted = (
            f"{utt_id}  {text.upper().replace(' ', ',  ', 1)}.\n"
            for utt_id, text in read_kaldi(talks / "text").items()
        )
        (target / "text").write_text("".join(shouted), encoding="utf-8")
        shutil.copyfile(talks / "biasing_list", target / "keywords")
        shutil.copytree(talks / "wav", folder / "corpus" / "wav" / split)
    return folder


@pytest.fixture
def corpus(made, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(made / "corpus", tmp_path / "corpus"))


def cleaned(words):
    """What clean-up makes of the mini corpus' words: ASCII, no apostrophes."""
    return list(dict.fromkeys(filter(None, (re.sub(r"[^a-z0-9]", "", word.lower()) for word in words))))


def test_sets_are_written(made, tmp_path):
    done = prepare(made / "corpus", tmp_path)
    assert done.returncode == 0, done.stderr
    for split in ("train", "dev", "test"):
        source = made / "mini" / split
        assert read_kaldi(tmp_path / split / "text") == read_kaldi(source / "text")
        written = read_biasing_list(tmp_path / split / "biasing_list")
        offered = read_biasing_list(source / "biasing_list")
        assert written == {utt_id: cleaned(words) for utt_id, words in offered.items()}
        assert read_biasing_list(tmp_path / split / "biasing_list.slides1") == written
        spoken = read_biasing_list(tmp_path / split / "keywords")
        for utt_id, rare_words in read_biasing_list(source / "keywords").items():
            # OCR may have misread a rare word; a common word of a slide is a keyword too.
            assert set(rare_words) & set(written[utt_id]) <= set(spoken[utt_id]) <= set(written[utt_id])
    words = (tmp_path / "distractors").read_text(encoding="utf-8").splitlines()
    lists = read_biasing_list(tmp_path / "train" / "biasing_list").values()
    assert words == sorted({word for each in lists for word in each})


def test_clean_up_keeps_letters_digits_and_apostrophes(corpus, tmp_path):
    folder = corpus / "related_files" / "dev"
    utt_id = next(iter(read_kaldi(folder / "text")))
    for name, line in (
        ("text", "IT'S  the State-of-the-Art，C++ MODEL, 3.5 times!"),
        ("keywords", "State-of-the-art$C++$it's$...$MODEL，$absent"),
    ):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        lines = [f"{utt_id} {line}" if each.split()[0] == utt_id else each for each in lines]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert prepare(corpus, tmp_path / "out").returncode == 0
    assert read_kaldi(tmp_path / "out/dev/text")[utt_id] == "it's the stateoftheart c model 35 times"
    offered = read_biasing_list(tmp_path / "out/dev/biasing_list")[utt_id]
    assert offered == ["stateoftheart", "c", "it's", "model", "absent"]
    assert read_biasing_list(tmp_path / "out/dev/keywords")[utt_id] == ["stateoftheart", "c", "it's", "model"]


def test_five_slides_with_and_without_ocr(made, corpus, tmp_path):
    """Words of two slides on either side: from the OCR, or from keywords that are those of a single slide."""
    source = made / "mini" / "test"
    slides = list(map(json.loads, (source / "talks" / "slides.jsonl").read_text("utf-8").splitlines()))
    segments = read_segments(source / "talks" / "segments")
    shown = {
        utt_id: next(i for i, slide in enumerate(slides) if slide["start"] <= segment.start < slide["end"])
        for utt_id, segment in segments.items()
    }
    ocr = [cleaned(slide["ocr"]) for slide in slides]
    assert len(ocr) > 2
    keywords = corpus / "related_files" / "test" / "keywords"
    lines = (f"{utt_id} {'$'.join(ocr[index])}\n" for utt_id, index in shown.items())
    keywords.write_text("".join(lines), encoding="utf-8")
    wanted = {
        utt_id: {word for words in ocr[max(0, index - 2) : index + 3] for word in words}
        for utt_id, index in shown.items()
    }
    assert prepare(corpus, tmp_path / "out", "--slides", "5").returncode == 0
    merged = read_biasing_list(tmp_path / "out/test/biasing_list.slides5")
    assert {utt_id: set(words) for utt_id, words in merged.items()} == wanted
    assert read_biasing_list(tmp_path / "out/test/biasing_list") == {u: ocr[i] for u, i in shown.items()}
    # With the OCR, nothing need be said of the slides in the keywords.
    keywords.write_text("".join(f"{utt_id} own\n" for utt_id in shown), encoding="utf-8")
    shutil.copyfile(source / "talks" / "slides.jsonl", keywords.with_name("slides.jsonl"))
    assert prepare(corpus, tmp_path / "out", "--slides", "5").returncode == 0
    merged = read_biasing_list(tmp_path / "out/test/biasing_list.slides5")
    assert {utt_id: set(words) for utt_id, words in merged.items()} == {
        utt_id: {"own"} | words for utt_id, words in wanted.items()
    }


def test_an_even_number_of_slides_is_refused(made, tmp_path):
    done = prepare(made / "corpus", tmp_path, "--slides", "4")
    assert done.returncode == 2 and "got '4', expected 1, 3, 5" in done.stderr


def test_wavs_are_cut_at_their_segments(made, tmp_path):
    assert prepare(made / "corpus", tmp_path).returncode == 0
    whole, rate = soundfile.read(next((made / "mini" / "dev" / "talks" / "wav").glob("*.wav")), dtype="int16")
    segments = read_segments(made / "mini" / "dev" / "talks" / "segments")
    wavs = read_kaldi(tmp_path / "dev" / "wav.scp")
    assert wavs.keys() == segments.keys()
    for utt_id, segment in segments.items():
        samples, its_rate = soundfile.read(wavs[utt_id], dtype="int16")
        assert (its_rate, soundfile.info(wavs[utt_id]).subtype) == (rate, "PCM_16")
        assert np.array_equal(samples, whole[round(segment.start * rate) : round(segment.end * rate)])


def test_an_end_beyond_the_recording_is_its_end(corpus, tmp_path):
    path = corpus / "related_files" / "dev" / "segments"
    lines = path.read_text(encoding="utf-8").splitlines()
    utt_id, recording, start, _ = lines[-1].split()
    path.write_text("\n".join([*lines[:-1], f"{utt_id} {recording} {start} 9999\n"]), encoding="utf-8")
    assert prepare(corpus, tmp_path / "out").returncode == 0
    talk = soundfile.info(next((corpus / "wav" / "dev").glob("*.wav")))
    cut = soundfile.info(read_kaldi(tmp_path / "out" / "dev" / "wav.scp")[utt_id])
    assert cut.frames == talk.frames - round(float(start) * talk.samplerate)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda root: shutil.rmtree(root), "S95/segments, S95/text, S95/keywords, dev/segments"),
        (lambda root: shutil.rmtree(root / "related_files" / "S95"), "S95/segments, S95/text, S95/keywords;"),
        (lambda root: (root / "related_files" / "test" / "keywords").unlink(), "lacks test/keywords;"),
        (
            lambda root: shutil.rmtree(root / "wav" / "dev"),
            "the wav of 1 recording(s), first dev-s1-t0001.wav",
        ),
    ],
)
def test_what_is_missing_is_named_in_one_sentence(corpus, tmp_path, damage, named):
    damage(corpus)
    done = prepare(corpus, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: SlideSpeech S95 in ") and done.stderr.count("\n") == 1
    assert named in done.stderr and "resource 144 of openslr.org" in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_data_root_is_named(tmp_path):
    done = prepare("", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: SlideSpeech S95: no --data-root is given; ")


def test_a_run_that_failed_goes_on_where_it_stopped(corpus, tmp_path):
    wav = next((corpus / "wav" / "test").glob("*.wav"))
    audio = wav.read_bytes()
    wav.write_bytes(b"RIFF")
    assert prepare(corpus, tmp_path / "out").returncode == 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")}
    assert {path.parts[-4] for path in before} == {"train", "dev"}
    wav.write_bytes(audio)
    assert prepare(corpus, tmp_path / "out").returncode == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")}
    assert before.items() < after.items() and len(after) == 6 + 6 + 14


def test_bad_audio_and_lonely_utterances_are_named(corpus, tmp_path):
    wav = next((corpus / "wav" / "dev").glob("*.wav"))
    wav.write_text("no audio")
    done = prepare(corpus, tmp_path / "out")
    assert done.returncode == 1 and str(wav) in done.stderr and "Format not recognised" in done.stderr
    assert not (tmp_path / "out" / "dev" / "wav.scp").exists()
    text = corpus / "related_files" / "S95" / "text"
    first, *others = text.read_text(encoding="utf-8").splitlines(keepends=True)
    text.write_text("".join(others), encoding="utf-8")
    done = prepare(corpus, tmp_path / "out")
    assert done.returncode == 1 and f"{first.split()[0]}: in segments, not in text" in done.stderr
