"""Generation: the LLM's answers, written token by token, or read from drafts.

Behind each token of a draft the LLM tells what it would have written there. Up to the first token that
differs, the draft is its greedy answer; then its own token stands, and it reads on. This is speculative
decoding (Leviathan et al. 2023, arXiv 2211.17192), with the CTC head for the small model: its guesses
are free.

Symbols:
    B   utterances of a batch   S   tokens read at a time   D   LLM width
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import torch
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from funasr_sap.models.causal_lm import CausalLM
    from funasr_sap.models.llm import LLM

ROWS = 16  # prompts that the LLM reads at a time: longer batches take more memory, and no less time
COUNT_SLOTS = {"gpt_neo", "mpt"}  # architectures that measure distances in the cache, refused tokens included
AHEAD = 6  # tokens of a draft that are read at a time once one was wrong: more of them may be, too


@torch.no_grad()
def write_answers(
    llm: LLM,
    embeddings: torch.Tensor,
    mask: torch.Tensor,
    limits: list[int],
    end: int,
    temperature: float = 0.0,
) -> list[list[int]]:
    """Let the LLM write token by token.

    Args:
        llm: the model.
        embeddings: (B, S, D) of the prompts, padded on the left.
        mask: (B, S) bool.
        limits: tokens that each answer may have.
        end: the token that ends an answer.
        temperature: 0 takes the likeliest token; above, tokens are drawn, of each utterance always the same.

    Returns:
        B answers, token ids, 0 behind the end where others are longer.
    """
    ids = llm.generate(
        inputs_embeds=embeddings,
        attention_mask=mask.long(),
        max_new_tokens=max(limits),
        eos_token_id=end,
        pad_token_id=0,
        do_sample=False,
        logits_processor=LogitsProcessorList([_Drawing(len(mask), temperature)] if temperature else []),
    )
    # Each has its own limit, so that an utterance's answer does not depend on what it is batched with.
    return [answer[:limit] for answer, limit in zip(ids.tolist(), limits, strict=True)]


class _Drawing(LogitsProcessor):
    """Draws tokens by adding Gumbel noise to the logits, of each row its own: a batch draws as its rows do.

    Args:
        rows: B.
        temperature: above 0.
    """

    def __init__(self, rows: int, temperature: float):
        self.temperature = temperature
        self.generators = [torch.Generator().manual_seed(0) for _ in range(rows)]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Add noise to (B, V) logits."""
        noise = [torch.empty(scores.shape[1]).exponential_(generator=each) for each in self.generators]
        return scores / self.temperature - torch.stack(noise).log().to(scores)


def can_read_drafts(llm: LLM) -> bool:
    """Tell whether an LLM can pass over what it has read; sliding windows and recurrent states cannot."""
    if llm._is_stateful or llm.config.model_type in COUNT_SLOTS:
        return False
    layers = DynamicCache(config=llm.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


@torch.no_grad()
def read_drafts(
    model: CausalLM,
    embeddings: torch.Tensor,
    mask: torch.Tensor,
    drafts: list[list[int]],
    limits: list[int],
) -> list[list[int]]:
    """Let the LLM read drafts of its answers, and write where it disagrees.

    Args:
        model: one whose LLM can read drafts.
        embeddings: (B, S, D) of the prompts with their drafts behind them, padded on the left.
        mask: (B, S) bool.
        drafts: B guesses, token ids, none longer than its limit; the nearer to the answer, the faster.
        limits: tokens that each answer may have.

    Returns:
        B answers, token ids: but for rounding, the likeliest ones of ``write_answers``.
    """
    lengths = mask.sum(1).tolist()
    order, answers = sorted(range(len(drafts)), key=lengths.__getitem__), {}
    for first in range(0, len(order), ROWS):  # prompts of like length: padding costs as much as tokens
        rows = order[first : first + ROWS]
        size = max(lengths[row] for row in rows)
        prompts = embeddings[rows, -size:], mask[rows, -size:]
        found = _read_drafts(model, *prompts, [drafts[row] for row in rows], [limits[row] for row in rows])
        answers.update(zip(rows, found, strict=True))
    return [answers[row][:limit] for row, limit in enumerate(limits)]


def _read_drafts(
    model: CausalLM,
    embeddings: torch.Tensor,
    mask: torch.Tensor,
    drafts: list[list[int]],
    limits: list[int],
) -> list[list[int]]:
    """Read prompts with their drafts, (B, S, D) embeddings and (B, S) mask; then go on as they should."""
    reader, end = _Reader(model.llm, mask[:, :0]), model.prompts.end_id
    written = reader.read(embeddings, mask, 1 + max(map(len, drafts)))
    answers, guesses = [[] for _ in drafts], drafts
    unfinished = list(range(len(drafts)))  # the utterance of each row that the reader still has
    while True:
        rows = []
        for row, (utterance, guess) in enumerate(zip(unfinished, guesses, strict=True)):
            tokens = written[row][-len(guess) - 1 :]
            right = _count_equal(tokens, guess)
            reader.forget(row, len(guess) - right)
            answers[utterance] = answer = _cut([*answers[utterance], *tokens[: right + 1]], end)
            if answer[-1] != end and len(answer) < limits[utterance]:
                rows.append(row)
        if not rows:
            return answers
        reader.keep(rows)
        unfinished = [unfinished[row] for row in rows]
        guesses = [_go_on(drafts[utterance], answers[utterance]) for utterance in unfinished]
        last = [answers[utterance][-1] for utterance in unfinished]  # written, but not read yet
        tokens = [[token, *guess] for token, guess in zip(last, guesses, strict=True)]
        batch = model.prompts.batch(tokens, device=embeddings.device)
        written = reader.read(model.embed_tokens(batch.input_ids), batch.mask, max(map(len, tokens)))


class _Reader:
    """An LLM, and what it has read: tokens that turned out wrong stay in its cache, masked.

    Args:
        llm: the LLM.
        mask: (B, 0) bool; as an attribute, (B, tokens read).
    """

    def __init__(self, llm: LLM, mask: torch.Tensor):
        self.llm, self.cache, self.mask = llm, DynamicCache(config=llm.config), mask

    def read(self, embeddings: torch.Tensor, mask: torch.Tensor, number: int) -> list[list[int]]:
        """Read on: (B, S, D) embeddings, (B, S) mask; returns what comes behind each of the last tokens."""
        self.mask = torch.cat([self.mask, mask], 1)
        logits = self.llm(
            inputs_embeds=embeddings,
            attention_mask=self.mask,
            position_ids=(self.mask.cumsum(1) - 1).clamp(min=0)[:, -mask.shape[1] :],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=number,
        ).logits
        return logits.argmax(-1).tolist()

    def forget(self, row: int, number: int) -> None:
        """Pass over the last tokens of a row."""
        if number:
            self.mask[row, -number:] = False

    def keep(self, rows: list[int]) -> None:
        """Go on with some rows alone."""
        if len(rows) < len(self.mask):
            index = torch.tensor(rows, device=self.mask.device)
            self.cache.batch_select_indices(index)
            self.mask = self.mask[index]


def _count_equal(tokens: list[int], guess: list[int]) -> int:
    """Count the tokens before the first that differs."""
    pairs = zip(tokens, guess, strict=False)  # behind the guess, there is a token more
    return next((place for place, (token, guessed) in enumerate(pairs) if token != guessed), len(guess))


def _cut(answer: list[int], end: int) -> list[int]:
    """Cut an answer behind its end token."""
    return answer[: answer.index(end) + 1] if end in answer else answer


def _go_on(draft: list[int], answer: list[int]) -> list[int]:
    """Find how a draft goes on behind an answer: behind the part of it that is most like the answer."""
    place = _most_alike(np.array(draft), np.array(answer))
    return draft[place : place + AHEAD]


@numba.njit(nogil=True, cache=True)
def _most_alike(draft: np.ndarray, answer: np.ndarray) -> int:
    """Find the part from a draft's beginning that is the fewest edits from an answer, the longest of them."""
    edits = np.arange(len(draft) + 1)
    for number in range(len(answer)):
        before = edits.copy()
        edits[0] = number + 1
        for place in range(len(draft)):
            changed = before[place] + (answer[number] != draft[place])
            edits[place + 1] = min(changed, before[place + 1] + 1, edits[place] + 1)
    return len(draft) - np.argmin(edits[::-1])
