"""What decoding and training ask of a language model, whatever its family.

Symbols:
    B   utterances of a batch   S  tokens of an answer   V  vocabulary
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from funasr_sap.context.keyword import Keyword
from funasr_sap.models.encoded import Encoded


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What one utterance's answer is asked for.

    Attributes:
        task: one of ``TASKS``.
        language: of the prompt, and of the speech where the prompt names it.
        keywords: that the answer may hold, in the order in which they are written.
        itn: ask for written forms (digits, punctuation); None for the model's own.
        name_language: name the language; None for the model's own.
    """

    task: str
    language: str
    keywords: tuple[Keyword, ...] = ()
    itn: bool | None = None
    name_language: bool | None = None


@dataclasses.dataclass(frozen=True)
class Draft:
    """A guess at an answer, or the right one in training.

    Attributes:
        text: the transcript.
        keywords: the keywords that are spoken, where the task asks for them.
    """

    text: str
    keywords: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the language model wrote.

    Attributes:
        text: the transcript, in one line; empty where the task asks for keywords alone.
        keywords: those of the prompt that the answer keeps: all, where the task does not ask.
        cut: it was cut off, for it had no more room.
    """

    text: str
    keywords: tuple[Keyword, ...]
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What a language model can do.

    Attributes:
        reads_drafts: it verifies a guess at its answer faster than it writes one.
        asks_for_itn: its prompts can ask for written or spoken forms.
        max_tokens: tokens of prompt and answer; None = not known.
    """

    reads_drafts: bool
    asks_for_itn: bool
    max_tokens: int | None


class Memory(Protocol):
    """A batch as the language model attends to it."""

    def select(self, rows: Sequence[int]) -> "Memory":
        """Take some utterances of the batch, some perhaps several times."""
        ...


class LanguageModel(Protocol):
    """A family of language models: decoder-only ones that read audio in their prompt, and others."""

    @property
    def can(self) -> Capabilities:
        """What it can do."""
        ...

    def attend(self, encoded: Encoded) -> Any:
        """Make of encoder output what the model attends to, a ``Memory``."""
        ...

    def generate(
        self,
        memory: Any,
        prompts: Sequence[Prompt],
        seconds: Sequence[float],
        drafts: Sequence[Draft] | None = None,
        temperature: float = 0.0,
    ) -> list[Answer]:
        """Answer B prompts.

        Args:
            memory: of B utterances.
            prompts: one each.
            seconds: of speech, which bound the length of each answer.
            drafts: guesses at the answers, where the model reads drafts; they change the time alone.
            temperature: 0 takes the likeliest tokens; above, they are drawn, for each utterance always alike.
        """
        ...

    def score(self, memory: Any, rows: Sequence[int], texts: Sequence[str], prompt: Prompt) -> list[float]:
        """Score transcripts, each of one row of the memory: log likelihoods, the end included, in nats."""
        ...

    def logits(
        self, memory: Any, prompts: Sequence[Prompt], answers: Sequence[Draft]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read prompts with their answers: (B, S, V) logits and (B, S) labels, ``IGNORE`` where padded."""
        ...

    def check_room(self, memory: Any, prompts: Sequence[Prompt]) -> None:
        """Raise a ConfigError for prompts that are too long to be read."""
        ...
