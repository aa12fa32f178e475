"""The losses of training: CTC over pieces and over letters, cross-entropy over answers and over keywords."""

import random

import torch
from torch import nn

from funasr_sap.context.biasing_list import BiasingList, encode_text
from funasr_sap.context.prompts import IGNORE
from funasr_sap.context.retrieval import Evidence, Shortlist
from funasr_sap.models.answers import read_answers
from funasr_sap.models.letters import spell, step_mask
from funasr_sap.models.speech import BLANK, Speech
from funasr_sap.text.words import has, keyword_key


def ctc_loss(model, speech: Speech, texts: list[str], weights: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the CTC loss a token, averaged over the batch.

    Args:
        model: a ``SAP2`` with a CTC head.
        speech: B utterances.
        texts: B transcripts.
        weights: (B,) how much each utterance counts; None = all alike.
    """
    targets = [encode_text(model.tokenizer, text) for text in texts]
    return _mean(_ctc_losses(speech.log_probs, speech.frame_mask, targets), weights)


def letter_loss(speech: Speech, texts: list[str], weights: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the letter head's CTC loss a letter, averaged over the batch.

    Args:
        speech: B utterances, with the posteriors of their letters.
        texts: B transcripts.
        weights: (B,) how much each utterance counts; None = all alike.
    """
    targets = [spell(text) for text in texts]
    return _mean(_ctc_losses(speech.letters, step_mask(speech.frame_mask), targets), weights)


def _ctc_losses(log_probs, mask, targets: list[list[int]]) -> torch.Tensor:
    """Compute the CTC loss a symbol of each utterance: (B,)."""
    lengths = torch.tensor([len(target) for target in targets], device=log_probs.device)
    losses = nn.functional.ctc_loss(
        log_probs.transpose(0, 1).float(),
        torch.tensor([symbol for target in targets for symbol in target], dtype=torch.long).to(lengths),
        mask.sum(1),
        lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    return losses / lengths.clamp(min=1)


def _mean(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Average (B,) losses by their weights; None = all alike."""
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def llm_loss(
    model,
    speech: Speech,
    texts: list[str],
    lists: list[BiasingList],
    shortlist: Shortlist | None,
    keywords: list[list[str]],
    seeds: list[int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the LLM's cross-entropy over answers, a task drawn for each utterance.

    Args:
        model: a ``SAP2``.
        speech: B utterances.
        texts: B transcripts.
        lists: B lists of keywords offered.
        shortlist: what retrieval kept of them; None where all are empty.
        keywords: B lists of those that are spoken.
        seeds: B seeds of what is drawn; without them training draws anew each time.

    Returns:
        The loss a token of the answers, the share of tokens that are right, and (B,) tokens an answer has.
    """
    drawn = [random if model.training else random.Random(0)] * len(texts)
    rngs = drawn if seeds is None else [random.Random(seed) for seed in seeds]
    columns = _shuffled_columns(shortlist, rngs)
    names, weights = list(model.task_weights), list(model.task_weights.values())
    tasks = [rng.choices(names, weights)[0] for rng in rngs]
    tasks = [task if wanted else "transcribe" for task, wanted in zip(tasks, columns, strict=True)]
    columns = [[] if task == "transcribe" else wanted for task, wanted in zip(tasks, columns, strict=True)]
    context = None
    if any(columns):
        context = model.embed_context(speech, lists, shortlist, columns, model.language)
    answers = []
    for row, task in enumerate(tasks):
        offered = [lists[row].words[shortlist.index[row, column]] for column in columns[row]]
        spoken = {keyword_key(word) for word in keywords[row]}
        kept = [word for word in offered if keyword_key(word) in spoken]
        answers.append(model.prompts.answer_ids(task, model.language, texts[row], kept))
    logits, labels = read_answers(model, tasks, speech, context, answers)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE)
    right = (logits.argmax(-1) == labels)[labels != IGNORE]
    return loss, right.float().mean(), (labels != IGNORE).sum(1)


def span_loss(
    model,
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
        return 0 * sum(parameter.sum() for parameter in model.span_head.parameters())
    index, found = evidence.index.tolist(), evidence.pieces > 0
    truth = torch.zeros_like(evidence.span)
    for row, texts in enumerate(spoken):
        for column in found[row].nonzero().flatten().tolist():
            word = lists[row].words[index[row][column]]
            truth[row, column] = any(has(word, text) for text in texts)
    losses = nn.functional.binary_cross_entropy_with_logits(evidence.span, truth, reduction="none")
    return _mean((losses * found).sum(1) / found.sum(1).clamp(min=1), weights)


def _shuffled_columns(shortlist: Shortlist | None, rngs: list) -> list[list[int]]:
    """Order each utterance's kept keywords at random, so that the LLM reads the evidence, not the place."""
    if shortlist is None:
        return [[] for _ in rngs]
    columns = [row.nonzero().flatten().tolist() for row in shortlist.mask]
    for row, rng in zip(columns, rngs, strict=True):
        rng.shuffle(row)
    return columns
