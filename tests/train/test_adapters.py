"""A training of LoRA adapters on a backbone, in miniature."""

import copy
import sys
from pathlib import Path

import pytest
import torch

from funasr_sap.train.training import train

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

import miniatures


@pytest.fixture
def backbone(tokenizer, tmp_path):
    """A model directory on a Whisper and a Qwen3, whose LLM has adapters."""
    from funasr_sap.models.backbone import import_backbone

    miniatures.qwen3(tmp_path / "qwen3", tokenizer)
    miniatures.whisper(tmp_path / "whisper")
    config = miniatures.config_of("whisper_turbo_qwen3")
    config["audio_adaptor_conf"] |= {"ffn_dim": 16, "n_layer": 1, "attention_heads": 4}
    parts = {"audio_encoder": tmp_path / "whisper", "llm": tmp_path / "qwen3"}
    import_backbone(config, tmp_path / "base", parts=parts)
    return tmp_path / "base"


def test_adapters_are_trained_resumed_and_decoded(
    backbone, make_config, speech_wavs, tmp_path, train_until_broken_off
):
    config = make_config(model=str(backbone), model_conf={"ctc_weight": 0.0})
    train(copy.deepcopy(config))
    whole = torch.load(tmp_path / "exp/model.pt", weights_only=True)["state_dict"]
    others = {name for name in whole if not name.startswith(("audio_adaptor.", "evidence.", "new_tokens."))}
    assert others and all(".lora_" in name for name in others)  # of the backbone nothing

    config["output_dir"] = str(tmp_path / "again")
    train_until_broken_off(config)
    train(copy.deepcopy(config))
    resumed = torch.load(tmp_path / "again/model.pt", weights_only=True)["state_dict"]
    torch.testing.assert_close(resumed, whole)

    from funasr_sap import AutoModel

    model = AutoModel(model=str(tmp_path / "again"), device="cpu", ncpu=1, disable_pbar=True)
    loaded = model.model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in resumed.items())
    (result,) = model.generate(speech_wavs[0].source, hotwords=list(speech_wavs[0].keywords))
    assert result["key"] == speech_wavs[0].key and isinstance(result["text"], str)
