"""lora_merge, average_checkpoints, deepen_encoder and export, on miniatures."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from funasr_sap.errors import ConfigError
from funasr_sap.models.averaging import average_checkpoints, newest_epochs
from funasr_sap.models.directory import build_model, read_model_config
from funasr_sap.models.language_model import Prompt
from funasr_sap.train.record import write_record

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/models"), str(ROOT / "tools")]

import average_checkpoints as average_tool  # noqa: E402
import deepen_encoder as deepen_tool  # noqa: E402
import export as export_tool  # noqa: E402
import lora_merge  # noqa: E402
import miniatures  # noqa: E402


@pytest.fixture(scope="module")
def adapted(tokenizer, tmp_path_factory):
    """A model directory on a backbone, with adapters and tags that have been trained."""
    from funasr_sap.models.backbone import import_backbone

    folder = tmp_path_factory.mktemp("adapted")
    miniatures.qwen3(folder / "qwen3", tokenizer)
    miniatures.whisper(folder / "whisper")
    config = miniatures.config_of("whisper_turbo_qwen3")
    config["audio_adaptor_conf"] |= {"ffn_dim": 16, "n_layer": 1, "attention_heads": 4}
    parts = {"audio_encoder": folder / "whisper", "llm": folder / "qwen3"}
    config["prompt_conf"] |= {"style": "sap2_asr"}
    model = import_backbone(config, folder / "sap2", parts=parts)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    torch.save(model.state_dict(), folder / "sap2/model.pt")
    return folder / "sap2"


@torch.no_grad()
def logits(model):
    speech = torch.randn(1, 120, 80, generator=torch.Generator().manual_seed(0))
    llm = model.language_model
    memory = llm.attend(model.encode(speech, torch.tensor([120])))
    batch = llm.prompt_batch(memory, [Prompt("transcribe", model.language)], None)
    return model.llm(inputs_embeds=llm.embed_prompt(batch, memory, None)).logits[..., :400]


@pytest.mark.parametrize("format", ["funasr", "hf"])
def test_merged_models_stand_alone(format, adapted, tmp_path, capsys):
    expected = logits(build_model(adapted))
    lora_merge.main(
        ["--model-dir", str(adapted), "--output-dir", str(tmp_path / "alone"), "--format", format]
    )
    assert "M parameters" in capsys.readouterr().out
    config = read_model_config(tmp_path / "alone")
    assert not {"init_param_path", "lora_conf"} & {
        key for c in config.values() if isinstance(c, dict) for key in c
    }
    alone = build_model(tmp_path / "alone")
    assert alone.new_tokens is None and not alone.from_backbone
    torch.testing.assert_close(logits(alone), expected, rtol=1e-5, atol=1e-5)
    card = (tmp_path / "alone/README.md").read_text()
    assert "| llm | qwen3 |" in card and "lora_alpha: 32" in card


def test_an_export_for_hugging_face_is_a_model_directory(small_model_dir, speech_wavs, tmp_path):
    from funasr_sap import AutoModel

    shared = tmp_path / "shared"
    export_tool.main(
        [
            "--model-dir",
            str(small_model_dir),
            "--output-dir",
            str(shared),
            "--format",
            "hf",
            "--dtype",
            "fp32",
        ]
    )
    assert not (shared / "model.pt").exists()
    wavs, hotwords = [each.source for each in speech_wavs[:3]], ["photosynthesis"]
    found, expected = (
        AutoModel(model=str(folder), disable_pbar=True).generate(wavs, hotwords=hotwords)
        for folder in (shared, small_model_dir)
    )
    assert found == expected
    state = load_file(shared / "model.safetensors")
    state.pop("ctc.ctc_lo.bias")
    save_file(state, shared / "model.safetensors")
    with pytest.raises(ConfigError, match=r"1 missing: ctc\.ctc_lo\.bias"):
        AutoModel(model=str(shared))
    (shared / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no weights in .*; expected model.pt or model.safetensors"):
        AutoModel(model=str(shared))


def test_the_card_tells_training_and_results(small_model_dir, tmp_path):
    trained = tmp_path / "trained"
    shutil.copytree(small_model_dir, trained)
    config = {"train_data_set_list": "/elsewhere/data/train.jsonl", "optim_conf": {"lr": 2e-4}}
    write_record(trained, config | {"llm_conf": {"freeze": True, "hidden_size": 32}, "output_dir": "/x"})
    (trained / "decode").mkdir()
    rates = {name: {"error_rate": 12.5} for name in ("wer", "u_wer", "b_wer")}
    (trained / "decode/score.json").write_text(json.dumps(rates))
    (trained / "RESULTS.md").write_text("# Measured\n")
    export_tool.main(["--model-dir", str(trained), "--output-dir", str(tmp_path / "out")])
    card = (tmp_path / "out/README.md").read_text()
    assert "train_data_set_list: train.jsonl\n" in card and "lr: 0.0002" in card and "/elsewhere" not in card
    assert "llm_conf:\n  freeze: true\n" in card and "/x" not in card
    assert "# Measured" in card and "| decode/score | 12.50 | 12.50 | 12.50 |" in card


def test_export_in_half_precision(small_model_dir, small_model, tmp_path):
    options = ["--model-dir", str(small_model_dir), "--output-dir", str(tmp_path / "out"), "--format", "hf"]
    export_tool.main(options)
    found = load_file(tmp_path / "out/model.safetensors")
    expected = small_model.state_dict()
    missing = expected.keys() - found.keys()
    assert missing <= {"llm.lm_head.weight"}  # tied: one tensor under two names
    assert all(torch.equal(value, expected[name].half()) for name, value in found.items())
    assert (tmp_path / "out/am.mvn").is_file() and (tmp_path / "out/README.md").is_file()


def test_the_average_of_checkpoints(tmp_path, capsys):
    for epoch in (1, 2, 3, 10):
        state = {"w": torch.tensor([float(epoch), 1e-8]), "steps": torch.tensor(epoch)}
        torch.save({"state_dict": state, "epoch": epoch}, tmp_path / f"model.pt.ep{epoch}")
    torch.save({"w": torch.zeros(2)}, tmp_path / "model.pt.ep3.200")  # in the middle of an epoch
    assert newest_epochs(tmp_path, 3) == ["model.pt.ep2", "model.pt.ep3", "model.pt.ep10"]
    average_tool.main(["--model-dir", str(tmp_path), "--last", "3", "--output", "mean.pt"])
    found = torch.load(tmp_path / "mean.pt", weights_only=True)
    assert torch.equal(found["w"], torch.tensor([5.0, 1e-8])) and found["steps"] == 10
    out = capsys.readouterr().out.splitlines()
    assert out[1:] == [f"   33.3% {tmp_path / f'model.pt.ep{epoch}'}" for epoch in (2, 3, 10)]
    with pytest.raises(ConfigError, match="asked for the last 5 epochs, found 4 checkpoints"):
        newest_epochs(tmp_path, 5)
    torch.save({"w": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ConfigError, match=r"other.pt does not fit .*: steps, w"):
        average_checkpoints([tmp_path / "model.pt.ep1", tmp_path / "other.pt"], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_average_with_the_start(small_model_dir, small_model, tmp_path):
    start = small_model.state_dict()
    end = {name: value + value.is_floating_point() for name, value in start.items()}
    torch.save({"state_dict": end}, tmp_path / "model.pt.best")
    command = ["--model-dir", str(tmp_path), "--checkpoints", "model.pt.best", "--start"]
    average_tool.main([*command, str(small_model_dir), "--start-share", "0.75"])
    found = torch.load(tmp_path / "model.pt.avg", weights_only=True)
    expected = {name: value + 0.25 * value.is_floating_point() for name, value in start.items()}
    torch.testing.assert_close(found, expected)
    with pytest.raises(ConfigError, match=r"no weights in .*nothing; expected model.pt or model.safetensors"):
        average_tool.main([*command, str(tmp_path / "nothing")])
    with pytest.raises(SystemExit):
        average_tool.main([*command, str(small_model_dir), "--start-share", "75"])


def test_a_deepened_encoder(small_model_dir, speech_wavs, tmp_path, capsys):
    from funasr_sap import AutoModel

    folders = ["--model-dir", str(small_model_dir), "--output-dir", str(tmp_path / "deep")]
    deepen_tool.main([*folders, "--num-blocks", "5"])
    assert read_model_config(tmp_path / "deep")["audio_encoder_conf"]["num_blocks"] == 5
    found, expected = (
        AutoModel(model=str(folder), disable_pbar=True).generate([speech_wavs[0].source])
        for folder in (tmp_path / "deep", small_model_dir)
    )
    assert found == expected and "M parameters" in capsys.readouterr().out
