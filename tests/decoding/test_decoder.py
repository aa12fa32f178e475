import copy
import dataclasses
from types import SimpleNamespace

import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import offered_keywords
from funasr_sap.decoding.decoder import decode
from funasr_sap.decoding.finish import restore_spelling
from funasr_sap.decoding.options import PRUNE_MODES, DecodingOptions
from funasr_sap.errors import ConfigError
from funasr_sap.models.causal_lm import CausalLM
from funasr_sap.models.guards import Guards
from funasr_sap.models.language_model import Answer, Prompt
from funasr_sap.models.repair import Repair
from funasr_sap.models.sap2 import SAP2

DISTRACTORS = ["photosynthesis", "xylem", "tumbleweed", "connotes"]


def spoil(utterances) -> list[str]:
    """Write another word over the first keyword of each utterance."""
    return [
        " ".join("xylem" if word == each.keywords[0] else word for word in each.text.split())
        for each in utterances
    ]


def lists_of(model, words):
    return [BiasingList(each, model.tokenizer) for each in words]


def recognise(model, batch, words, **options):
    lists = lists_of(model, words)
    return views(decode(model, batch["speech"], batch["speech_lengths"], lists, DecodingOptions(**options)))


def views(results):
    """Results as FunASR's users see them, by attributes."""
    return [SimpleNamespace(**{"guards": [], "cut": False, **each.to_funasr()}) for each in results]


class Scripted:
    """A language model whose transcripts are written beforehand, around a real one."""

    def __init__(self, real, write, opine=None):
        self.real, self.write, self.opine = real, write, opine

    def __getattr__(self, name):
        return getattr(self.real, name)

    def generate(self, memory, prompts, seconds, drafts=None, temperature=0.0):
        texts = [self.write(row, prompt.keywords) for row, prompt in enumerate(prompts)]
        return [Answer(text, prompt.keywords) for text, prompt in zip(texts, prompts, strict=True)]

    def score(self, memory, rows, texts, prompt):
        return self.opine(texts) if self.opine else self.real.score(memory, rows, texts, prompt)


def script(monkeypatch, write, opine=None):
    """Let ``write(row, keywords)`` transcribe, and ``opine(texts)`` score, if it is given."""
    real = SAP2.language_model.fget
    monkeypatch.setattr(SAP2, "language_model", property(lambda self: Scripted(real(self), write, opine)))


@pytest.mark.parametrize("prune", ["retrieval", "llm", "joint"])
def test_recognises_what_it_was_taught(taught, make_batch, prune):
    offered = [[*DISTRACTORS, *(word.upper() for word in each.keywords)] for each in taught.utterances]
    found = recognise(taught.model, make_batch(taught.places), offered, prune=prune)
    for each, hypothesis in zip(taught.utterances, found, strict=True):
        assert hypothesis.keywords == [word.upper() for word in each.keywords]
        expected = " ".join(word.upper() if word in each.keywords else word for word in each.text.split())
        assert hypothesis.text == expected
        assert min(hypothesis.keyword_scores) > 0.5
        flat = [time for word in hypothesis.timestamp for time in word]
        assert len(hypothesis.timestamp) == len(each.text.split()) and flat == sorted(flat)
        assert flat[0] >= 0 and flat[-1] <= 10 * each.speech_length + 60


def test_without_the_llm_the_ctc_head_transcribes(taught, make_batch, monkeypatch):
    monkeypatch.setattr(taught.model.llm, "generate", None)
    offered = [[*DISTRACTORS, *(word.upper() for word in each.keywords)] for each in taught.utterances]
    found = recognise(taught.model, make_batch(taught.places), offered, use_llm=False)
    for each, hypothesis in zip(taught.utterances, found, strict=True):
        expected = " ".join(word.upper() if word in each.keywords else word for word in each.text.split())
        assert hypothesis.text == expected and hypothesis.timestamp
        assert hypothesis.keywords == [word.upper() for word in each.keywords]


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_drafts_change_nothing_but_the_time(taught, make_batch, prune, monkeypatch):
    words = [list(taught.utterances[0].keywords), [], [*DISTRACTORS, *taught.utterances[2].keywords]]
    slow = recognise(taught.model, make_batch(taught.places), words, prune=prune, speculate=False)
    monkeypatch.setattr(taught.model.llm, "generate", None)
    assert recognise(taught.model, make_batch(taught.places), words, prune=prune) == slow
    with pytest.raises(TypeError):  # token by token
        recognise(taught.model, make_batch(taught.places), words, prune=prune, speculate=False)


def test_of_two_transcripts_the_better_is_taken(taught, make_batch, monkeypatch):
    """A transcript with keywords that the CTC head did not hear gives way to the one without."""
    batch, words = make_batch(taught.places), [["photosynthesis"], [], ["xylem"]]
    plain = [each.text for each in taught.utterances]

    texts = [*plain, plain[0], plain[2]]
    script(monkeypatch, lambda row, keywords: "nonsense" if keywords else texts[row])
    options = {"threshold": 0.0, "repair": False}
    found = recognise(taught.model, batch, words, **options)
    assert [each.text for each in found] == plain
    assert [bool(each.keywords) for each in found] == [True, False, True]
    found = recognise(taught.model, batch, words, **options, rescore=False)
    assert [each.text for each in found] == ["nonsense", plain[1], "nonsense"]


def test_a_doubtful_keyword_is_written_where_the_transcript_is_better_for_it(taught, make_batch, monkeypatch):
    """What the model's threshold keeps from the LLM is tried; what the caller's does is not."""
    batch, words = make_batch(taught.places), [list(each.keywords) for each in taught.utterances]
    spoiled = spoil(taught.utterances)

    script(monkeypatch, lambda row, keywords: spoiled[row % len(spoiled)])
    monkeypatch.setattr(taught.model, "threshold", 1.0)
    # Confidences that are printed as 1 would pass it.
    unsure = dataclasses.replace(taught.model.calibration, bias=taught.model.calibration.bias - 6)
    monkeypatch.setattr(taught.model, "calibration", unsure)
    found = recognise(taught.model, batch, words)
    for each, utterance in zip(found, taught.utterances, strict=True):
        assert each.text == utterance.text and utterance.keywords[0] in each.keywords
        assert len(each.keyword_scores) == len(each.keywords)
    refusals = [{"threshold": 1.0}, {"rescore": False}, {"guards": Guards(evidence=1.0)}]
    for options in [*refusals, {"prune": "llm"}, {"prune": "joint"}]:
        found = recognise(taught.model, batch, words, **options)
        assert [(each.text, each.keywords) for each in found] == [(text, []) for text in spoiled]


@pytest.mark.parametrize("rescore", [True, False])
def test_a_kept_keyword_without_enough_evidence_is_not_written(taught, make_batch, monkeypatch, rescore):
    batch, words = make_batch(taught.places), [list(each.keywords) for each in taught.utterances]

    spoiled = spoil(taught.utterances)

    script(monkeypatch, lambda row, keywords: spoiled[row % len(spoiled)])
    monkeypatch.setattr(taught.model, "repair", Repair())
    options = {"rescore": rescore, "threshold": 0.0}
    found = recognise(taught.model, batch, words, **options)
    assert [each.text for each in found] == [each.text for each in taught.utterances]
    found = recognise(taught.model, batch, words, **options, guards=Guards(evidence=1.01))
    assert [each.text for each in found] == spoiled


def test_a_transcript_that_a_guard_refuses_is_no_candidate(taught, make_batch, monkeypatch):
    """Where the LLM loops without keywords, its text with keywords stands, however likely the loop."""
    batch, words = make_batch(taught.places), [list(each.keywords) for each in taught.utterances]
    texts = [each.text for each in taught.utterances]

    script(
        monkeypatch,
        lambda row, keywords: texts[row % 3] if keywords else "no " * 40,
        lambda texts: [1e3 * text.count("no no") for text in texts],
    )
    found = recognise(taught.model, batch, words, repair=False)
    assert [each.text for each in found] == texts


def test_a_model_without_llm_training_decodes_by_its_ctc_head(make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 1.0, "llm_weight": 0.0})
    found = recognise(model, make_batch([0, 1]), [["a"], []], use_llm=False)
    assert len(found) == 2


def test_decoding_without_llm_needs_a_ctc_head(taught, make_batch):
    model = copy.copy(taught.model)
    model._modules = model._modules | {"ctc": None}
    with pytest.raises(ConfigError, match="use_llm=false: this model has no CTC head"):
        recognise(model, make_batch([0]), [["a"]], use_llm=False)
    with pytest.raises(ConfigError, match="use_llm=false goes with prune=retrieval, got prune=llm"):
        DecodingOptions(use_llm=False, prune="llm")


def test_without_keywords_it_transcribes(taught, make_batch):
    for prune in PRUNE_MODES:
        found = recognise(taught.model, make_batch(taught.places), [[]] * 3, prune=prune)
        assert [each.text for each in found] == [each.text for each in taught.utterances]
        assert all(each.keywords == each.keyword_scores == [] for each in found)


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_a_batch_gives_what_its_utterances_give(taught, make_batch, prune):
    words = [list(taught.utterances[0].keywords), [], [*DISTRACTORS, *taught.utterances[2].keywords]]
    options = {"prune": prune, "top": 3}
    together = recognise(taught.model, make_batch(taught.places), words, **options)
    for place, each, expected in zip(taught.places, words, together, strict=True):
        (alone,) = recognise(taught.model, make_batch([place]), [each], **options)
        assert (alone.text, alone.keywords, alone.timestamp) == (
            expected.text,
            expected.keywords,
            expected.timestamp,
        )
        assert alone.keyword_scores == pytest.approx(expected.keyword_scores, abs=2e-4)


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_so_does_a_model_that_never_ends_its_answer(small_model, features, prune):
    speech = [features[0][:9], features[1][:20]]
    words = [["xylem"], DISTRACTORS]
    batch = {
        "speech": torch.nn.utils.rnn.pad_sequence(speech, batch_first=True),
        "speech_lengths": torch.tensor([9, 20]),
    }
    together = recognise(small_model, batch, words, prune=prune)
    for each, biasing_list, expected in zip(speech, words, together, strict=True):
        single = {"speech": each[None], "speech_lengths": torch.tensor([len(each)])}
        (alone,) = recognise(small_model, single, [biasing_list], prune=prune)
        assert (alone.text, alone.keywords) == (expected.text, expected.keywords)
        assert expected.text


def test_keywords_without_evidence_are_not_written(taught, make_batch):
    words = [list(each.keywords) for each in taught.utterances]
    plain = recognise(taught.model, make_batch(taught.places), [[]] * 3)
    guarded = recognise(taught.model, make_batch(taught.places), words, guards=Guards(evidence=2.0))
    assert [each.text for each in guarded] == [each.text for each in plain]
    assert [(each.keywords, each.guards) for each in guarded] == [([], ["evidence"])] * 3


def test_a_transcript_cut_short_is_given_again_without_context(taught, make_batch):
    words = [list(each.keywords) for each in taught.utterances]
    plain = recognise(taught.model, make_batch(taught.places), [[]] * 3)
    guarded = recognise(taught.model, make_batch(taught.places), words, guards=Guards(shortest=100))
    assert [each.text for each in guarded] == [each.text for each in plain]
    assert [each.guards for each in guarded] == [["shortest"]] * 3


def test_where_all_is_refused_the_ctc_head_is_believed(taught, make_batch):
    batch, refuse = make_batch(taught.places), Guards(compression=1e-3)
    words = [list(taught.utterances[0].keywords), [], list(taught.utterances[2].keywords)]
    together = recognise(taught.model, batch, words, guards=refuse)
    encoded = taught.model.encode(batch["speech"], batch["speech_lengths"])
    for row, (place, hypothesis) in enumerate(zip(taught.places, together, strict=True)):
        path = encoded.log_probs[row, encoded.frame_mask[row]].argmax(-1).unique_consecutive()
        heard = taught.model.tokenizer.decode(path[path != 0].tolist()).strip()
        assert hypothesis.text == heard != ""
        assert hypothesis.guards == ["compression"] * (4 if words[row] else 3)
        assert recognise(taught.model, make_batch([place]), [words[row]], guards=refuse) == [hypothesis]


def test_a_model_without_a_trained_llm_is_an_error(make_model, make_batch):
    model = make_model(model_conf={"ctc_weight": 1.0, "llm_weight": 0.0})
    with pytest.raises(ConfigError, match="this model's LLM was not trained"):
        recognise(model, make_batch([0]), [[]])


def silence(model, rows):
    """A copy of a model whose CTC head hears nothing in some rows of the batch."""
    model = copy.deepcopy(model)

    def hush(_, __, logits):
        logits = logits.clone()
        logits[rows] = -30.0
        logits[rows, :, 0] = 30.0
        return logits

    model.ctc.ctc_lo.register_forward_hook(hush)
    return model


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_silence_gives_an_empty_text(taught, make_batch, prune):
    words = [list(each.keywords) for each in taught.utterances]
    found = recognise(silence(taught.model, [0, 1, 2]), make_batch(taught.places), words, prune=prune)
    assert [each.text for each in found] == [""] * 3
    assert all(each.timestamp == [] for each in found)
    assert prune == "none" or all(each.keywords == [] for each in found)


def test_silence_is_not_given_to_the_llm(taught, make_batch, monkeypatch):
    """Eight clips of noise and an LLM that loops were seventeen answers."""
    asked = []
    script(monkeypatch, lambda row, keywords: asked.append(row) or "no " * 40)
    words = [list(each.keywords) for each in taught.utterances]
    found = recognise(silence(taught.model, [0, 1, 2]), make_batch(taught.places), words)
    assert [(each.text, each.guards) for each in found] == [("", ["silence"])] * 3
    assert asked == []


def test_what_a_guard_refuses_is_tried_again_in_one_batch(taught, make_batch, monkeypatch):
    batches = []
    script(monkeypatch, lambda row, keywords: batches.append(row) or "no " * 40)
    found = recognise(taught.model, make_batch(taught.places), [[], [], []], guards=Guards())
    assert batches == [0, 1, 2] * 3  # at once, and at two temperatures
    assert [each.guards for each in found] == [["repetition"] * 3] * 3


def test_without_a_ctc_head_a_first_transcript_is_made_once_with_the_calls_options(
    make_model, make_batch, monkeypatch
):
    model = make_model(
        ctc=None,
        span_head=None,
        audio_adaptor="LinearProjection",
        audio_adaptor_conf=None,
    )
    prompts, generate = [], CausalLM.generate

    def spy(self, memory, asked, *args):
        prompts.extend((prompt.task, prompt.language, len(prompt.keywords)) for prompt in asked)
        return generate(self, memory, asked, *args)

    monkeypatch.setattr(CausalLM, "generate", spy)
    model.repair = Repair(confidence=2.0)
    recognise(model, make_batch([0]), [["xylem"]], language="zh", threshold=1.0)
    assert prompts == [("transcribe", "zh", 0)]  # none is kept: it is the transcript
    prompts.clear()
    recognise(model, make_batch([0]), [["xylem"]], language="zh", threshold=0.0)
    assert prompts == [("transcribe", "zh", 0), ("transcribe_with_context", "zh", 1)]


def test_silence_beside_speech(taught, make_batch):
    words = [list(each.keywords) for each in taught.utterances]
    batch = make_batch(taught.places)
    found = recognise(silence(taught.model, [1]), batch, words, prune="llm")
    expected = recognise(taught.model, batch, words, prune="llm")
    assert (found[1].text, found[1].keywords) == ("", [])
    assert [found[0], found[2]] == [expected[0], expected[2]]


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_the_encoder_runs_once(taught, make_batch, prune):
    calls = []
    hook = taught.model.audio_encoder.register_forward_hook(lambda *_: calls.append(1))
    words = [list(each.keywords) for each in taught.utterances]
    recognise(taught.model, make_batch(taught.places), words, prune=prune)
    hook.remove()
    assert len(calls) == 1


def test_none_keeps_the_whole_list_in_its_order(taught, make_batch):
    words = [[*DISTRACTORS, *taught.utterances[0].keywords], ["b", "a"], []]
    found = recognise(taught.model, make_batch(taught.places), words, prune="none")
    assert [each.keywords for each in found] == words
    assert all(len(each.keyword_scores) == len(each.keywords) for each in found)


def test_top_and_threshold_cut_the_list(taught, make_batch):
    words = [[*DISTRACTORS, *each.keywords] for each in taught.utterances]
    batch = make_batch(taught.places)
    wide = recognise(taught.model, batch, words, top=4, threshold=0.0)
    assert [len(each.keywords) for each in wide] == [4] * 3
    for each, biasing_list in zip(wide, words, strict=True):
        assert each.keywords == [word for word in biasing_list if word in each.keywords]
    for best, each in zip(recognise(taught.model, batch, words, top=1), wide, strict=True):
        scores = dict(zip(each.keywords, each.keyword_scores, strict=True))
        assert len(best.keywords) == 1 and scores[best.keywords[0]] == max(scores.values())
    for each in recognise(taught.model, batch, words, threshold=1.0):
        assert set(each.keyword_scores) <= {1.0}  # as printed


def test_a_shared_list_is_the_same_as_one_each(taught, make_batch):
    words = sorted({word for each in taught.utterances for word in each.keywords})
    shared = lists_of(taught.model, [words]) * 3
    batch = make_batch(taught.places)
    options = DecodingOptions(prune="retrieval")
    found = views(decode(taught.model, batch["speech"], batch["speech_lengths"], shared, options))
    assert found == recognise(taught.model, batch, [words] * 3)


def test_bf16(taught, make_batch):
    model = copy.deepcopy(taught.model).bfloat16()
    words = [list(each.keywords) for each in taught.utterances]
    found = recognise(model, make_batch(taught.places), words, prune="llm")
    assert [each.keywords for each in found] == words


def test_keywords_with_commas_can_be_named(taught):
    (biasing_list,) = lists_of(taught.model, [["1,000", "000", "Xylem", ",", "none", "la, la"]])
    prompt = Prompt("prune", "en", offered_keywords(biasing_list))

    def named(answer):
        return [each.text for each in taught.model.language_model._named(prompt, answer)]

    assert named("1,000, xylem") == ["1,000", "000", "Xylem"]
    assert named("000, la, la") == ["000", "la, la"]
    assert named("none") == named("") == named(", ,") == []
    assert named("none, other") == ["none"]


@pytest.mark.parametrize(
    ("text", "keywords", "restored"),
    [
        ("the xylem of xylems", ["Xylem"], "the Xylem of xylems"),
        ("new york and york", ["New York", "YORK"], "New York and YORK"),
        ("york and new york", ["YORK", "New York"], "YORK and New York"),
        ("c++ and c", ["C++", "C"], "C++ and C"),
        ("use a\\1 now", ["A\\1"], "use A\\1 now"),
        ("我们用gpt做", ["GPT"], "我们用GPT做"),
        ("gpts", ["GPT"], "gpts"),
        ("straße", ["Straße"], "Straße"),
        ("the xylem", [], "the xylem"),
        ("", ["Xylem"], ""),
        ("ibm", ["IBM", "Ibm"], "IBM"),
    ],
)
def test_restoring_the_users_spelling(text, keywords, restored):
    assert restore_spelling(text, {word: word for word in keywords}) == restored


def test_restoring_what_was_looked_for_in_another_form():
    given = {"GPT": "ＧＰＴ", "Xylem": "Xylem"}
    assert restore_spelling("use gpt and xylem", given) == "use ＧＰＴ and Xylem"


def test_bad_options():
    with pytest.raises(ConfigError, match="prune: expected one of llm, retrieval, none, joint, got 'best'"):
        DecodingOptions(prune="best")
    with pytest.raises(ConfigError, match=r"top: expected .* got 0"):
        DecodingOptions(top=0)


@pytest.mark.parametrize("use_llm", [True, False])
def test_where_the_ctc_head_hears_too_little_nothing_is_written(taught, make_batch, use_llm):
    words = [each.keywords for each in taught.utterances]
    batch, most = make_batch(taught.places), max(each.speech_length for each in taught.utterances)
    guarded = recognise(taught.model, batch, words, guards=Guards(silence=most), use_llm=use_llm)
    for each in guarded:
        assert (each.text, each.keywords, each.keyword_scores, each.timestamp) == ("", [], [], [])
        assert each.guards == ["silence"]
    heard = recognise(taught.model, batch, words, guards=Guards(silence=1), use_llm=use_llm)
    assert heard == recognise(taught.model, batch, words, guards=Guards(silence=0), use_llm=use_llm)
    assert all(each.text and each.keywords and not each.guards for each in heard)
