"""Published weights: where they are, and what their names are here."""

import json

import miniatures
import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.models.published import PREFIXES, Published, find_published


def test_a_model_directory_of_ones_own_is_a_backbone_too(small_model_dir, small_model):
    found = find_published(small_model_dir)
    assert found.format == "sap2"
    names = {found.rename(name) for name, _ in found.tensors()}
    assert names == small_model.state_dict().keys()


@pytest.mark.parametrize(
    ("kind", "name", "ours"),
    [
        ("qwen2_audio", "language_model.model.norm.weight", "llm.model.norm.weight"),
        ("qwen2_audio", "model.language_model.norm.weight", "llm.model.norm.weight"),
        ("qwen2_audio", "language_model.lm_head.weight", "llm.lm_head.weight"),
        ("fun_asr_nano", "lm_head.weight", "llm.lm_head.weight"),
        ("FunASRNano", "ctc_decoder.linear1.weight", None),
        ("whisper", "model.encoder.conv1.bias", "audio_encoder.model.conv1.bias"),
        ("causal_lm", "model.layers.0.mlp.up_proj.weight", "llm.model.layers.0.mlp.up_proj.weight"),
        (
            "osum",
            "encoder.encoders.3.feed_forward.w_2.bias",
            "audio_encoder.model.layers.3.fc2.bias",
        ),
        (
            "osum",
            "speech_transformer.encoders.3.feed_forward.w_2.bias",
            "audio_adaptor.transformer.encoders.3.feed_forward.w_2.bias",
        ),
        (
            "qwen2_audio",
            "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "llm.model.layers.0.self_attn.q_proj.lora_A.default.weight",
        ),
    ],
)
def test_published_names(kind, name, ours, tmp_path):
    assert Published(tmp_path, kind, ()).rename(name) == ours


def test_unknown_names_raise(tmp_path):
    for kind in PREFIXES:
        with pytest.raises(KeyError):
            Published(tmp_path, kind, ()).rename("vision_tower.weight")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no published weights; expected config.json"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "qwen2"}'),
            "no weights: expected",
        ),
        (
            lambda folder: [
                (folder / "config.yaml").write_text("model: Paraformer"),
                (folder / "model.pt").write_bytes(b""),
            ],
            "names the model 'Paraformer'; expected FunASRNano or SAP2",
        ),
    ],
)
def test_directories_that_are_none(make, message, tmp_path):
    make(tmp_path)
    with pytest.raises(ConfigError, match=message):
        find_published(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder, tokenizer: miniatures.qwen2_audio(folder, tokenizer),
        lambda folder, tokenizer: miniatures.whisper(folder),
        lambda folder, tokenizer: (folder / "adapter_model.safetensors").write_bytes(b""),
    ],
)
def test_published_weights_are_no_model_directory_yet(make, tokenizer, tmp_path):
    from funasr_sap import AutoModel

    make(tmp_path, tokenizer)
    with pytest.raises(ConfigError, match=r"holds published weights; .*by funasr-sap import-backbone"):
        AutoModel(model=str(tmp_path))


def test_a_file_of_weights_is_no_model_directory(tmp_path):
    from funasr_sap import AutoModel

    (tmp_path / "infer.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"infer.pt is a file, .*by funasr-sap import-backbone"):
        AutoModel(model=str(tmp_path / "infer.pt"))


def test_a_directory_of_fun_asr_nano_is_funasrs_own_model(tokenizer, tmp_path):
    from funasr_sap import AutoModel

    reference, _ = miniatures.fun_asr_nano(tmp_path, tokenizer)
    files = {"init_param": "model.pt", "config": "config.yaml"}
    files |= {section: {"init_param_path": "Qwen3-0.6B"} for section in ("tokenizer_conf", "llm_conf")}
    (tmp_path / "configuration.json").write_text(json.dumps({"file_path_metas": files}), encoding="utf-8")
    model = AutoModel(model=str(tmp_path)).model
    assert type(model) is type(reference)
    found, expected = (each.audio_adaptor.state_dict() for each in (model, reference))
    torch.testing.assert_close(found, expected)


def test_places_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="no such directory or file: nowhere"):
        find_published("nowhere")
    with pytest.raises(ConfigError, match=r"hub: expected ms .* got 'github'"):
        find_published("a/b", hub="github")
