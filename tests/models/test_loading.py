"""Published weights that fit, and those that do not."""

import functools
import hashlib
import http.server
import json
import logging
import threading

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
    with pytest.raises(ConfigError, match=r"holds published weights; .*by tools/import_backbone.py"):
        AutoModel(model=str(tmp_path))


def test_a_file_of_weights_is_no_model_directory(tmp_path):
    from funasr_sap import AutoModel

    (tmp_path / "infer.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"infer.pt is a file, .*by tools/import_backbone.py"):
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


@pytest.fixture
def hub(base, monkeypatch):
    """A Hugging Face hub on this machine, with one model; ``hub.requests`` are the paths it was asked for."""
    import huggingface_hub
    from huggingface_hub import constants

    files = sorted(path for path in base.iterdir() if path.is_file())
    commit = "0" * 40

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            path = self.path.partition("?")[0]
            server.requests.append(path)
            api, prefix = "/api/models/us/mini", f"/us/mini/resolve/{commit}/"
            if path in (api, f"{api}/revision/main"):
                names = [{"rfilename": file.name} for file in files]
                return self.answer({"id": "us/mini", "sha": commit, "siblings": names})
            if path == f"{api}/tree/{commit}":
                names = [(file.name, file.stat().st_size) for file in files]
                return self.answer(
                    [{"type": "file", "path": n, "size": size, "oid": "0"} for n, size in names]
                )
            if path.startswith(prefix) and (base / path.removeprefix(prefix)).is_file():
                return self.answer((base / path.removeprefix(prefix)).read_bytes())
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815  (the name is http.server's)

        def answer(self, content):
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    cache = base.parent / "cache"
    fetch = functools.partial(huggingface_hub.snapshot_download, endpoint=url, cache_dir=cache)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_name_at_hugging_face(hub, base, config, tmp_path):
    expected = import_backbone(config, tmp_path / "local", base).state_dict()
    model = import_backbone(config, tmp_path / "sap2", "us/mini", hub="hf")
    torch.testing.assert_close(model.audio_adaptor.state_dict(), find_adaptor(base))
    assert any(path.endswith(".safetensors") for path in hub.requests)
    asked = len(hub.requests)
    again = build_model(tmp_path / "sap2")  # its config.yaml has the name; the files are in the cache
    assert again.state_dict().keys() == expected.keys()
    assert not any(path.endswith(".safetensors") for path in hub.requests[asked:])
    with pytest.raises(ConfigError, match=r"backbone: us/none cannot be had from hub=hf: .*404") as caught:
        import_backbone(config, tmp_path / "none", "us/none", hub="hf")
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached(hub, config, tmp_path):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ConfigError, match="backbone: us/mini cannot be had from hub=hf: ") as caught:
        import_backbone(config, tmp_path / "sap2", "us/mini", hub="hf")
    assert "\n" not in str(caught.value)


def find_adaptor(base):
    (file,) = base.glob("*.safetensors")
    state = load_file(file)
    return {f"linear.{each}": state[find(state, f"linear.{each}")] for each in ("weight", "bias")}


def test_a_name_at_modelscope(base, config, tmp_path, monkeypatch):
    import modelscope

    asked = []

    def snapshot_download(name):
        asked.append(name)
        if name != "us/mini":
            raise RuntimeError(f"The request model: {name} does not exist!\nRequest ID: 1")
        return str(base)

    monkeypatch.setattr(modelscope, "snapshot_download", snapshot_download)
    model = import_backbone(config, tmp_path / "sap2", "us/mini", hub="ms")
    torch.testing.assert_close(model.audio_adaptor.state_dict(), find_adaptor(base))
    assert set(asked) == {"us/mini"}
    message = "us/none cannot be had from hub=ms: The request model: us/none does not exist! Request ID: 1"
    with pytest.raises(ConfigError, match=message):
        import_backbone(config, tmp_path / "none", "us/none", hub="ms")


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
    theirs = published.Published(tmp_path, "FunASRNano", ())
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
