"""Models of full size, without their weights."""

import miniatures
import pytest

from funasr_sap.models.published import Published


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
    theirs = Published(tmp_path, "qwen2_audio", ())
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


def test_full_size_fun_asr_nano_has_the_names_and_shapes_of_funasr(tmp_path):
    from accelerate import init_empty_weights
    from funasr.register import tables
    from transformers import AutoConfig

    from funasr_sap.models.sizes import build_empty

    config = miniatures.config_of("fun_asr_nano")
    sections = {key: dict(config[key]) for key in ("audio_encoder_conf", "audio_adaptor_conf")}
    for section in sections.values():
        section.pop("dtype", None)
    published_llm = {"vocab_size": 151936, "hidden_size": 1024, "num_hidden_layers": 28, "head_dim": 128}
    published_llm |= {"intermediate_size": 3072, "num_attention_heads": 16, "num_key_value_heads": 8}
    AutoConfig.for_model("qwen3", **published_llm, tie_word_embeddings=True).save_pretrained(tmp_path)
    names = {key: config[key] for key in ("audio_encoder", "audio_adaptor", "llm")}
    with init_empty_weights():
        reference = tables.model_classes["FunASRNano"](
            **names, **sections, llm_conf={"init_param_path": str(tmp_path)}, input_size=560
        )
    reference.llm.tie_weights()
    theirs = Published(tmp_path, "FunASRNano", ())
    expected = {theirs.rename(name): value.shape for name, value in reference.named_parameters()}
    ours = build_empty(config, {}).named_parameters()
    assert {name: value.shape for name, value in ours} == expected


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fun_asr_nano", 596_049_920),
        ("qwen2_audio", 7_754_878_976),
        ("osum", 7_615_616_512),
        ("whisper_turbo_qwen3", 596_049_920),
    ],
)
def test_full_size_llms_are_as_large_as_published(name, size):
    from funasr_sap.models.sizes import build_empty, count

    assert count(build_empty(miniatures.config_of(name), {})["llm"]) == size


@pytest.mark.parametrize(
    "name",
    [
        "fun_asr_nano",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("qwen2_audio", "osum")),
        pytest.param("whisper_turbo_qwen3", marks=pytest.mark.slow),
    ],
)
def test_the_table_of_sizes_is_in_the_document(name):
    from funasr_sap.models.sizes import size_rows

    document = (miniatures.CONF.parent / "docs/backbones.md").read_text(encoding="utf-8")
    for row in size_rows(f"sap2_{name}", miniatures.config_of(name)):
        assert f"\n{row}\n" in document


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
