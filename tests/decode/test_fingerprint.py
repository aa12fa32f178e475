import shutil

import pytest
import torch
import yaml
from safetensors.torch import save_file

from funasr_sap.decode.fingerprint import fingerprint_file, fingerprint_model
from funasr_sap.registration import EMBEDDED


def test_a_model_is_named_by_its_weights_in_either_format(tmp_path):
    def name(format, value, copy="a"):
        folder = tmp_path / f"{format}{value}{copy}"
        folder.mkdir()
        (folder / "config.yaml").write_text("model: SAP2\n")
        state = {"w": torch.full((4,), value)}
        if format == "pt":
            torch.save(state, folder / "model.pt")
        else:
            save_file(state, folder / "model.safetensors")
        return fingerprint_model(str(folder))

    for format in ("pt", "safetensors"):
        assert name(format, 1.0) == name(format, 1.0, "b") != name(format, 2.0)
    assert fingerprint_model("a-name-of-the-hub") == "a-name-of-the-hub"


def test_a_configuration_counts(small_model_dir, tmp_path):
    shutil.copytree(small_model_dir, tmp_path / "other")
    assert fingerprint_model(str(tmp_path / "other")) == fingerprint_model(str(small_model_dir))
    with open(tmp_path / "other/config.yaml", "a") as stream:
        stream.write("# changed\n")
    assert fingerprint_model(str(tmp_path / "other")) != fingerprint_model(str(small_model_dir))


@pytest.mark.parametrize("name", ["am.mvn", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"])
def test_all_that_is_loaded_counts(name, tmp_path):
    shutil.copytree(EMBEDDED["sap2"], tmp_path / "copy")
    assert fingerprint_model(str(tmp_path / "copy")) == fingerprint_model("sap2")
    (tmp_path / "copy" / name).write_bytes((tmp_path / "copy" / name).read_bytes() + b"\n")
    changed = fingerprint_model(str(tmp_path / "copy"))
    (tmp_path / "copy" / name).unlink()
    assert len({changed, fingerprint_model(str(tmp_path / "copy")), fingerprint_model("sap2")}) == 3


def test_what_a_training_leaves_beside_the_model_does_not_count(small_model_dir, tmp_path):
    shutil.copytree(small_model_dir, tmp_path / "exp")
    for name in ("model.pt.ep1", "train.log", "README.md"):
        (tmp_path / "exp" / name).write_text("x")
    assert fingerprint_model(str(tmp_path / "exp")) == fingerprint_model(str(small_model_dir))


@pytest.mark.parametrize("where", ["backbone", "llm_conf"])
def test_the_weights_of_a_backbone_count(where, tmp_path):
    """Of big files only both ends of each tensor are read."""
    model, backbone = tmp_path / "model", tmp_path / "backbone"
    model.mkdir()
    backbone.mkdir()
    conf = {"backbone": str(backbone)} if where == "backbone" else {where: {"init_param_path": str(backbone)}}
    (model / "config.yaml").write_text(yaml.safe_dump({"model": "SAP2", **conf}))
    names = []
    for last in (0.0, 1.0):
        weights = {"a": torch.zeros(5000), "b": torch.zeros(5000)}
        weights["b"][-1] = last
        save_file(weights, backbone / "model-00001.safetensors")
        names.append(fingerprint_model(str(model)))
    (backbone / "config.json").write_text("{}")
    assert len({*names, fingerprint_model(str(model))}) == 3
    (backbone / "model-00001.safetensors").write_text("no weights")
    assert fingerprint_model(str(model)) not in names


@pytest.mark.parametrize("content", ["[", "- a", "", "backbone: 3"])
def test_a_broken_configuration_is_left_for_loading_to_tell(content, tmp_path):
    (tmp_path / "config.yaml").write_text(content)
    (tmp_path / "configuration.json").write_text(content)
    assert len(fingerprint_model(str(tmp_path))) == 12


def test_a_file_is_named_by_its_content(tmp_path):
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("one")
    (tmp_path / "c").write_text("two")
    a, b, c = (fingerprint_file(tmp_path / name) for name in "abc")
    assert a == b != c
