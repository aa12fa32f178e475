"""Trainings under autocast, also without a GPU."""

import pytest
import torch

from funasr_sap.train.training import train


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_weights_that_stay_exact(
    precision, make_config, small_model, tmp_path, monkeypatch
):
    seen, multiply = set(), torch.nn.Linear.forward

    def remember(self, x):
        found = multiply(self, x)
        if self.training:
            seen.add(found.dtype)
        return found

    monkeypatch.setattr(torch.nn.Linear, "forward", remember)
    train(make_config(train_conf={f"use_{precision}": True}))
    assert {"bf16": torch.bfloat16, "fp16": torch.float16}[precision] in seen
    state = torch.load(tmp_path / "exp/model.pt", weights_only=True)["state_dict"]
    before = small_model.state_dict()
    assert all(value.dtype == before[name].dtype and value.isfinite().all() for name, value in state.items())
    changed = {
        name.partition(".")[0] for name, value in state.items() if not torch.equal(value, before[name])
    }
    assert changed == {"audio_encoder", "audio_adaptor", "ctc", "llm", "evidence"}
