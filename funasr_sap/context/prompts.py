"""Prompts: from a task and a language to token ids with places for the audio and the context.

All texts live in ``prompts.yaml`` beside this file.
"""

import dataclasses
import functools
import re
from pathlib import Path

import torch
import yaml

from funasr_sap.context.biasing_list import encode_text
from funasr_sap.errors import ConfigError

IGNORE = -100  # label of a token that is not learned, as transformers has it
TASKS = ("transcribe", "transcribe_with_context", "prune", "joint")


@functools.lru_cache(maxsize=1)
def load_prompts() -> dict:
    """Read the table of prompts."""
    return yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text(encoding="utf-8"))


def special_tokens() -> list[str]:
    """List every special token that the prompts use, in the order of the table."""
    prompts = load_prompts()
    found = re.findall(r"<\|[^|]*\|>", prompts["chat"] + prompts["end"])
    return list(dict.fromkeys(found + [tag for pair in prompts["tags"].values() for tag in pair]))


@dataclasses.dataclass(frozen=True)
class PromptBatch:
    """Prompts of a batch, padded on the left so that generation starts at one place.

    Attributes:
        input_ids: (B, S) long; 0 where audio, context or padding stands.
        mask: (B, S) bool, True = not padding.
        audio_mask: (B, S) bool, True = an audio embedding stands here.
        context_mask: (B, S) bool, True = a context embedding stands here.
        labels: (B, S) long, ``IGNORE`` outside the answer.
    """

    input_ids: torch.Tensor
    mask: torch.Tensor
    audio_mask: torch.Tensor
    context_mask: torch.Tensor
    labels: torch.Tensor


class PromptTemplate:
    """The prompts of one tokenizer.

    Args:
        tokenizer: a transformers tokenizer that knows ``special_tokens()``.

    Raises:
        ConfigError: when the tokenizer lacks one of them.
    """

    AUDIO, CONTEXT = -1, -2  # places in a list of ids

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        known = tokenizer.get_vocab()
        missing = [token for token in special_tokens() if token not in known]
        if missing:
            raise ConfigError(f"the tokenizer lacks the special tokens {missing}; add them before training")
        self.end_id = known[load_prompts()["end"]]
        self._frames = {}

    def prompt_ids(self, task: str, language: str, num_audio: int, num_context: int) -> list[int]:
        """Lay out one prompt: token ids, with ``AUDIO`` and ``CONTEXT`` in their places."""
        ids = []
        for part in self._frame(task, language):
            if part == self.AUDIO:
                ids += [self.AUDIO] * num_audio
            elif part == self.CONTEXT:
                ids += [self.CONTEXT] * num_context
            else:
                ids.append(part)
        return ids

    def answer_ids(self, task: str, language: str, text: str = "", keywords=()) -> list[int]:
        """Tokenise the answer of a task, its end token included."""
        entry = self._entry(task, language)
        answer = entry["answer"].format(text=text, keywords=self.join_keywords(keywords, language))
        return [*encode_text(self.tokenizer, answer), self.end_id]

    def context_ids(self, keywords: list[tuple[int, ...]], language: str) -> tuple[list[int], list[int]]:
        """Write keywords as context.

        Returns:
            ids: the token ids, keywords parted by the separator.
            owner: for each id, the position of its keyword, or -1 at a separator.
        """
        separator = encode_text(self.tokenizer, load_prompts()["keywords"][language]["separator"].rstrip())
        ids, owner = [], []
        for position, keyword in enumerate(keywords):
            if position:
                ids += separator
                owner += [-1] * len(separator)
            ids += keyword
            owner += [position] * len(keyword)
        return ids, owner

    def join_keywords(self, keywords, language: str) -> str:
        """Write kept keywords as an answer."""
        words = load_prompts()["keywords"][language]
        return words["separator"].join(keywords) or words["none"]

    def split_keywords(self, answer: str, language: str) -> list[str]:
        """Read kept keywords from an answer of the task ``prune``; one with a comma comes in its parts."""
        none = load_prompts()["keywords"][language]["none"]
        return [] if answer.strip() == none else self.split_parts(answer, language)

    def split_parts(self, text: str, language: str) -> list[str]:
        """Split text at the separator of keywords, which a keyword may hold too."""
        separator = load_prompts()["keywords"][language]["separator"].strip()
        return [part.strip() for part in text.split(separator) if part.strip()]

    def split_joint(self, answer: str, language: str) -> tuple[str, str]:
        """Part an answer of the task ``joint`` into its keywords and its transcript.

        An answer that does not have the task's form is taken as a transcript.
        """
        form = re.split(r"\{keywords\}|\{text\}", self._entry("joint", language)["answer"])
        pattern = "(.*?)".join(re.escape(" ".join(part.split())) for part in form[:-1]) + "(.*)"
        found = re.fullmatch(pattern, " ".join(answer.split()), flags=re.IGNORECASE | re.DOTALL)
        return (found[1].strip(), found[2].strip()) if found else ("", answer)

    def batch(
        self, prompts: list[list[int]], answers: list[list[int]] | None = None, device=None
    ) -> PromptBatch:
        """Pad prompts (and their answers, for training) into one batch."""
        answers = answers or [[] for _ in prompts]
        size = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
        rows = [[None] * (size - len(p) - len(a)) + p + a for p, a in zip(prompts, answers, strict=True)]
        labels = [[IGNORE] * (size - len(a)) + a for a in answers]

        def positions(test):
            return torch.tensor([[test(i) for i in row] for row in rows], dtype=torch.bool, device=device)

        ids = [[i if i is not None and i >= 0 else 0 for i in row] for row in rows]
        return PromptBatch(
            input_ids=torch.tensor(ids, dtype=torch.long, device=device),
            mask=positions(lambda i: i is not None),
            audio_mask=positions(lambda i: i == self.AUDIO),
            context_mask=positions(lambda i: i == self.CONTEXT),
            labels=torch.tensor(labels, dtype=torch.long, device=device),
        )

    def _entry(self, task: str, language: str) -> dict:
        tasks = load_prompts()["tasks"]
        if task not in tasks:
            raise ConfigError(f"unknown task {task!r}; expected one of {', '.join(tasks)}")
        if language not in tasks[task]:
            raise ConfigError(
                f"no prompt for language {language!r}; expected one of {', '.join(tasks[task])}"
            )
        return tasks[task][language]

    def _frame(self, task: str, language: str) -> list[int]:
        """Tokenise a prompt once: ids, with one ``AUDIO`` and at most one ``CONTEXT`` mark."""
        if (task, language) not in self._frames:
            prompts = load_prompts()
            text = prompts["chat"].format(user=self._entry(task, language)["user"])
            ids = []
            for part in re.split(r"(\{audio\}|\{context\})", text):
                if part in ("{audio}", "{context}"):
                    first, last = prompts["tags"][part.strip("{}")]
                    mark = self.AUDIO if part == "{audio}" else self.CONTEXT
                    ids += [*self._prompt_part(first), mark, *self._prompt_part(last)]
                else:
                    ids += self._prompt_part(part)
            self._frames[task, language] = ids
        return self._frames[task, language]

    def _prompt_part(self, text: str) -> list[int]:
        """Tokenise text of the table itself, whose special tokens are meant."""
        return self.tokenizer.encode(text, add_special_tokens=False)
