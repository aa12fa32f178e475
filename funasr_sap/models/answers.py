"""Answers: what the LLM makes of answers that are given.

Symbols:
    B   utterances of a batch   S   tokens of the longest answer   V   vocabulary
"""

import dataclasses

import torch
from torch import nn

from funasr_sap.context.prompts import IGNORE
from funasr_sap.models.generation import ROWS
from funasr_sap.models.speech import Context, Speech, take


def read_answers(
    model,
    tasks: list[str],
    speech: Speech,
    context: Context | None,
    answers: list[list[int]],
    language: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let the LLM read prompts with their answers.

    Args:
        model: a ``SAP2``.
        tasks: B tasks.
        speech: B utterances.
        context: their keywords; None for none.
        answers: B answers, token ids.
        language: of the prompts; None for the model's own.

    Returns:
        logits: (B, S, V) of each token of the answers, padded on the left.
        labels: (B, S) those tokens, ``IGNORE`` where padded.
    """
    batch = model.prompt_batch(tasks, speech, context, answers, language)
    logits = model.llm(
        inputs_embeds=model.embed_prompt(batch, speech, context),
        attention_mask=batch.mask,
        position_ids=(batch.mask.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=max(map(len, answers)) + 1,
    ).logits[:, :-1]
    return logits, batch.labels[:, -logits.shape[1] :]


@torch.no_grad()
def score_texts(model, speech: Speech, rows: list[int], texts: list[str], language: str) -> list[float]:
    """Score transcripts by the LLM, without keywords.

    Args:
        model: a ``SAP2``.
        speech: the encoded batch.
        rows: of each transcript, its utterance.
        texts: the transcripts.
        language: of the prompt.

    Returns:
        The log likelihood of each, its end included, in nats.
    """
    answers = [model.prompts.answer_ids("transcribe", language, text) for text in texts]
    # The LLM reads the audio embeddings alone; posteriors are large.
    speech = dataclasses.replace(speech, frames=speech.audio, log_probs=None, letters=None)
    order = sorted(range(len(rows)), key=lambda place: (rows[place], len(answers[place])))
    scores = [0.0] * len(rows)
    for first in range(0, len(order), ROWS):
        some = order[first : first + ROWS]
        heard, tasks = take(speech, [rows[place] for place in some]), ["transcribe"] * len(some)
        logits, labels = read_answers(model, tasks, heard, None, [answers[place] for place in some], language)
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE, reduction="none"
        )
        for place, loss in zip(some, losses.view_as(labels).sum(1).tolist(), strict=True):
            scores[place] = -loss
    return scores
