import itertools
import math
import statistics

import pytest
import torch
import torchaudio

from funasr_sap import AutoModel
from funasr_sap.audio import load_audio
from funasr_sap.context.biasing_list import encode_keyword
from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.models.timestamps import align_words, log_likelihoods


def word_timestamps(*args, **kwargs):
    return [[word.start, word.end] for word in align_words(*args, **kwargs)]


def sharp(path, vocab=8):
    """(frames, V) posteriors of 0.99 on each piece of a path."""
    probs = torch.full((len(path), vocab), 0.01 / (vocab - 1))
    probs[torch.arange(len(path)), torch.tensor(path)] = 0.99
    return probs.log()


def test_words_stand_where_their_pieces_are():
    log_probs = sharp([0, 0, 1, 1, 2, 0, 3, 0, 0, 4, 5, 5])
    assert word_timestamps(log_probs, [[1, 2], [3], [4, 5]], 60.0) == [[90, 300], [330, 420], [510, 720]]


def test_a_word_is_as_sure_as_its_pieces():
    words = align_words(sharp([0, 1, 0, 2]), [[1], [2]], 60.0)
    assert [word.confidence for word in words] == [0.99, 0.99]
    words = align_words(sharp([0, 1, 0, 3]), [[1], [2]], 60.0)
    assert words[0].confidence == 0.99 and words[1].confidence < 0.01


def test_repeated_pieces():
    assert word_timestamps(sharp([1, 0, 1, 0, 1]), [[1, 1], [1]], 10.0) == [[0, 30], [35, 50]]
    assert word_timestamps(sharp([1, 1]), [[1], [1]], 10.0) == []  # a blank must stand between them


def test_a_fractional_frame_is_rounded_to_ms():
    assert word_timestamps(sharp([0, 1, 0]), [[1]], 62.5) == [[31, 125]]


@pytest.mark.parametrize("words", [[], [[1, 2, 3, 4]]])
def test_no_words_or_too_many_pieces(words):
    assert word_timestamps(sharp([1, 2, 0]), words, 60.0) == []


def test_another_blank():
    assert word_timestamps(sharp([7, 0, 7]), [[0]], 10.0, blank=7) == [[5, 20]]


def test_half_precision():
    log_probs = sharp([0, 1, 0, 2])
    assert word_timestamps(log_probs.bfloat16(), [[1], [2]], 10.0) == word_timestamps(
        log_probs, [[1], [2]], 10.0
    )


def test_times_rise_even_for_text_that_was_not_said():
    torch.manual_seed(0)
    times = word_timestamps(torch.randn(20, 8).log_softmax(-1), [[1, 2], [3], [3], [4, 5, 5]], 60.0)
    flat = [time for word in times for time in word]
    assert len(times) == 4 and flat == sorted(flat) and flat[0] >= 0 and flat[-1] <= 1200


def test_a_word_does_not_begin_before_the_last_one_ends():
    assert word_timestamps(sharp([1, 2, 0]), [[1], [2]], 60.0) == [[0, 60], [60, 120]]


def collapse(path, blank=0):
    """The text of a path."""
    return tuple(piece for piece, _ in itertools.groupby(path) if piece != blank)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_text_is_as_likely_as_its_best_path(dtype):
    torch.manual_seed(1)
    log_probs = torch.randn(5, 3).log_softmax(-1).to(dtype)
    best = {}
    for path in itertools.product(range(3), repeat=5):
        score = sum(float(log_probs[t, piece]) for t, piece in enumerate(path))
        best[collapse(path)] = max(best.get(collapse(path), -math.inf), score)
    texts = list(best)
    assert () in texts and (1, 1, 1) in texts and (1, 2, 1, 2, 1) in texts
    assert log_likelihoods(log_probs, texts) == pytest.approx([best[text] for text in texts], abs=1e-4)
    assert log_likelihoods(log_probs, [(1, 1, 1, 1), (1,) * 9, (2,)])[:2] == [-math.inf, -math.inf]
    assert log_likelihoods(log_probs, []) == []


def test_texts_are_as_likely_as_torchaudio_aligns_them():
    torch.manual_seed(2)
    log_probs = torch.randn(60, 30).log_softmax(-1)
    texts = [torch.randint(1, 30, (size,)).tolist() for size in (1, 7, 25)]
    scores = [
        float(torchaudio.functional.forced_align(log_probs[None], torch.tensor([text]))[1].sum())
        for text in texts
    ]
    assert log_likelihoods(log_probs, texts) == pytest.approx(scores, rel=1e-5)


def test_without_speech_only_the_empty_text_fits():
    assert log_likelihoods(torch.zeros(0, 4), [[], [1]]) == [0.0, -math.inf]


def test_words_are_found_where_the_synthesiser_said_them(tmp_path):
    make_corpus(tmp_path, "dev", utterances=25, seed=8, jobs=1)
    texts, wavs = (read_kaldi(tmp_path / name) for name in ("text", "wav.scp"))
    spoken = [line.split() for line in (tmp_path / "ctm").read_text().splitlines()]
    model = AutoModel(model="sap2", disable_update=True, disable_pbar=True)
    errors = []
    for utt_id, text in texts.items():
        words = [list(encode_keyword(model.model.tokenizer, word)) for word in text.split()]
        waveform = load_audio(wavs[utt_id])
        speech, _ = model.kwargs["frontend"](waveform[None], [len(waveform)])
        with torch.no_grad():
            log_probs = model.model.encode(speech, torch.tensor([speech.shape[1]])).log_probs[0]
        remaining = iter(zip(text.split(), word_timestamps(log_probs, words, 60.0), strict=True))
        for _, _, start, duration, word in (line for line in spoken if line[0] == utt_id):
            found = next(times for said, times in remaining if said == word)
            expected = [1000 * float(start), 1000 * (float(start) + float(duration))]
            errors += [abs(a - b) for a, b in zip(found, expected, strict=True)]
    assert len(errors) > 200 and statistics.median(errors) < 60
