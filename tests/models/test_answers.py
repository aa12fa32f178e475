import pytest
import torch

from funasr_sap.models import answers
from funasr_sap.models.answers import score_texts
from funasr_sap.models.losses import llm_loss
from funasr_sap.models.speech import take


@pytest.fixture
def heard(taught, make_batch):
    batch = make_batch(taught.places)
    with torch.no_grad():
        return taught.model.encode(batch["speech"], batch["speech_lengths"])


def test_a_score_is_the_log_likelihood_of_the_answer(taught, heard):
    """The training loss is its mean over the tokens, turned round."""
    for row, utterance in enumerate(taught.utterances):
        text = utterance.text
        (score,) = score_texts(taught.model, heard, [row], [text], "en")
        with torch.no_grad():
            loss, _, tokens = llm_loss(taught.model, take(heard, [row]), [text], [None], None, [[]])
        assert score == pytest.approx(-float(loss) * int(tokens), rel=1e-4, abs=1e-4)


def test_what_was_taught_is_likelier_than_what_was_not(taught, heard):
    texts = [each.text for each in taught.utterances]
    for row, text in enumerate(texts):
        scores = score_texts(taught.model, heard, [row] * len(texts), texts, "en")
        assert max(zip(scores, texts, strict=True))[1] == text and max(scores) < 0


def test_scores_do_not_depend_on_the_batch(taught, heard, monkeypatch):
    rows = [2, 0, 1, 0, 2, 2]
    texts = ["", "xylem", *(each.text for each in taught.utterances), "one two three four five six seven"]
    together = score_texts(taught.model, heard, rows, texts, "en")
    monkeypatch.setattr(answers, "ROWS", 1)
    assert score_texts(taught.model, heard, rows, texts, "en") == pytest.approx(together, rel=1e-3, abs=1e-3)


def test_one_utterance_may_be_taken_twice(heard):
    taken = take(heard, [1, 1, 0])
    assert taken.transcripts is None
    assert torch.equal(taken.frames[0], taken.frames[1]) and torch.equal(taken.frames[2], heard.frames[0])
