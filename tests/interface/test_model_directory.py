"""Model directories that are not whole: one sentence each, which names the file."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from funasr_sap.errors import ConfigError


def remove(name):
    def change(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def write(name, content):
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def cut(name):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def configure(**changes):
    """Change keys of ``config.yaml``; ``...`` takes one out."""

    def change(folder):
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) | changes
        config = {key: value for key, value in config.items() if value is not ...}
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    return change


def leave_out(key):
    """Take a key out of ``configuration.json``."""

    def change(folder):
        layout = json.loads((folder / "configuration.json").read_text(encoding="utf-8"))
        del layout["file_path_metas"][key]
        (folder / "configuration.json").write_text(json.dumps(layout), encoding="utf-8")

    return change


def empty_tokenizer(folder):
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()


def narrow_statistics(folder):
    lines = [line.split() for line in (folder / "am.mvn").read_text().splitlines()]
    lines = [[*line[:83], line[-1]] if line[:1] == ["<LearnRateCoef>"] else line for line in lines]
    (folder / "am.mvn").write_text("\n".join(map(" ".join, lines)))


def damage_weights(folder):
    """Write zeros over weights: the archive of ``model.pt`` stays whole but for its sums."""
    with zipfile.ZipFile(folder / "model.pt") as archive:
        largest = max(archive.infolist(), key=lambda each: each.file_size)
    content = bytearray((folder / "model.pt").read_bytes())
    middle = largest.header_offset + largest.file_size // 2
    content[middle : middle + 2000] = bytes(2000)
    (folder / "model.pt").write_bytes(content)


def save(state):
    return lambda folder: torch.save(state, folder / "model.pt")


def reshape(folder):
    state = torch.load(folder / "model.pt", weights_only=True)
    torch.save({name: value[..., :1] for name, value in state.items()}, folder / "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("am.mvn"), "am.mvn is missing, which configuration.json names"),
        (remove("tokenizer"), "tokenizer is missing, which configuration.json names"),
        (empty_tokenizer, "tokenizer: .*/tokenizer cannot be read"),
        (write("tokenizer/tokenizer.json", "{}"), "tokenizer: .*/tokenizer cannot be read .KeyError"),
        (write("tokenizer/tokenizer.json", ""), "tokenizer: .*/tokenizer cannot be read"),
        (cut("tokenizer/tokenizer.json"), "tokenizer: .*/tokenizer cannot be read"),
        (cut("tokenizer/tokenizer_config.json"), "tokenizer: .*/tokenizer cannot be read"),
        (write("config.yaml", ""), "config.yaml is empty"),
        (write("config.yaml", "- a\n"), "config.yaml holds a list, expected a mapping"),
        (write("config.yaml", "model: [SAP2\n"), "config.yaml is not YAML"),
        (remove("config.yaml"), "holds no config.yaml; expected a model directory"),
        (configure(model=...), "config.yaml: expected model: and the name of a class, it names none"),
        (configure(model="SAP9"), "config.yaml: model 'SAP9' is not registered with FunASR; expected"),
        (configure(model_conf=None), "config.yaml: model_conf: expected a mapping of keys, got None"),
        (configure(llm_conf=...), "config.yaml: expected llm_conf: and the sizes of the LLM"),
        (configure(frontend=...), "config.yaml: expected frontend: and the name of a class, got None"),
        (configure(tokenizer="None"), "config.yaml: tokenizer: 'None' is not registered"),
        (configure(frontend_conf={"lfr_m": 5}), "am.mvn holds no statistics of 400 features"),
        (configure(guard_conf={"silence": "x"}), "guard_conf.silence: expected a number, got 'x'"),
        (configure(retrieval_conf={"top": "x"}), "retrieval_conf.top: expected a whole number"),
        (configure(llm_conf={"hidden_size": "x"}), "no SAP2 can be built of its config.yaml"),
        (configure(prompt_conf={"languages": ["xx"]}), r"prompt_conf.languages: .* got \['xx'\]"),
        (write("configuration.json", "{"), "configuration.json is not JSON"),
        (write("configuration.json", "[]"), "configuration.json: expected file_path_metas"),
        (remove("configuration.json"), "holds no configuration.json that names the model's files"),
        (leave_out("frontend_conf"), r"configuration.json does not name am.mvn \(frontend_conf\)"),
        (leave_out("config"), "configuration.json does not name config.yaml"),
        (write("am.mvn", ""), "am.mvn holds no statistics of 560 features"),
        (write("am.mvn", "hello world\n"), "am.mvn holds no statistics of 560 features"),
        (cut("am.mvn"), "am.mvn holds no statistics of 560 features"),
        (narrow_statistics, "am.mvn holds no statistics of 560 features"),
        (remove("model.pt"), "no weights in .*; expected model.pt or model.safetensors"),
        (cut("model.pt"), "init_param: .*model.pt is damaged, or no weights"),
        (write("model.pt", ""), "init_param: .*model.pt is damaged, or no weights"),
        (write("model.pt", "version https://git-lfs"), "init_param: .*model.pt is damaged, or no weights"),
        (damage_weights, "init_param: .*model.pt is damaged, .* is not what was written"),
        (save(torch.zeros(3)), "model.pt: expected a file of weights by name"),
        (save({}), "model.pt holds no weights"),
        (save({"a": torch.zeros(3)}), "init_param does not fit this model; .* missing"),
        (reshape, "init_param does not fit this model; .* misshapen"),
    ],
)
def test_a_directory_that_is_not_whole(change, message, model_dir, tmp_path):
    from funasr_sap import AutoModel

    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    change(folder)
    with pytest.raises(ConfigError, match=message) as caught:
        AutoModel(model=folder, ncpu=1)
    assert "\n" not in str(caught.value)


def test_a_directory_without_model_conf_or_tokenizer_config_is_whole(model_dir, model, wavs, tmp_path):
    from funasr_sap import AutoModel

    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    configure(model_conf=...)(folder)
    remove("tokenizer/tokenizer_config.json")(folder)
    loaded = AutoModel(model=folder, ncpu=1, disable_pbar=True)
    assert loaded.generate(wavs[:3]) == model.generate(wavs[:3])


def test_a_frontend_without_statistics_names_none(small_model_dir, tmp_path):
    from funasr_sap.models.directory import read_model_config, write_model_directory

    shutil.copytree(small_model_dir / "tokenizer", tmp_path / "tokenizer")
    write_model_directory(tmp_path, read_model_config(small_model_dir))
    layout = json.loads(Path(tmp_path, "configuration.json").read_text(encoding="utf-8"))
    assert list(layout["file_path_metas"]) == ["init_param", "config", "tokenizer_conf"]
