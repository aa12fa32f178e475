"""T frames, V pieces."""

import shutil

import numpy as np
import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.calibration import fit_calibration
from funasr_sap.context.fitting import Heard, collect_evidence, draw_lists, listen, reliability
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import DataError
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.letters import LETTERS

TEXTS = {
    "the cell wall of the xylem": ["cell wall", "xylem"],
    "light and water in the stroma": ["stroma"],
    "nothing is named here": [],
}
WORDS = ["osmosis", "phloem", "stigma", "stoma", "cell", "walnut", "water", "light water", "mitosis", "here"]


def said(text, keywords, tokenizer):
    """What a CTC head that makes no error gives for a text."""
    path = [symbol for piece in BiasingList([text], tokenizer).ids[0] for symbol in (0, piece)]
    log_probs = torch.full((1, len(path), len(tokenizer)), -9.0)
    log_probs[0, range(len(path)), path] = 0.0
    mask = torch.ones(1, len(path), dtype=torch.bool)
    frames = torch.zeros(1, len(path), 32)
    letters = torch.zeros(1, 2 * len(path), 1 + len(LETTERS)).log_softmax(-1)
    lengths = torch.tensor([len(path)])
    return Heard(Encoded(frames, mask, lengths, log_probs.log_softmax(-1), letters), text, keywords)


@pytest.fixture(scope="module")
def heard(tokenizer):
    return [said(text, keywords, tokenizer) for text, keywords in TEXTS.items()]


def test_lists_have_the_keywords_and_nothing_else_that_is_spoken(heard, tokenizer):
    for each, drawn in zip(heard, draw_lists(heard, tokenizer, WORDS, 5), strict=True):
        assert set(each.keywords) <= set(drawn.words) and len(drawn) == 5 + len(each.keywords)
        others = set(drawn.words) - set(each.keywords)
        assert not {word for word in others if f" {word} " in f" {each.text} "}


def test_long_lists_are_one_for_all(heard, tokenizer, monkeypatch):
    monkeypatch.setattr("funasr_sap.context.fitting.LONG", 4)
    first, *others = draw_lists(heard, tokenizer, WORDS, 6)
    assert all(other is first for other in others)
    assert {"cell wall", "xylem", "stroma"} <= set(first.words)
    assert not {"cell", "water", "here"} & set(first.words)  # spoken in one of them


def test_evidence_parts_what_is_spoken_from_what_is_not(heard, tokenizer, small_model):
    columns, spoken = collect_evidence(heard, tokenizer, small_model.weigh, WORDS, 5)
    assert spoken.sum() == 3 and len(spoken) == 3 * 5 + 3
    assert (columns["score"][spoken] == 0).all() and (columns["score"][~spoken] < -5).all()
    assert sorted(columns["size"]) == [5] * 5 + [6] * 6 + [7] * 7
    assert columns["utterance"].tolist() == [0] * 7 + [1] * 6 + [2] * 5
    probability = fit_calibration(columns, spoken, 4.0).probability(columns)
    assert probability[spoken].min() > probability[~spoken].max()


def test_steps_of_reliability():
    probability, spoken = np.array([0.02, 0.04, 0.95, 0.96, 1.0]), np.array([False, False, True, False, True])
    assert reliability(probability, spoken) == [
        (pytest.approx(0.03), 0.0, 2),
        (pytest.approx(0.97), pytest.approx(2 / 3), 3),
    ]


def test_listening_to_a_kaldi_directory(small_model, frontend, speech_dir):
    found = list(listen(small_model, frontend, speech_dir))
    assert [each.text for each in found] == list(read_kaldi(speech_dir / "text").values())
    assert [each.keywords for each in found] == list(read_biasing_list(speech_dir / "keywords").values())
    for each in found:
        log_probs, mask = each.encoded.log_probs, each.encoded.frame_mask
        assert log_probs.shape[:2] == mask.shape and mask.all()
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(mask.shape))


def test_an_utterance_without_keywords_is_named(small_model, frontend, speech_dir, tmp_path):
    for name in ("wav.scp", "text", "keywords"):
        shutil.copy(speech_dir / name, tmp_path)
    lines = (tmp_path / "keywords").read_text().splitlines(keepends=True)
    (tmp_path / "keywords").write_text("".join(lines[:-1]))
    with pytest.raises(DataError, match=lines[-1].split()[0]):
        list(listen(small_model, frontend, tmp_path))
