"""Validation that decodes: a sample of the validation set, recognised with biasing lists and scored."""

import functools
import logging
import random
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from funasr_sap.data.biasing import longest_phrase, make_biasing_lists
from funasr_sap.data.dataset import SAP2Dataset
from funasr_sap.errors import ConfigError
from funasr_sap.inputs import Request
from funasr_sap.metrics import pruning_scores, score
from funasr_sap.metrics.normalization import split_characters
from funasr_sap.models.builder import build
from funasr_sap.models.sap2 import SAP2
from funasr_sap.recogniser import Recogniser, Settings
from funasr_sap.text.words import phrase_key, phrases
from funasr_sap.train import rng
from funasr_sap.train.loader import Loader
from funasr_sap.train.sharding import is_in_parts

# What a validation may report, by the names that training logs have for it; errors and shares in percent.
LABELS = {
    "loss": "loss",
    "acc": "accuracy",
    "wer": "WER",
    "u_wer": "U-WER",
    "b_wer": "B-WER",
    "pruning_precision": "pruning-precision",
    "pruning_recall": "pruning-recall",
    "pruning_f1": "pruning-F1",
}


@dataclass(frozen=True)
class ValidationOptions:
    """What ``validation_conf`` may hold.

    Attributes:
        utterances: size of the sample; 0 = no decoding.
        distractors: wrong words in each biasing list, beside the true ones; fewer where the data has fewer.
        batch_size: utterances decoded together.
        seed: of the sample and of the lists, which are the same in each validation.
    """

    utterances: int = 50
    distractors: int = 100
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self):
        for name, least in (("utterances", 0), ("distractors", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(
                    f"validation_conf.{name}: expected a whole number from {least}, got {value!r}"
                )


class ValidationDecoder:
    """Recognises a sample of a validation set with the model as it is, and scores it.

    Args:
        validation: the dataset that the sample is drawn from.
        training: the dataset whose rare words are distractors too.
        options: see ``ValidationOptions``.
    """

    def __init__(self, validation: SAP2Dataset, training: SAP2Dataset, options: ValidationOptions):
        self.options, self.frontend = options, validation.frontend
        utterances = validation.utterances
        size = min(options.utterances, len(utterances))
        # Like lengths together make quick batches.
        places = random.Random(options.seed).sample(range(len(utterances)), size)
        sample = [utterances[place] for place in sorted(places, key=validation.get_source_len)]
        self.texts = {each.key: each.transcript for each in sample}
        self.keywords = {each.key: list(each.keywords or ()) for each in sample}
        pool = sorted({*validation.pool, *training.pool})
        self.lists = {key: self._draw(key, pool) for key in self.texts}
        self.requests = [Request(each.key, each.audio, self.lists[each.key]) for each in sample]

    def __call__(self, model: SAP2) -> dict[str, float]:
        """Recognise and score; what has no value, such as a B-WER without keywords, is left out.

        Args:
            model: in evaluation mode.
        """
        settings = Settings(batch_size=self.options.batch_size, hide_bar=False)
        found = Recogniser(model, self.frontend).recognise(self.requests, settings=settings)
        results = [each.to_funasr() for each in found]
        found = {each["key"]: each for each in results if "error" not in each}
        if not found:
            logging.warning("validation: no audio of the %d utterances to decode can be read", len(results))
            return {}
        return self._rate(found)

    def _draw(self, key: str, pool: list[str]) -> list[str]:
        """Draw an utterance's biasing list; the pool of a small corpus may have too few words."""
        text, keywords = self.texts[key], self.keywords[key]
        free = {phrase_key(word) for word in pool} - phrases([text, *keywords], longest_phrase(pool))
        num = min(self.options.distractors, len(free))
        return make_biasing_lists({key: keywords}, pool, num, self.options.seed, {key: text})[key]

    def _rate(self, found: dict[str, dict]) -> dict[str, float]:
        texts = {key: split_characters(self.texts[key]) for key in found}
        keywords, lists, kept = (
            {key: [split_characters(word) for word in words[key]] for key in found}
            for words in (
                self.keywords,
                self.lists,
                {key: each["keywords"] for key, each in found.items()},
            )
        )
        hypotheses = {key: split_characters(each["text"]) for key, each in found.items()}
        scored = score(texts, hypotheses, lists, rare_words=keywords)
        pruning = pruning_scores(kept, lists, texts)
        rates = {name: getattr(scored, name).error_rate for name in ("wer", "u_wer", "b_wer")}
        rates |= {f"pruning_{name}": getattr(pruning, name) for name in ("precision", "recall", "f1")}
        return {name: rate for name, rate in rates.items() if rate is not None}


def build_decoder(conf: dict | None, loader: Loader, model: nn.Module) -> ValidationDecoder | None:
    """Build what ``validation_conf`` asks for; None, with a reason in the log, where nothing can be decoded.

    Args:
        conf: the section; None = no decoding.
        loader: of both datasets.
        model: as training has it.

    Raises:
        ConfigError: for unknown keys, and values that cannot be.
    """
    if conf is None:
        return None
    options = build("validation_conf", ValidationOptions, conf)
    if not options.utterances:
        return None
    reason = _why_not(loader, model)
    if reason:
        logging.info("validation decodes nothing: %s", reason)
        return None
    return ValidationDecoder(loader.dataset_val, loader.dataset_tr, options)


def _why_not(loader: Loader, model: nn.Module) -> str | None:
    if not isinstance(model, SAP2):
        return f"the model is {type(model).__name__}, no SAP2"
    if "llm" in model.untrained_parts and model.objective.llm_weight == 0:
        return "the LLM is not trained, and model_conf.llm_weight is 0"
    if not isinstance(loader.dataset_val, SAP2Dataset):
        return f"the dataset is {type(loader.dataset_val).__name__}, no SAP2Dataset"
    return None


def decode_on_first_rank(
    decoder: ValidationDecoder, model: nn.Module, dtype: torch.dtype
) -> dict[str, float]:
    """Decode on rank 0, and give all ranks its results; leaves training mode and random numbers as they are.

    A model whose weights are spread over the ranks is not decoded, and has no results.

    Args:
        decoder: what to decode.
        model: as training has it, wrapped or not.
        dtype: of mixed precision; float32 for none.
    """
    own = getattr(model, "module", model)
    if not isinstance(own, SAP2):  # for which no decoder is built
        return {}
    if _is_spread(own):
        _warn_of_spread_weights()
        return {}
    shared = dist.is_available() and dist.is_initialized()
    rates = [{}]
    if not shared or dist.get_rank() == 0:
        device, training = next(own.parameters()).device, own.training
        states = rng.get_states(str(device))
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            rates[0] = decoder(own.eval())
        own.train(training)
        rng.set_states(states, str(device))
    if shared:
        dist.broadcast_object_list(rates, src=0)
    return rates[0]


def _is_spread(model: nn.Module) -> bool:
    """Tell whether each rank holds only a part of the weights: FSDP, or ZeRO-3."""
    return any(map(is_in_parts, model.parameters()))


@functools.cache
def _warn_of_spread_weights() -> None:
    logging.warning("validation decodes nothing: the weights are spread over the ranks (FSDP or ZeRO-3)")
