import dataclasses

import pytest
import torch

from funasr_sap.models.candidates import REACH, Candidates, choose, collect, likelihoods, with_letters
from funasr_sap.models.letters import spell, step_mask
from funasr_sap.models.rescoring import Rescoring
from funasr_sap.models.timestamps import log_likelihoods


@pytest.fixture
def heard(taught, make_batch):
    """The taught utterances, encoded."""
    batch = make_batch(taught.places)
    with torch.no_grad():
        return taught.model.encode(batch["speech"], batch["speech_lengths"])


def weigh(monkeypatch, model, **changes):
    monkeypatch.setattr(model, "rescoring", dataclasses.replace(model.rescoring, **changes))


def without(utterance) -> tuple[str, str]:
    """A keyword of an utterance, and the text with another word in its place."""
    keyword = utterance.keywords[0]
    return keyword, " ".join("xylem" if word == keyword else word for word in utterance.text.split())


def test_a_keyword_that_is_missing_is_tried_where_it_is_heard(taught, heard):
    for row, utterance in enumerate(taught.utterances):
        keyword, text = without(utterance)
        found = collect(taught.model, heard, row, [text], {}, {keyword: 0.02})
        assert utterance.text in found.texts
        assert max(zip(found.worths, found.texts, strict=True))[1] == utterance.text
        sure = collect(taught.model, heard, row, [text], {keyword: 0.99}, {})
        assert sure.texts[0] == utterance.text  # repaired; the first of equals is chosen


def test_a_keyword_may_take_the_place_of_another(taught, heard):
    keyword, text = without(taught.utterances[0])
    found = collect(taught.model, heard, 0, [text], {"xylem": 0.9}, {keyword: 0.05})
    assert taught.utterances[0].text in found.texts


def test_texts_stay_as_they_are_without_repair_and_without_keywords(taught, heard):
    keyword, text = without(taught.utterances[0])
    texts = [text, taught.utterances[0].text]
    found = collect(taught.model, heard, 0, texts, {keyword: 0.5}, {}, repair=False)
    assert set(found.texts) <= set(texts) and taught.utterances[0].text in found.texts
    assert collect(taught.model, heard, 0, [text], {}, {}) == Candidates([text], [0.0])
    assert collect(taught.model, heard, 0, [""], {keyword: 0.9}, {}) == Candidates([""], [0.0])
    assert taught.utterances[0].text in collect(taught.model, heard, 0, texts, {}, {}).texts


def test_what_is_too_unsure_is_not_tried(taught, heard):
    keyword, text = without(taught.utterances[0])
    assert collect(taught.model, heard, 0, [text], {keyword: 0.009}, {}).texts == [text]


def test_chinese_text_is_left_alone(taught, heard):
    found = collect(taught.model, heard, 0, ["我们用xylem写"], {}, {"xylem": 0.5})
    assert found.texts == ["我们用xylem写"]


def test_what_is_far_behind_is_not_a_candidate(taught, heard):
    utterance = taught.utterances[0]
    texts = [utterance.text, "photosynthesis " * 6]
    found = collect(taught.model, heard, 0, texts, {utterance.keywords[0]: 0.5}, {}, repair=False)
    assert found.texts == [utterance.text]
    hear = with_letters(likelihoods(taught.model, heard, 0), heard, 0)
    near, far = hear(texts)
    assert near - far > REACH


def test_the_llm_decides_where_all_else_is_equal(taught, heard, monkeypatch):
    candidates = [
        Candidates([without(utterance)[1], utterance.text], [-3.0, -3.0]) for utterance in taught.utterances
    ]
    truth = [utterance.text for utterance in taught.utterances]
    assert choose(taught.model, heard, candidates, "en") == truth
    weigh(monkeypatch, taught.model, llm=0.0)
    assert choose(taught.model, heard, candidates, "en") == [each.texts[0] for each in candidates]


def test_what_is_certain_is_not_asked(taught, heard, monkeypatch):
    monkeypatch.setattr(taught.model.llm, "forward", None)
    texts = ["one", "two", "three"]
    assert choose(taught.model, heard, [Candidates([text], [0.0]) for text in texts], "en") == texts
    weigh(monkeypatch, taught.model, llm=0.0)
    several = [Candidates([text, "worse"], [0.0, -1.0]) for text in texts]
    assert choose(taught.model, heard, several, "en") == texts


def test_a_text_is_scored_by_letters_as_well(small_model, make_batch):
    batch = make_batch([7, 0])
    with torch.no_grad():
        encoded = small_model.encode(batch["speech"], batch["speech_lengths"])
    for row in range(2):
        heard = encoded.letters[row][step_mask(encoded.frame_mask)[row]]
        score = with_letters(lambda texts: [-4.0] * len(texts), encoded, row)
        texts = ("two words", "xylem", "")
        letters = log_likelihoods(heard, [spell(text) for text in texts])
        expected = [(each - 4.0) / 2 for each in letters]
        assert score(texts) == pytest.approx(expected)
        assert max(letters) < 0


def test_without_a_letter_head_the_score_is_the_ctc_heads(make_model, make_batch):
    model, batch = make_model(span_head=None, span_head_conf=None), make_batch([7])
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    assert encoded.letters is None
    assert with_letters(len, encoded, 0) is len


def test_without_a_ctc_head_nothing_is_heard(heard, taught):
    assert likelihoods(taught.model, dataclasses.replace(heard, log_probs=None), 0) is None


def test_the_model_says_how_candidates_are_weighed(make_model):
    weights = {"margin": 3.0, "slope": 1.0, "llm": 0.5, "confidence": 0.2}
    assert make_model(rescoring_conf=weights).rescoring == Rescoring(**weights)
