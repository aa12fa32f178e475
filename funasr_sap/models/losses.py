"""The losses of training: CTC over pieces and over letters, cross-entropy over answers and over keywords."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import Keyword
from funasr_sap.context.prompts import IGNORE
from funasr_sap.context.retrieval import Evidence
from funasr_sap.models.ctc_head import CTCHead
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.language_model import Draft, Prompt
from funasr_sap.models.letters import BLANK, spell, step_mask
from funasr_sap.text.words import has, keyword_key

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2


def ctc_loss(
    head: CTCHead, encoded: Encoded, texts: list[str], weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute the CTC loss a token, averaged over the batch.

    Args:
        head: the alphabet of the CTC head.
        encoded: B utterances.
        texts: B transcripts.
        weights: (B,) how much each utterance counts; None = all alike.
    """
    targets = [head.spell(text) for text in texts]
    return _mean(_ctc_losses(encoded.heard_pieces, encoded.frame_mask, targets, head.blank), weights)


def letter_loss(encoded: Encoded, texts: list[str], weights: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the letter head's CTC loss a letter, averaged over the batch.

    Args:
        encoded: B utterances, with the posteriors of their letters.
        texts: B transcripts.
        weights: (B,) how much each utterance counts; None = all alike.
    """
    targets = [spell(text) for text in texts]
    return _mean(_ctc_losses(encoded.heard_letters, step_mask(encoded.frame_mask), targets, BLANK), weights)


def _ctc_losses(
    log_probs: torch.Tensor, mask: torch.Tensor, targets: list[list[int]], blank: int
) -> torch.Tensor:
    """Compute the CTC loss a symbol of each utterance: (B,)."""
    lengths = torch.tensor([len(target) for target in targets], device=log_probs.device)
    losses = nn.functional.ctc_loss(
        log_probs.transpose(0, 1).float(),
        torch.tensor([symbol for target in targets for symbol in target], dtype=torch.long).to(lengths),
        mask.sum(1),
        lengths,
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    return losses / lengths.clamp(min=1)


def _mean(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Average (B,) losses by their weights; None = all alike."""
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def llm_loss(
    model: SAP2,
    encoded: Encoded,
    texts: list[str],
    found: list[list[Keyword]],
    keywords: list[list[str]],
    task_weights: Mapping[str, float],
    seeds: list[int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the LLM's cross-entropy over answers, a task drawn for each utterance.

    Args:
        model: the model.
        encoded: B utterances.
        texts: B transcripts.
        found: B lists of keywords that retrieval found.
        keywords: B lists of those that are spoken.
        task_weights: relative frequency of each task.
        seeds: B seeds of what is drawn; without them training draws anew each time.

    Returns:
        The loss a token of the answers, the share of tokens that are right, and (B,) tokens an answer has.
    """
    drawn = [random if model.training else random.Random(0)] * len(texts)
    rngs = drawn if seeds is None else [random.Random(seed) for seed in seeds]
    offered = _shuffled(found, rngs)
    names, weights = list(task_weights), list(task_weights.values())
    tasks = [rng.choices(names, weights)[0] for rng in rngs]
    tasks = [task if wanted else "transcribe" for task, wanted in zip(tasks, offered, strict=True)]
    prompts = [
        Prompt(task, model.language, () if task == "transcribe" else tuple(wanted))
        for task, wanted in zip(tasks, offered, strict=True)
    ]
    answers = []
    for prompt, text, words in zip(prompts, texts, keywords, strict=True):
        spoken = {keyword_key(word) for word in words}
        kept = [each.text for each in prompt.keywords if keyword_key(each.text) in spoken]
        answers.append(Draft(text, tuple(kept)))
    memory = model.language_model.attend(encoded)
    logits, labels = model.language_model.logits(memory, prompts, answers)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE)
    right = (logits.argmax(-1) == labels)[labels != IGNORE]
    return loss, right.float().mean(), (labels != IGNORE).sum(1)


def span_loss(
    model: SAP2,
    evidence: Evidence | None,
    lists: list[BiasingList],
    spoken: list[list[str]],
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the span head's cross-entropy a keyword, averaged over the batch.

    Args:
        model: a ``SAP2`` with a span head.
        evidence: of the keywords that retrieval found; None where all lists are empty.
        lists: B lists of keywords offered.
        spoken: for each utterance, texts whose words are spoken.
        weights: (B,) how much each utterance counts; None = all alike.
    """
    if evidence is None:  # every parameter gets a gradient all the same, as several processes expect
        own = () if model.span_head is None else model.span_head.parameters()
        return 0 * sum((parameter.sum() for parameter in own), torch.zeros(()))
    index, found = evidence.index.tolist(), evidence.pieces > 0
    truth = torch.zeros_like(evidence.span)
    for row, texts in enumerate(spoken):
        for column in found[row].nonzero().flatten().tolist():
            word = lists[row].words[index[row][column]]
            truth[row, column] = any(has(word, text) for text in texts)
    losses = nn.functional.binary_cross_entropy_with_logits(evidence.span, truth, reduction="none")
    return _mean((losses * found).sum(1) / found.sum(1).clamp(min=1), weights)


def _shuffled(found: list[list[Keyword]], rngs: list) -> list[list[Keyword]]:
    """Order each utterance's kept keywords at random, so that the LLM reads the evidence, not the place."""
    kept = [[each for each in keywords if each.is_kept] for keywords in found]
    for keywords, rng in zip(kept, rngs, strict=True):
        rng.shuffle(keywords)
    return kept
