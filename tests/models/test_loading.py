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
