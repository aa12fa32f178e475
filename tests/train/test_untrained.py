from pathlib import Path

import pytest
import yaml

from funasr_sap.models.directory import read_model_config, read_untrained_parts
from funasr_sap.train.training import train, untrained_parts


def note(folder: Path, **changes) -> Path:
    config = read_model_config(folder) | changes
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.yaml").write_text(yaml.safe_dump({"model_conf": {"llm_weight": 1.0}}))
    return tmp_path / "model"


def test_a_loss_that_is_left_out_takes_nothing_away(folder):
    """A weight says what is trained now, not what a model knows."""
    weights = {"model_conf": {"llm_weight": 0.0, "ctc_weight": 1.0}}
    assert untrained_parts({"model_path": str(folder), **weights}) == []
    note(folder, untrained_parts=["ctc", "llm", "span_head"])
    assert untrained_parts({"model_path": str(folder), **weights}) == ["llm", "span_head"]
    assert untrained_parts({"model_path": str(folder), "model_conf": {"llm_weight": 1.0}}) == [
        "ctc",
        "span_head",
    ]


def test_weights_from_another_directory_bring_what_they_learned(folder, tmp_path):
    note(folder, untrained_parts=["llm"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_text(yaml.safe_dump({"untrained_parts": []}))
    config = {"model_path": str(folder), "init_param": str(tmp_path / "other/model.pt"), "model_conf": {}}
    assert untrained_parts(config) == []
    assert untrained_parts(config | {"init_param": str(tmp_path / "bare.pt")}) == ["llm"]


def test_an_older_directory_tells_by_its_weight(folder):
    assert read_untrained_parts(folder) == []
    assert read_untrained_parts(note(folder, model_conf={"llm_weight": 0.0})) == ["llm"]


def test_a_finetuning_without_the_llm_leaves_a_model_that_decodes(make_config, speech_wavs, tmp_path):
    from funasr_sap import AutoModel

    config = make_config(model_conf={"llm_weight": 0.0, "ctc_weight": 1.0})
    config["train_conf"] |= {"max_epoch": 1}
    train(config)
    assert read_model_config(tmp_path / "exp")["untrained_parts"] == []
    model = AutoModel(model=str(tmp_path / "exp"), disable_pbar=True)
    assert "text" in model.generate(speech_wavs[0].source)[0]
