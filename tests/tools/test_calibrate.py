import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from funasr_sap.context.calibration import Calibration
from funasr_sap.context.retrieval import BY_SOUND
from funasr_sap.errors import DataError
from funasr_sap.models.directory import build_model, write_model_directory

TOOL = Path(__file__).parents[2] / "tools" / "calibrate.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("calibrate", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main = load_tool().main


def test_the_fit_goes_into_the_model_directory(small_model_dir, speech_dir, tmp_path, capsys):
    model_dir = tmp_path / "model"
    shutil.copytree(small_model_dir, model_dir)
    before = yaml.safe_load((model_dir / "config.yaml").read_text())
    (tmp_path / "words.txt").write_text("".join(f"wrong{number}\n" for number in range(60)))
    arguments = ["--model-dir", model_dir, "--data-dir", speech_dir, "--distractors", tmp_path / "words.txt"]
    main([*map(str, arguments), "--sizes", "5", "40", "--write"])
    printed = yaml.safe_load(capsys.readouterr().out)
    after = yaml.safe_load((model_dir / "config.yaml").read_text())
    assert after["retrieval_conf"].pop("calibration") == printed["calibration"]
    before["retrieval_conf"].pop("calibration", None)
    assert after == before  # nothing else has changed
    Calibration(**printed["calibration"])  # no coefficient has the wrong sign


def test_all_directories_are_read(small_model_dir, speech_dir, tmp_path):
    shutil.copy(speech_dir / "wav.scp", tmp_path)
    (tmp_path / "text").write_text("")
    (tmp_path / "keywords").write_text("")
    folders = [str(speech_dir), str(tmp_path)]
    with pytest.raises(DataError, match=rf"{tmp_path}: \S+ is in wav.scp; expected it in text and keywords"):
        main(["--model-dir", str(small_model_dir), "--data-dir", *folders])


def test_without_a_ctc_head_the_sounds_of_transcripts_count(
    make_model, small_model_dir, speech_dir, tmp_path, capsys
):
    changes = {
        "ctc": None,
        "span_head": None,
        "audio_adaptor": "LinearProjection",
        "audio_adaptor_conf": None,
    }
    model, folder = make_model(**changes), tmp_path / "model"
    assert model.calibration == BY_SOUND
    config = yaml.safe_load((small_model_dir / "config.yaml").read_text()) | changes
    config["retrieval_conf"].pop("calibration", None)
    write_model_directory(folder, config, source=small_model_dir)
    torch.save(model.state_dict(), folder / "model.pt")
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in ("wall", "stone", "river", "lamp")))
    arguments = ["--model-dir", folder, "--data-dir", speech_dir, "--distractors", tmp_path / "words.txt"]
    main([*map(str, arguments), "--sizes", "2", "--write"])
    fitted = Calibration(**yaml.safe_load(capsys.readouterr().out)["calibration"])
    assert fitted.reward == BY_SOUND.reward and fitted != BY_SOUND
    assert build_model(folder).calibration == fitted


def test_missing_arguments_are_named(capsys):
    with pytest.raises(SystemExit):
        main(["--model-dir", "sap2"])
    assert "--data-dir" in capsys.readouterr().err
