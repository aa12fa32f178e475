"""What training minimises: the weights of the losses, and of the tasks that are drawn.

Symbols:
    B   utterances of a batch
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from funasr_sap.context.keyword import found_keywords
from funasr_sap.context.list_cache import prepare_list
from funasr_sap.context.prompt_table import TASKS
from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import check_keys
from funasr_sap.models.losses import ctc_loss, letter_loss, llm_loss, span_loss

if TYPE_CHECKING:
    from funasr_sap.models.encoded import Encoded
    from funasr_sap.models.sap2 import SAP2

# The part that each loss teaches.
TAUGHT = {"ctc_weight": "ctc", "llm_weight": "llm", "span_weight": "span_head", "letter_weight": "span_head"}


@dataclasses.dataclass(frozen=True)
class Objective:
    """The sum of the losses; decoding knows nothing of it.

    Attributes:
        ctc_weight: weight of the CTC loss; 0 leaves it out.
        llm_weight: weight of the LLM's loss; 0 leaves it out.
        span_weight: weight of the span head's loss; 0 leaves it out.
        letter_weight: weight of the letter head's loss; 0 leaves it out.
        task_weights: relative frequency of each task.

    Raises:
        ConfigError: for unknown tasks, and where no task is drawn.
    """

    ctc_weight: float = 0.0
    llm_weight: float = 1.0
    span_weight: float = 0.0
    letter_weight: float = 0.0
    task_weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"transcribe": 1.0})

    def __post_init__(self):
        check_keys("task_weights", self.task_weights, TASKS)
        if not any(weight > 0 for weight in self.task_weights.values()):
            raise ConfigError("task_weights: at least one task needs a weight above 0")

    def check_parts(self, names: Mapping[str, str | None], titles: Mapping[str, str]) -> None:
        """Raise on a loss of a head that the model does not have.

        Args:
            names: the class of each part; None for none.
            titles: of each head, what it is called.
        """
        for key, part in TAUGHT.items():
            weight = getattr(self, key)
            if part in titles and weight > 0 and names[part] is None:
                raise ConfigError(
                    f"model_conf.{key}: got {weight}, but this model has no {titles[part]} ({part}: null); "
                    f"pass ++model_conf.{key}=0"
                )

    def __call__(
        self,
        model: SAP2,
        encoded: Encoded,
        texts: list[str],
        ctc_texts: list[str],
        biasing_lists: list[list[str]],
        keywords: list[list[str]],
        seeds: list[int] | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the loss of a batch; for the arguments see ``SAP2.forward``.

        Where the LLM is trained, all losses count each utterance by the tokens of its answer. So batches
        averaged by their weights give what one batch of all their utterances gives.

        Returns:
            loss (scalar), stats (scalars by name), weight (tokens of the answers; utterances, where the LLM
            is not trained), as FunASR's Trainer has it.
        """
        lists = [prepare_list(words, model.tokenizer) for words in biasing_lists]
        evidence = None
        if self.llm_weight > 0 or self.span_weight > 0:  # of a perfect first pass, which costs nothing
            evidence = model.weigh(encoded, lists, ctc_texts)
        loss, stats, tokens = torch.zeros((), device=encoded.frames.device), {}, None
        if self.llm_weight > 0:
            found = found_keywords(model.shortlist(evidence), lists)
            losses = llm_loss(model, encoded, texts, found, keywords, self.task_weights, seeds)
            stats["loss_llm"], stats["acc"], tokens = losses
            loss = loss + self.llm_weight * stats["loss_llm"]
        if self.ctc_weight > 0:
            stats["loss_ctc"] = ctc_loss(model.ctc_head, encoded, ctc_texts, tokens)
            loss = loss + self.ctc_weight * stats["loss_ctc"]
        if self.span_weight > 0:
            spoken = [[*words, *pair] for words, *pair in zip(keywords, texts, ctc_texts, strict=True)]
            stats["loss_span"] = span_loss(model, evidence, lists, spoken, tokens)
            loss = loss + self.span_weight * stats["loss_span"]
        if self.letter_weight > 0:
            stats["loss_letters"] = letter_loss(encoded, ctc_texts, tokens)
            loss = loss + self.letter_weight * stats["loss_letters"]
        stats = {name: value.detach() for name, value in stats.items()} | {"loss": loss.detach()}
        weight = torch.tensor(len(texts), device=loss.device) if tokens is None else tokens.sum()
        return loss, stats, weight
