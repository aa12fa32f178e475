"""What the embedded model hears, without the model."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

import funasr_sap
from funasr_sap.context.hearing import Hearing

EMBEDDED = Path(funasr_sap.__file__).parent / "pretrained" / "sap2_tiny"


@pytest.fixture(scope="session")
def hearing():
    """What the embedded model can hear."""
    weights = torch.load(EMBEDDED / "model.pt", weights_only=True)
    weights = weights.get("state_dict", weights)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED / "tokenizer")
    return Hearing.of_head(tokenizer, weights["ctc.ctc_lo.weight"], blank=0)
