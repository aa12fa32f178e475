"""A first transcript without context: evidence for keywords where the model has no CTC head."""

import dataclasses

import torch

from funasr_sap.context.retrieval import Shortlist
from funasr_sap.models.generation import write_answers
from funasr_sap.models.speech import Speech

LONGEST = 256  # tokens: half a minute of fast speech


@torch.no_grad()
def first_transcripts(model, speech: Speech) -> list[str]:
    """Let the LLM transcribe without keywords.

    Args:
        model: a ``SAP2``.
        speech: the encoded batch.
    """
    if not speech.audio.shape[1]:
        return [""] * len(speech.audio)
    tasks = ["transcribe"] * len(speech.audio)
    limits = [min(LONGEST, int(speech.frame_mask.sum(1).max()))] * len(tasks)
    ids = write_answers(model, tasks, speech, None, limits)
    return model.tokenizer.batch_decode(ids, skip_special_tokens=True)


def on_device(shortlist: Shortlist, device: torch.device) -> Shortlist:
    """Bring a shortlist, which texts give on the CPU, to where the model is."""
    fields = {field.name: getattr(shortlist, field.name) for field in dataclasses.fields(shortlist)}
    return Shortlist(**{name: value.to(device) for name, value in fields.items()})
