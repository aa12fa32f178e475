"""A recogniser that was taught three utterances, and batches for it."""

import random
from types import SimpleNamespace

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

STEPS = 170
LEARNING_RATE = 0.008
NUM_UTTERANCES = 3


@pytest.fixture(scope="session")
def make_batch(features, speech_wavs):
    """``make_batch(places)``: what ``SAP2.forward`` takes, each with its keywords and distractors as list."""

    def make(places, distractors: int = 3, seed: int = 0) -> dict:
        chosen = [speech_wavs[place] for place in places]
        pool = [word for each in speech_wavs for word in each.keywords]
        rng = random.Random(seed)
        lists = [
            list(each.keywords) + rng.sample(sorted(set(pool) - set(each.keywords)), distractors)
            for each in chosen
        ]
        return {
            "speech": pad_sequence([features[place] for place in places], batch_first=True),
            "speech_lengths": torch.tensor([len(features[place]) for place in places]),
            "texts": [each.text for each in chosen],
            "ctc_texts": [each.text for each in chosen],
            "biasing_lists": lists,
            "keywords": [list(each.keywords) for each in chosen],
        }

    return make


@pytest.fixture(scope="session")
def taught(make_model, make_batch, speech_wavs) -> SimpleNamespace:
    """``model`` knows the three shortest utterances with rare words, at ``places``, in all tasks."""
    by_length = sorted(range(len(speech_wavs)), key=lambda place: speech_wavs[place].speech_length)
    places = [place for place in by_length if speech_wavs[place].keywords][:NUM_UTTERANCES]
    model = make_model(
        for_training=True,
        audio_encoder_conf={"output_size": 48, "dropout_rate": 0.0},
        llm_conf={"hidden_size": 48, "head_dim": 24, "intermediate_size": 96},
        model_conf={"ctc_weight": 1.0},
        task_weights={"transcribe": 1, "transcribe_with_context": 1, "prune": 2, "joint": 2},
        retrieval_conf={"threshold": 0.5},
        specaug=None,
    )
    random.seed(0)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.2)
    for step in range(STEPS):
        loss, _, _ = model(**make_batch(places, seed=step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    return SimpleNamespace(model=model.eval(), places=places, utterances=[speech_wavs[p] for p in places])
