"""Decoder-only language models of transformers, which read audio and keywords as embeddings in their prompt.

Symbols:
    B   utterances of a batch   S   prompt tokens    V   vocabulary   D   LLM width
    Ta  audio embeddings        Tc  context tokens   W   pooling window
    K   keywords of a prompt    F   evidence features of a keyword

Masks are bool, True = valid.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.keyword import Keyword
from funasr_sap.context.prompts import IGNORE, PromptBatch, PromptTemplate
from funasr_sap.errors import ConfigError
from funasr_sap.models.adapting import adapt, truncate
from funasr_sap.models.encoded import Encoded, select
from funasr_sap.models.evidence import EvidenceEmbedding
from funasr_sap.models.generation import ROWS, can_read_drafts, read_drafts, write_answers
from funasr_sap.models.language_model import Answer, Capabilities, Draft, Prompt
from funasr_sap.models.new_tokens import NewTokens
from funasr_sap.models.pooling import SpeechDrivenPooling

if TYPE_CHECKING:
    from funasr_sap.models.llm import LLM

# Nobody speaks more pieces: 13 characters of Chinese may be 40 pieces of a byte-level tokenizer.
PIECES_PER_SECOND = 20
TAGS = 8  # pieces around keywords and transcript


@dataclasses.dataclass(frozen=True)
class AudioMemory:
    """A batch as a decoder-only model reads it.

    Attributes:
        audio: (B, Ta, D) audio embeddings.
        mask: (B, Ta) bool.
    """

    audio: torch.Tensor
    mask: torch.Tensor

    def select(self, rows: Sequence[int]) -> AudioMemory:
        """Take some utterances of the batch, some perhaps several times."""
        return select(self, rows)


@dataclasses.dataclass(frozen=True)
class Context:
    """Keywords as the LLM is given them.

    Attributes:
        embeddings: (B, ceil(Tc / W), D) pooled context.
        mask: (B, ceil(Tc / W)) bool.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class CausalLM:
    """A decoder-only model with what stands before it: a ``LanguageModel``.

    Attributes:
        llm: the model of transformers.
        tokenizer: its tokenizer.
        prompts: its prompts.
        adaptor: from encoder frames to audio embeddings.
        pooling: of the context, by the speech.
        evidence: from (..., F) evidence to a vector that is added to a keyword's token embeddings.
        new_tokens: embeddings of added tokens; None for none.
        low_frame_rate: keep the leading eighth of the audio embeddings, see ``truncate``.
        blank: the CTC blank's id, for adaptors that read the CTC head.
        training: follow autocast; else embed the audio in the precision of the weights.
    """

    llm: LLM
    tokenizer: PreTrainedTokenizerFast
    prompts: PromptTemplate
    adaptor: nn.Module
    pooling: SpeechDrivenPooling
    evidence: EvidenceEmbedding
    new_tokens: NewTokens | None
    low_frame_rate: bool
    blank: int
    training: bool

    @property
    def can(self) -> Capabilities:
        """What the model can do."""
        max_tokens = getattr(self.llm.config.get_text_config(), "max_position_embeddings", None)
        return Capabilities(can_read_drafts(self.llm), self.prompts.asks_for_itn, max_tokens)

    def attend(self, encoded: Encoded) -> AudioMemory:
        """Embed the audio of a batch."""
        frames = encoded.frames.to(next(self.adaptor.parameters()).dtype)
        with exact_unless(self.training, frames.device):
            audio, mask = adapt(
                self.adaptor, frames, encoded.frame_mask, encoded.log_probs, self._table.weight, self.blank
            )
        if self.low_frame_rate:
            mask = truncate(mask, encoded.feature_lengths)
        return AudioMemory(audio, mask)

    @torch.no_grad()
    def generate(
        self,
        memory: AudioMemory,
        prompts: Sequence[Prompt],
        seconds: Sequence[float],
        drafts: Sequence[Draft] | None = None,
        temperature: float = 0.0,
    ) -> list[Answer]:
        """Answer prompts, see ``LanguageModel``; with nothing where there are no audio embeddings."""
        if not memory.audio.shape[1]:
            return [Answer("", prompt.keywords) for prompt in prompts]
        context = self.embed_context(memory, prompts)
        limits = answer_limits(seconds, context)
        if drafts is not None and not temperature:
            ids = [self._answer_ids(*pair) for pair in zip(prompts, drafts, strict=True)]
            ids = [draft[:limit] for draft, limit in zip(ids, limits, strict=True)]
            batch = self.prompt_batch(memory, prompts, context, ids)
            embeddings = self.embed_prompt(batch, memory, context)
            answers = read_drafts(self, embeddings, batch.mask, ids, limits)
        else:
            batch = self.prompt_batch(memory, prompts, context)
            embeddings = self.embed_prompt(batch, memory, context)
            answers = write_answers(
                self.llm, embeddings, batch.mask, limits, self.prompts.end_id, temperature
            )
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True)
        heard = memory.mask.any(1).tolist()
        return [
            self._parse(prompt, " ".join(text.split()) if has_audio else "", self.prompts.end_id not in ids)
            for prompt, text, ids, has_audio in zip(prompts, texts, answers, heard, strict=True)
        ]

    @torch.no_grad()
    def score(
        self, memory: AudioMemory, rows: Sequence[int], texts: Sequence[str], prompt: Prompt
    ) -> list[float]:
        """Score transcripts, each of one row of the memory; see ``LanguageModel``."""
        drafts = [Draft(text) for text in texts]
        lengths = [len(self._answer_ids(prompt, draft)) for draft in drafts]
        order = sorted(range(len(rows)), key=lambda place: (rows[place], lengths[place]))
        scores = [0.0] * len(rows)
        for first in range(0, len(order), ROWS):
            some = order[first : first + ROWS]
            heard = memory.select([rows[place] for place in some])
            logits, labels = self.logits(heard, [prompt] * len(some), [drafts[place] for place in some])
            losses = nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE, reduction="none"
            )
            for place, loss in zip(some, losses.view_as(labels).sum(1).tolist(), strict=True):
                scores[place] = -loss
        return scores

    def logits(
        self, memory: AudioMemory, prompts: Sequence[Prompt], answers: Sequence[Draft]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read prompts with their answers; see ``LanguageModel``. Padding stands on the left."""
        ids = [self._answer_ids(*pair) for pair in zip(prompts, answers, strict=True)]
        context = self.embed_context(memory, prompts)
        batch = self.prompt_batch(memory, prompts, context, ids)
        logits = self.llm(
            inputs_embeds=self.embed_prompt(batch, memory, context),
            attention_mask=batch.mask,
            position_ids=(batch.mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=max(map(len, ids)) + 1,
        ).logits[:, :-1]
        return logits, batch.labels[:, -logits.shape[1] :]

    def check_room(self, memory: AudioMemory, prompts: Sequence[Prompt]) -> None:
        """Refuse prompts that the LLM cannot read, before memory runs out over them.

        Raises:
            ConfigError: with the length of the longest prompt and the LLM's ``max_position_embeddings``.
        """
        room = self.can.max_tokens
        if room is None:
            return
        sizes = {id(prompt.keywords): self._context_size(prompt) for prompt in prompts}
        longest, size = max(
            (num_audio + sizes[id(prompt.keywords)], len(prompt.keywords))
            for num_audio, prompt in zip(memory.mask.sum(1).tolist(), prompts, strict=True)
        )
        if longest > room and size:
            raise ConfigError(
                f"prune: with none, {size:,} keywords make a prompt of {longest:,} tokens, and the LLM takes "
                f"{room:,} (max_position_embeddings); offer fewer keywords, or use prune=retrieval"
            )

    def embed_context(self, memory: AudioMemory, prompts: Sequence[Prompt]) -> Context | None:
        """Embed the keywords of B prompts with their evidence, and pool them by the speech.

        Returns:
            The context; None where no prompt has keywords.
        """
        if not any(prompt.keywords for prompt in prompts):
            return None
        device = memory.audio.device
        written = [self._write_context(prompt) for prompt in prompts]
        ids, owner = (
            pad_sequence(
                [torch.tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=padding
            ).to(device)
            for rows, padding in zip(zip(*written, strict=True), (0, -1), strict=True)
        )
        lengths = torch.tensor([len(row) for row, _ in written], device=device)
        mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
        evidence = self.evidence(self._features(prompts))  # (B, K, D)
        evidence = evidence.gather(1, owner.clamp(min=0)[..., None].expand(-1, -1, evidence.shape[-1]))
        context = self.embed_tokens(ids) + torch.where(owner[..., None] >= 0, evidence, 0)
        context = context.to(memory.audio.dtype)  # parts may differ in precision
        return Context(*self.pooling(memory.audio, memory.mask, context, mask))

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed tokens, added ones too: (B, S) to (B, S, D)."""
        return self._table(ids) if self.new_tokens is None else self.new_tokens(self._table, ids)

    def embed_prompt(self, batch: PromptBatch, memory: AudioMemory, context: Context | None) -> torch.Tensor:
        """Fill a prompt's places with audio and context embeddings: (B, S, D)."""
        embeddings = self.embed_tokens(batch.input_ids)
        audio = memory.audio[memory.mask].to(embeddings.dtype)
        embeddings = embeddings.masked_scatter(batch.audio_mask[..., None], audio)
        if context is not None:
            pooled = context.embeddings[context.mask].to(embeddings.dtype)
            embeddings = embeddings.masked_scatter(batch.context_mask[..., None], pooled)
        return embeddings

    def prompt_batch(
        self,
        memory: AudioMemory,
        prompts: Sequence[Prompt],
        context: Context | None,
        answers: list[list[int]] | None = None,
    ) -> PromptBatch:
        """Lay out one prompt an utterance, with room for its audio and its context, and its answer."""
        num_audio = memory.mask.sum(1).tolist()
        num_context = [0] * len(prompts) if context is None else context.mask.sum(1).tolist()
        ids = [
            self._template(prompt).prompt_ids(prompt.task, prompt.language, audio, tokens)
            for prompt, audio, tokens in zip(prompts, num_audio, num_context, strict=True)
        ]
        return self.prompts.batch(ids, answers, device=memory.audio.device)

    @property
    def _table(self) -> nn.Embedding:
        return self.llm.get_input_embeddings()

    def _template(self, prompt: Prompt) -> PromptTemplate:
        return self.prompts.asking(itn=prompt.itn, name_language=prompt.name_language)

    def _write_context(self, prompt: Prompt) -> tuple[list[int], list[int]]:
        words, pieces = [each.text for each in prompt.keywords], [each.pieces for each in prompt.keywords]
        return self._template(prompt).write_context(words, pieces, prompt.language)

    def _features(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Stack the evidence of the prompts' keywords: (B, K, F), 0 where padded."""
        weight = self.evidence.hidden.weight
        none = torch.zeros(0, weight.shape[1])
        rows = [
            torch.stack([each.features for each in prompt.keywords]) if prompt.keywords else none
            for prompt in prompts
        ]
        return pad_sequence([row.to(weight) for row in rows], batch_first=True)

    def _context_size(self, prompt: Prompt) -> int:
        """Count a prompt's tokens without its audio."""
        ids, _ = self._write_context(prompt)
        pooled = math.ceil(len(ids) / self.pooling.window)
        return len(self._template(prompt).prompt_ids("transcribe_with_context", prompt.language, 0, pooled))

    def _answer_ids(self, prompt: Prompt, draft: Draft) -> list[int]:
        return self.prompts.answer_ids(prompt.task, prompt.language, draft.text, draft.keywords)

    def _parse(self, prompt: Prompt, text: str, cut: bool) -> Answer:
        """Read an answer as its task has it."""
        if prompt.task == "prune":
            return Answer("", self._named(prompt, text), cut)
        if prompt.task == "joint":
            names, text = self.prompts.split_joint(text, prompt.language)
            return Answer(text, self._named(prompt, names), cut)
        return Answer(text, prompt.keywords, cut)

    def _named(self, prompt: Prompt, text: str) -> tuple[Keyword, ...]:
        """Find the offered keywords that a list of names holds; one may have separators in it."""
        named = self.prompts.split_keywords(text.casefold(), prompt.language)
        kept = []
        for keyword in prompt.keywords:
            parts = self.prompts.split_parts(keyword.text.casefold(), prompt.language)
            places = range(len(named) if parts else 0)
            if any(named[place : place + len(parts)] == parts for place in places):
                kept.append(keyword)
        return tuple(kept)


def answer_limits(seconds: Sequence[float], context: Context | None) -> list[int]:
    """Tell how many tokens each answer of a batch may have: what can be spoken, the keywords, their tags.

    The audio embeddings are no measure: some adaptors leave blank frames out, some keep an eighth of them.
    """
    spoken = [math.ceil(each * PIECES_PER_SECOND) for each in seconds]
    keywords = [0] * len(spoken) if context is None else context.mask.sum(1).tolist()
    return [first + second + TAGS for first, second in zip(spoken, keywords, strict=True)]


def exact_unless(training: bool, device: torch.device) -> contextlib.AbstractContextManager:
    """Compute in the precision of the weights, but for training, which follows autocast.

    An error of the encoder is in all evidence and in every token; the encoder runs once for them all.
    """
    return contextlib.nullcontext() if training else torch.autocast(device.type, enabled=False)
