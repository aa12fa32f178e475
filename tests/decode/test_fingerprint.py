import shutil

import torch
from safetensors.torch import save_file

from funasr_sap.decode.fingerprint import fingerprint_file, fingerprint_model


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


def test_a_file_is_named_by_its_content(tmp_path):
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("one")
    (tmp_path / "c").write_text("two")
    a, b, c = (fingerprint_file(tmp_path / name) for name in "abc")
    assert a == b != c
