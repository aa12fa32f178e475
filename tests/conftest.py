"""A real but tiny recogniser, and real speech, for every test that needs them."""

import functools
import os
import random
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its threads: tests often run side by side

import hypothesis
import pytest
import torch
import yaml
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.data.jsonl import Utterance, read_jsonl, write_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.language import get_language

# What a shell runs behind it ignores Ctrl-C, and so would the programs whose interruption is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

CONF = Path(__file__).parents[1] / "conf"
VOCAB_SIZE = 400  # pieces
NUM_UTTERANCES = 12
TAUGHT_UTTERANCES, TAUGHT_STEPS, TAUGHT_LEARNING_RATE = 3, 170, 0.008
# A busy machine is no reason to fail. Each run draws the same examples, HYPOTHESIS_PROFILE=wide others.
hypothesis.settings.register_profile("patient", deadline=None, derandomize=True)
hypothesis.settings.register_profile("wide", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))


def small_config(**changes) -> dict:
    """``conf/sap2_tiny.yaml`` at 0.1 M parameters: two encoder blocks and two LLM layers of width 32.

    Args:
        **changes: top-level keys; a section such as ``llm_conf`` is changed key by key.
    """
    config = yaml.safe_load((CONF / "sap2_tiny.yaml").read_text(encoding="utf-8"))
    config["vocab_size"] = VOCAB_SIZE
    del config["prompt_conf"]["languages"]  # it knows none, and speaks all prompts
    config["audio_encoder_conf"] |= {
        "output_size": 32,
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
    }
    config["audio_adaptor_conf"] |= {"hidden_dim": 32}
    config["span_head_conf"] |= {"hidden_dim": 8}
    # Not what the embedded model is tuned to.
    config["retrieval_conf"] |= {"top": 5, "threshold": 0.0}
    config["repair_conf"] = {"confidence": 2.0}
    config["guard_conf"] = {"repetition": 0, "compression": 0, "shortest": 0}  # it writes nonsense
    config["llm_conf"] |= {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
    }
    changed = [key for key in changes if key.endswith("_conf") and changes[key] is not None]
    sections = {key: config.get(key, {}) | changes[key] for key in changed}
    return config | changes | sections


def build_model(tokenizer, seed: int = 0, for_training: bool = False, **changes):
    """Build a ``SAP2`` of ``small_config`` with seeded weights, in evaluation mode.

    Unless it is for training, its weights are drawn wider, so that no two answers are nearly tied, and its
    evidence embedding, which starts at zero, is drawn too.
    """
    import funasr_sap  # noqa: F401  (registers the classes)
    from funasr_sap.models.sap2 import SAP2

    config = small_config(**changes)
    arguments = config.pop("model_conf") | config
    for key in ("model", "frontend", "frontend_conf", "tokenizer_conf"):
        arguments.pop(key)
    torch.manual_seed(seed)
    model = SAP2(**arguments | {"tokenizer": tokenizer, "input_size": 560})
    if not for_training:
        with torch.no_grad():
            for parameter in model.llm.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(8)
            torch.nn.init.normal_(model.evidence.output.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A tokenizer learned from 300 sentences of the mini corpus' grammar; ``name_or_path`` is its folder."""
    from funasr_sap.train.scratch import train_tokenizer

    grammar, rng = get_language("en").grammar, random.Random(0)
    texts = [" ".join(token.word for token in grammar.sample(rng)) for _ in range(300)]
    folder = tmp_path_factory.mktemp("tokenizer")
    trained = train_tokenizer(texts, VOCAB_SIZE, folder)
    trained.name_or_path = str(folder)
    return trained


@pytest.fixture(scope="session")
def make_model(tokenizer):
    """``build_model`` with the session's tokenizer: ``make_model(seed, for_training, **changes)``."""
    return functools.partial(build_model, tokenizer)


@pytest.fixture(scope="session")
def small_model(tokenizer):
    """A ``SAP2`` with random seeded weights, in evaluation mode. Tests must not change it."""
    return build_model(tokenizer)


@pytest.fixture(scope="session")
def small_model_dir(tokenizer, small_model, speech_wavs, tmp_path_factory) -> Path:
    """A model directory that ``funasr_sap.AutoModel(model=DIR)`` loads, with ``small_model``'s weights."""
    from funasr.register import tables

    from funasr_sap.models.directory import write_model_directory
    from funasr_sap.train.scratch import compute_cmvn

    folder = tmp_path_factory.mktemp("small_model")
    config = small_config()
    tokenizer.save_pretrained(folder / "tokenizer")
    frontend = tables.frontend_classes[config["frontend"]](**config["frontend_conf"])
    compute_cmvn([each.source for each in speech_wavs], frontend, folder / "am.mvn")
    write_model_directory(folder, config)
    torch.save(small_model.state_dict(), folder / "model.pt")
    return folder


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """A Kaldi directory of 12 spoken utterances: wav.scp, text, keywords, biasing_list, data.jsonl."""
    # Not in pytest's own folder, which holds the user's name: wav.scp would carry it.
    with tempfile.TemporaryDirectory(prefix="funasr_sap_speech_") as name:
        folder = Path(name)
        make_corpus(folder, "train", utterances=NUM_UTTERANCES, seed=7, jobs=1)
        write_jsonl(folder / "data.jsonl", _utterances(folder))
        yield folder


def _utterances(folder: Path):
    texts, seconds = read_kaldi(folder / "text"), read_kaldi(folder / "utt2dur")
    hotwords, keywords = read_biasing_list(folder / "biasing_list"), read_biasing_list(folder / "keywords")
    for utt_id, path in read_kaldi(folder / "wav.scp").items():
        yield Utterance(
            key=utt_id,
            source=path,
            text=texts[utt_id],
            hotwords=tuple(hotwords[utt_id]),
            keywords=tuple(keywords[utt_id]),
            speech_length=int(float(seconds[utt_id]) * 100),
            text_length=len(texts[utt_id].split()),
        )


@pytest.fixture(scope="session")
def speech_wavs(speech_dir) -> list[Utterance]:
    """The utterances of ``speech_dir``, as ``read_jsonl`` gives them; ``source`` is a wav's path."""
    return read_jsonl(speech_dir / "data.jsonl")


@pytest.fixture(scope="session")
def frontend(small_model_dir):
    """FunASR's frontend of ``small_model_dir``."""
    from funasr.register import tables

    config = small_config()
    return tables.frontend_classes[config["frontend"]](
        **config["frontend_conf"], cmvn_file=str(small_model_dir / "am.mvn")
    )


@pytest.fixture(scope="session")
def features(frontend, speech_wavs) -> list[torch.Tensor]:
    """The features of ``speech_wavs``, each (frames, 560)."""
    from funasr_sap.audio import load_audio

    waveforms = [load_audio(each.source) for each in speech_wavs]
    return [frontend(waveform[None], [len(waveform)])[0][0] for waveform in waveforms]


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
    places = [place for place in by_length if speech_wavs[place].keywords][:TAUGHT_UTTERANCES]
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
    optimizer = torch.optim.AdamW(model.parameters(), lr=TAUGHT_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, TAUGHT_LEARNING_RATE, total_steps=TAUGHT_STEPS, pct_start=0.2
    )
    for step in range(TAUGHT_STEPS):
        loss, _, _ = model(**make_batch(places, seed=step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    return SimpleNamespace(model=model.eval(), places=places, utterances=[speech_wavs[p] for p in places])
