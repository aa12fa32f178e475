import itertools
import re

import miniatures
import pytest
import torch
from funasr_sap.models.decoding import DecodingOptions, decode

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.prompt_table import TASKS
from funasr_sap.errors import ConfigError
from funasr_sap.models.backbone import change_config
from funasr_sap.models.sap2 import SAP2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context_poling_conf": {}}, "'context_poling_conf' .did you mean 'context_pooling_conf'"),
        ({"model_conf": {"ctc_wieght": 1.0}}, "'ctc_wieght' .did you mean 'ctc_weight'"),
        (
            {"audio_encoder_conf": {"num_block": 2}},
            "audio_encoder_conf: .*'num_block' .did you mean 'num_blocks'",
        ),
        ({"audio_adaptor_conf": {"hiden_dim": 2}}, "audio_adaptor_conf: .*'hidden_dim'"),
        ({"ctc_conf": {"odm": 2}}, "ctc_conf: unknown key 'odm'"),
        ({"context_pooling_conf": {"windows": 2}}, "context_pooling_conf: .*did you mean 'window'"),
        ({"retrieval_conf": {"tops": 2}}, "retrieval_conf: .*did you mean 'top'"),
        ({"prompt_conf": {"lang": "en"}}, "prompt_conf: .*'lang'"),
        ({"specaug_conf": {"num_freq_masks": 2}}, "specaug_conf: .*did you mean 'num_freq_mask'"),
        ({"llm_conf": {"hidden_sizes": 2}}, "llm_conf: Qwen3Config has no field 'hidden_sizes'"),
        ({"llm": "qwen33"}, "llm: transformers has no architecture 'qwen33'"),
        ({"audio_encoder": "SenseVoiceEncoder"}, "audio_encoder: .*did you mean SenseVoiceEncoderSmall"),
        ({"audio_adaptor": "CTCAdapter"}, "audio_adaptor: .*did you mean CTCAdaptor"),
        ({"task_weights": {"pruning": 1.0}}, "task_weights: unknown key 'pruning'"),
        ({"task_weights": dict.fromkeys(TASKS, 0.0)}, "at least one task needs a weight above 0"),
    ],
)
def test_unknown_keys_and_names_are_errors(changes, message, make_model):
    with pytest.raises(ConfigError, match=message):
        make_model(**changes)


SMALL = {
    "audio_encoder": {
        "SenseVoiceEncoderSmall": miniatures.SANM,
        "WhisperEncoder": miniatures.WHISPER,
        "Qwen2AudioEncoder": miniatures.WHISPER,
        "FunAsrNanoEncoder": {
            **{"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32},
            **{"num_hidden_layers": 2, "num_timestamp_prediction_layers": 1},
        },
    },
    "audio_adaptor": {
        "LinearProjection": {},
        "Transformer": {"downsample_rate": 2, "ffn_dim": 16, "n_layer": 1, "attention_heads": 4},
        "FunAsrNanoProjector": {"num_attention_heads": 4},
        "OSUMAdaptor": {"attention_heads": 2, "linear_units": 24, "num_blocks": 1, "speech_tokens": 4},
    },
    "llm": {
        "qwen2": {**miniatures.LLM, "vocab_size": 400},
        "qwen3": {**miniatures.LLM, "vocab_size": 400, "head_dim": 8, "tie_word_embeddings": True},
    },
}


CONFIGS = ("fun_asr_nano", "qwen2_audio", "osum", "whisper_turbo_qwen3")


@pytest.mark.parametrize("name", CONFIGS)
def test_encoders_adaptors_and_llms_mix_freely(name, tokenizer):
    """As by ++audio_encoder, ++audio_adaptor and ++llm, all 32 shared out: each takes a step and decodes."""
    config = miniatures.config_of(name) | {"prompt_conf": {"language": "en"}}
    for chosen in list(itertools.product(*SMALL.values()))[CONFIGS.index(name) :: len(CONFIGS)]:
        changes = dict(zip(SMALL, chosen, strict=True))
        changes |= {f"{part}_conf": SMALL[part][name] for part, name in changes.items()}
        mixed = change_config(config, changes)
        for key in ("model", "frontend", "frontend_conf", "tokenizer", "tokenizer_conf"):
            mixed.pop(key)
        bands = 80 if "num_mel_bins" in mixed["audio_encoder_conf"] else 560
        model = SAP2(**mixed.pop("model_conf") | mixed, tokenizer=tokenizer, input_size=bands).train()
        assert model.frozen == ["audio_encoder"]  # as the configuration says of any
        speech, lengths = torch.randn(2, 60, bands), torch.tensor([60, 40])
        texts, words = ["the leaf"] * 2, [["leaf"]] * 2
        loss, _, _ = model(speech, lengths, texts, texts, words, words)
        loss.backward()
        assert loss.isfinite() and any(p.grad is not None for p in model.audio_adaptor.parameters())
        lists = [BiasingList(["leaf"], tokenizer)] * 2
        assert len(decode(model.eval(), speech, lengths, lists, DecodingOptions(language="en"))) == 2


def test_a_part_of_another_class_leaves_the_arguments_of_the_old_one_behind():
    config = miniatures.config_of("fun_asr_nano")
    changes = {"audio_adaptor": "LinearProjection", "llm_conf": {"hidden_size": 8}}
    changed = change_config(config, changes)
    assert changed["audio_adaptor_conf"] == {"dtype": "fp32", "freeze": False}
    assert changed["llm_conf"] == config["llm_conf"] | {"hidden_size": 8}
    assert config["audio_adaptor_conf"]["ffn_dim"] == 2048


def test_funasrs_own_keys_are_no_errors(make_model):
    make_model(
        model="SAP2",
        batch_size=4,
        vad_model="fsmn-vad",
        optim="adamw",
        train_conf={},
        dataset_conf={},
        hotword="a",
        prune="none",
        output_dir="x",
    )


def load(folder, **options):
    from funasr_sap import AutoModel

    return AutoModel(model=str(folder), device="cpu", ncpu=1, **options)


@pytest.fixture
def broken_dir(small_model_dir, tmp_path):
    """``broken_dir(change)``: a model directory whose weights were changed by a function."""

    def make(change):
        for path in small_model_dir.iterdir():
            (tmp_path / path.name).symlink_to(path)
        weights = torch.load(small_model_dir / "model.pt")
        change(weights)
        (tmp_path / "model.pt").unlink()
        torch.save(weights, tmp_path / "model.pt")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "1 missing: evidence.output.bias;"),
        ("another shape", r"1 misshapen: evidence.output.bias \(5,\), expected \(32,\);"),
        ("left over", "1 left over: evidence.outputs.bias;"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(change, message, broken_dir, caplog):
    def spoil(weights):
        if change == "left over":
            weights["evidence.outputs.bias"] = weights["evidence.output.bias"]
            return
        bias = weights.pop("evidence.output.bias")
        if change == "another shape":
            weights["evidence.output.bias"] = bias[:5]

    folder = broken_dir(spoil)
    with pytest.raises(ConfigError, match=f"init_param does not fit this model; {message}"):
        load(folder)
    load(folder, ignore_init_mismatch=True)
    assert re.search(message.rstrip(";"), caplog.text)


def test_a_directory_without_weights_is_an_error(broken_dir):
    folder = broken_dir(lambda weights: None)
    (folder / "model.pt").unlink()
    with pytest.raises(ConfigError, match=r"no weights in .*expected model.pt"):
        load(folder)


def test_the_directory_gives_the_model_back(small_model_dir, small_model):
    loaded = load(small_model_dir).model
    assert not loaded.training
    expected = small_model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
