import dataclasses

import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.decoding.candidates import REACH, Candidates, choose, collect
from funasr_sap.decoding.utterance import Utterance
from funasr_sap.models.language_model import Prompt
from funasr_sap.models.letters import spell, step_mask
from funasr_sap.models.rescoring import Rescoring
from funasr_sap.models.timestamps import log_likelihoods


@pytest.fixture
def heard(taught, make_batch):
    """``heard(row, texts)``: a taught utterance, encoded, with transcripts to choose from."""
    batch = make_batch(taught.places)
    with torch.no_grad():
        encoded = taught.model.encode(batch["speech"], batch["speech_lengths"])
    return lambda row, texts: utterance_of(taught.model, encoded, row, texts)


def utterance_of(model, encoded, row, texts):
    utterance = Utterance(encoded, row, BiasingList([], model.tokenizer), model.ctc_head, 60.0)
    utterance.texts = list(texts)
    return utterance


def without(utterance) -> tuple[str, str]:
    """A keyword of an utterance, and the text with another word in its place."""
    keyword = utterance.keywords[0]
    return keyword, " ".join("xylem" if word == keyword else word for word in utterance.text.split())


def test_a_keyword_that_is_missing_is_tried_where_it_is_heard(taught, heard):
    for row, utterance in enumerate(taught.utterances):
        keyword, text = without(utterance)
        found = collect(taught.model, heard(row, [text]), {}, {keyword: 0.02})
        assert utterance.text in found.texts
        assert max(zip(found.worths, found.texts, strict=True))[1] == utterance.text
        sure = collect(taught.model, heard(row, [text]), {keyword: 0.99}, {})
        assert sure.texts[0] == utterance.text  # repaired; the first of equals is chosen


def test_a_keyword_may_take_the_place_of_another(taught, heard):
    keyword, text = without(taught.utterances[0])
    found = collect(taught.model, heard(0, [text]), {"xylem": 0.9}, {keyword: 0.05})
    assert taught.utterances[0].text in found.texts


def test_texts_stay_as_they_are_without_repair_and_without_keywords(taught, heard):
    keyword, text = without(taught.utterances[0])
    texts = [text, taught.utterances[0].text]
    found = collect(taught.model, heard(0, texts), {keyword: 0.5}, {}, repair=False)
    assert set(found.texts) <= set(texts) and taught.utterances[0].text in found.texts
    assert collect(taught.model, heard(0, [text]), {}, {}) == Candidates([text], [0.0])
    assert collect(taught.model, heard(0, [""]), {keyword: 0.9}, {}) == Candidates([""], [0.0])
    assert taught.utterances[0].text in collect(taught.model, heard(0, texts), {}, {}).texts


def test_what_is_too_unsure_is_not_tried(taught, heard):
    keyword, text = without(taught.utterances[0])
    assert collect(taught.model, heard(0, [text]), {keyword: 0.009}, {}).texts == [text]


def test_what_is_far_behind_is_not_a_candidate(taught, heard):
    utterance = taught.utterances[0]
    texts = [utterance.text, "photosynthesis " * 6]
    found = collect(taught.model, heard(0, texts), {utterance.keywords[0]: 0.5}, {}, repair=False)
    assert found.texts == [utterance.text]
    near, far = heard(0, []).heard_score(texts)
    assert near - far > REACH


def test_the_llm_decides_where_all_else_is_equal(taught, make_batch):
    candidates = [
        Candidates([without(utterance)[1], utterance.text], [-3.0, -3.0]) for utterance in taught.utterances
    ]
    batch, llm = make_batch(taught.places), taught.model.language_model
    with torch.no_grad():
        memory = llm.attend(taught.model.encode(batch["speech"], batch["speech_lengths"]))

    def opinions(rows, texts):
        return llm.score(memory, rows, texts, Prompt("transcribe", "en"))

    assert choose(candidates, 1.5, opinions) == [utterance.text for utterance in taught.utterances]
    assert choose(candidates, 0.0, opinions) == [each.texts[0] for each in candidates]


def test_what_is_certain_is_not_asked():
    texts = ["one", "two", "three"]
    assert choose([Candidates([text], [0.0]) for text in texts], 1.5, None) == texts
    assert choose([Candidates([text, "worse"], [0.0, -1.0]) for text in texts], 0.0, None) == texts


def test_a_text_is_scored_by_letters_as_well(small_model, make_batch):
    batch = make_batch([7, 0])
    with torch.no_grad():
        encoded = small_model.encode(batch["speech"], batch["speech_lengths"])
    for row in range(2):
        utterance, texts = utterance_of(small_model, encoded, row, []), ("two words", "xylem", "")
        heard = encoded.letters[row][step_mask(encoded.frame_mask)[row]]
        pairs = zip(
            log_likelihoods(heard, [spell(text) for text in texts]), utterance.ctc_score(texts), strict=True
        )
        assert utterance.heard_score(texts) == pytest.approx([(a + b) / 2 for a, b in pairs])


def test_without_a_letter_head_the_score_is_the_ctc_heads(make_model, make_batch):
    model, batch = make_model(span_head=None, span_head_conf=None), make_batch([7])
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
    utterance = utterance_of(model, encoded, 0, [])
    assert encoded.letters is None
    assert utterance.heard_score(["xylem"]) == utterance.ctc_score(["xylem"])


def test_without_a_ctc_head_nothing_is_heard(make_batch, taught):
    batch = make_batch([0])
    encoded = taught.model.encode(batch["speech"], batch["speech_lengths"])
    utterance = utterance_of(taught.model, dataclasses.replace(encoded, log_probs=None), 0, [])
    assert (utterance.has_ctc, utterance.ctc_text, utterance.ctc_pieces) == (False, "", [])
    assert utterance.seconds > 0


def test_the_model_says_how_candidates_are_weighed(make_model):
    weights = {"margin": 3.0, "slope": 1.0, "llm": 0.5, "confidence": 0.2}
    assert make_model(rescoring_conf=weights).rescoring == Rescoring(**weights)
