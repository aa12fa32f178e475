"""Published weights that fit, and those that do not."""

import logging

import miniatures
import pytest
import torch
from safetensors.torch import load_file, save_file

from funasr_sap.errors import ConfigError
from funasr_sap.models import construction, published
from funasr_sap.models.backbone import import_backbone
from funasr_sap.models.directory import build_model
from funasr_sap.models.published import PREFIXES, find_published


@pytest.fixture
def base(tokenizer, tmp_path):
    miniatures.qwen2_audio(tmp_path / "base", tokenizer)
    return tmp_path / "base"


@pytest.fixture
def config():
    config = miniatures.config_of("qwen2_audio")
    for part in ("audio_encoder_conf", "llm_conf"):
        config[part].pop("dtype")
    return config


def change(base, function):
    (file,) = base.glob("*.safetensors")
    state = load_file(file)
    function(state)
    save_file(state, file, metadata={"format": "pt"})


def find(state, end):
    return next(name for name in state if name.endswith(end))


def test_every_name_that_does_not_fit_is_listed(base, config, tmp_path, caplog):
    def spoil(state):
        state.pop(find(state, "conv1.bias"))
        state["talker.weight"] = torch.zeros(2)
        name = find(state, "linear.bias")
        state[name] = state[name][:5].clone()

    change(base, spoil)
    message = (
        r"1 missing: audio_encoder.model.conv1.bias; 1 left over: talker.weight; "
        r"1 misshapen: audio_adaptor.linear.bias \(5,\), expected \(32,\)"
    )
    with pytest.raises(ConfigError, match=message):
        import_backbone(config, tmp_path / "sap2", base)
    with caplog.at_level(logging.WARNING):
        model = import_backbone(config | {"ignore_init_mismatch": True}, tmp_path / "sap2", base)
    assert "1 left over: talker.weight" in caplog.text
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert model.audio_adaptor.linear.bias.isfinite().all()


def test_a_long_list_is_cut_after_twenty(base, config, tmp_path):
    change(base, lambda state: state.update({f"talker.{i:02}": torch.zeros(1) for i in range(25)}))
    with pytest.raises(ConfigError, match=r"25 left over: talker.00, .*talker.19, \.\.\.; pass"):
        import_backbone(config, tmp_path / "sap2", base)


def test_weights_are_in_memory_once(base, config, tmp_path, monkeypatch):
    import_backbone(config, tmp_path / "sap2", base)
    read = {}

    def remember(self, tensors=published.Published.tensors):
        for name, value in tensors(self):
            read[self.rename(name)] = value.data_ptr()
            yield name, value

    def load(model, source, *arguments, load_published=construction.load_published):
        parts = ("audio_encoder.", "audio_adaptor.", "llm.")
        covered = [value for name, value in model.named_parameters() if name.startswith(parts)]
        assert len(covered) > 50 and all(value.is_meta for value in covered)
        return load_published(model, source, *arguments)

    monkeypatch.setattr(published.Published, "tensors", remember)
    monkeypatch.setattr(construction, "load_published", load)
    model = build_model(tmp_path / "sap2")
    places = {name.replace(".base_layer.", "."): p.data_ptr() for name, p in model.named_parameters()}
    assert read.items() <= places.items()


def test_a_checkpoint_on_a_backbone_holds_what_trains_only(base, config, tmp_path):
    model = import_backbone(config, tmp_path / "sap2", base)
    saved = torch.load(tmp_path / "sap2/model.pt", weights_only=True)
    parts = {name.partition(".")[0] for name in saved}
    assert parts == {"llm", "evidence"} and all(".lora_" in n for n in saved if n.startswith("llm."))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {"audio_adaptor.linear.weight", "audio_adaptor.linear.bias"} <= trained
    assert model.state_dict().keys() == trained | saved.keys()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in trained:
                parameter.add_(0.5)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "sap2/model.pt")
    again = build_model(tmp_path / "sap2")
    for name, value in again.named_parameters():
        assert torch.equal(value, model.get_parameter(name)), name


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
    assert published.Published(tmp_path, kind, ()).rename(name) == ours


def test_unknown_names_raise(tmp_path):
    for kind in PREFIXES:
        with pytest.raises(KeyError):
            published.Published(tmp_path, kind, ()).rename("vision_tower.weight")


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


def test_places_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="no such directory or file: nowhere"):
        find_published("nowhere")
    with pytest.raises(ConfigError, match=r"hub: expected ms .* got 'github'"):
        find_published("a/b", hub="github")


def reference_on_meta(kind):
    """The class that published a configuration, at its full size, without memory."""
    from accelerate import init_empty_weights
    from transformers import (
        FunAsrNanoConfig,
        FunAsrNanoForConditionalGeneration,
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
    )

    with init_empty_weights():
        if kind == "fun_asr_nano":
            return FunAsrNanoForConditionalGeneration(FunAsrNanoConfig())
        text = {"model_type": "qwen2", "vocab_size": 156032, "intermediate_size": 11008}
        return Qwen2AudioForConditionalGeneration(Qwen2AudioConfig(text_config=text))


def test_full_size_qwen2_audio_has_the_published_names_and_shapes(tmp_path):
    from funasr_sap.models.sizes import build_empty

    ours = dict(build_empty(miniatures.config_of("qwen2_audio"), {}).named_parameters())
    theirs = published.Published(tmp_path, "qwen2_audio", ())
    expected = {theirs.rename(n): v.shape for n, v in reference_on_meta("qwen2_audio").named_parameters()}
    assert {name: value.shape for name, value in ours.items()} == expected
    assert all(value.is_meta for value in ours.values())
    assert sum(value.numel() for value in ours.values()) == 8_397_094_912  # of the model's page: 8.4 B


def test_full_size_fun_asr_nano_is_as_large_as_transformers_has_it(tmp_path):
    from funasr_sap.models.sizes import build_empty, count

    ours = build_empty(miniatures.config_of("fun_asr_nano"), {})
    reference = reference_on_meta("fun_asr_nano").model
    # FunASR's encoder has its norms; the projections of q, k and v are one tensor there.
    assert count(ours["audio_encoder"]) == count(reference.audio_tower)
    assert count(ours["audio_adaptor"]) == count(reference.multi_modal_projector)
    assert count(ours["llm"].model) == count(reference.language_model)


@pytest.mark.parametrize("name", ["osum", "whisper_turbo_qwen3"])
def test_full_size_encoders_are_whispers(name):
    from accelerate import init_empty_weights
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from funasr_sap.models.sizes import build_empty

    sizes = {
        "osum": {
            "d_model": 1024,
            "encoder_layers": 24,
            "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096,
        },
        "whisper_turbo_qwen3": {
            **{"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20},
            **{"encoder_ffn_dim": 5120, "num_mel_bins": 128},
        },
    }
    with init_empty_weights():
        reference = WhisperEncoder(WhisperConfig(**sizes[name]))
    ours = build_empty(miniatures.config_of(name), {})["audio_encoder"].model
    shapes = [{n: v.shape for n, v in each.named_parameters()} for each in (ours, reference)]
    assert shapes[0] == shapes[1]
