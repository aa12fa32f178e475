"""The calibration of a model, fitted on speech whose transcripts are known."""

import dataclasses
import itertools
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from funasr_sap.audio import load_audio
from funasr_sap.audio.frontend import Frontend
from funasr_sap.context.biasing_list import LONG, BiasingList
from funasr_sap.context.calibration import Calibration
from funasr_sap.context.retrieval import Evidence
from funasr_sap.data.biasing import draw_biasing_list, longest_phrase
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import DataError
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.language_model import Prompt
from funasr_sap.text.words import phrase_key, phrases

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2


@dataclasses.dataclass(frozen=True)
class Heard:
    """What is heard in an utterance, and what is said in it.

    Attributes:
        encoded: one utterance; None where its first transcript is all that is known.
        text: the transcript.
        keywords: the keywords that are spoken.
        transcript: the first transcript, for a model without a CTC head.
    """

    encoded: Encoded | None
    text: str
    keywords: list[str]
    transcript: str | None = None


@torch.no_grad()
def listen(model: "SAP2", frontend: Frontend, data_dir: str | Path) -> Iterator[Heard]:
    """Encode the utterances of a Kaldi directory with ``wav.scp``, ``text`` and ``keywords``.

    Args:
        model: without a CTC head, it transcribes.
        frontend: its FunASR frontend.
        data_dir: the directory.

    Raises:
        DataError: for utterances without transcript or keywords, and for audio that cannot be read.
    """
    folder = Path(data_dir)
    texts, keywords = read_kaldi(folder / "text"), read_biasing_list(folder / "keywords")
    device = next(model.parameters()).device
    for utt_id, path in read_kaldi(folder / "wav.scp").items():
        if utt_id not in texts or utt_id not in keywords:
            raise DataError(f"{folder}: {utt_id} is in wav.scp; expected it in text and keywords as well")
        waveform = load_audio(path, frontend.fs)
        features, lengths = frontend(waveform[None], [len(waveform)])
        encoded = model.encode(features.to(device), lengths.to(device))
        transcript = None
        if model.ctc is None:
            llm, prompt = model.language_model, Prompt("transcribe", model.language)
            (answer,) = llm.generate(llm.attend(encoded), [prompt], [len(waveform) / frontend.fs])
            transcript = answer.text
        yield Heard(encoded, texts[utt_id], keywords[utt_id], transcript)


@torch.no_grad()
def collect_evidence(
    heard: Sequence[Heard],
    tokenizer: PreTrainedTokenizerFast,
    weigh: Callable[..., Evidence],
    words: Sequence[str],
    num: int,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Retrieve from biasing lists with ``num`` distractors, and tell what was spoken.

    Args:
        heard: the utterances.
        tokenizer: of the CTC head.
        weigh: collects the evidence of one utterance, its list and its first transcript, each the only one
            of its batch, as ``SAP2.weigh`` does.
        words: distractors to draw from; those that are spoken are left out.
        num: distractors a list; long lists are one for all utterances.
        seed: of the draw.

    Returns:
        columns: the evidence of all keywords found, by name, as ``fit_calibration`` takes it.
        spoken: bool, whether each is spoken.
    """
    longest = longest_phrase(words)
    lists = draw_lists(heard, tokenizer, words, num, seed)
    columns = {name: [] for name in (*Calibration.SIGNS, "utterance")}
    spoken = []
    for place, (each, biasing_list) in enumerate(zip(heard, lists, strict=True)):
        found = weigh(each.encoded, [biasing_list], [each.transcript])
        for name, column in {**found.columns(), "utterance": torch.tensor(place)}.items():
            columns[name].append(column.expand(found.index.shape).flatten().cpu().numpy())
        true = {*map(phrase_key, each.keywords), *phrases([each.text], longest)}
        spoken.append(
            [phrase_key(biasing_list.words[position]) in true for position in found.index[0].tolist()]
        )
    return {name: np.concatenate(parts) for name, parts in columns.items()}, np.concatenate(spoken)


def collect_sizes(
    heard: Sequence[Heard],
    tokenizer: PreTrainedTokenizerFast,
    weigh: Callable[..., Evidence],
    words: Sequence[str],
    sizes: Sequence[int],
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Collect the evidence from lists of several sizes; for the arguments see ``collect_evidence``.

    A list may be of another talk: half of the lists have no word that is spoken.
    """
    unlisted = [dataclasses.replace(each, keywords=[]) for each in heard]
    parts = []
    for num, listed in itertools.product(sizes, (heard, unlisted)):
        columns, spoken = collect_evidence(listed, tokenizer, weigh, words, num, seed)
        logging.info("N = %d: %d of %d keywords found are spoken", num, spoken.sum(), len(spoken))
        parts.append((columns, spoken))
    return join_evidence(parts)


def join_evidence(parts: Sequence[tuple]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Put together what ``collect_evidence`` returned several times."""
    columns = {name: np.concatenate([each[name] for each, _ in parts]) for name in parts[0][0]}
    return columns, np.concatenate([spoken for _, spoken in parts])


def draw_lists(
    heard: Sequence[Heard], tokenizer: PreTrainedTokenizerFast, words: Sequence[str], num: int, seed: int = 0
) -> Iterator[BiasingList]:
    """Draw each utterance's biasing list; for the arguments see ``collect_evidence``."""
    longest = longest_phrase(words)
    if num >= LONG:
        true = dict.fromkeys(word for each in heard for word in each.keywords)
        exclude = phrases((each.text for each in heard), longest)
        drawn = draw_biasing_list(list(true), words, num, random.Random(seed), exclude)
        yield from [BiasingList(drawn, tokenizer)] * len(heard)
        return
    for place, each in enumerate(heard):
        exclude = phrases([each.text], longest)
        drawn = draw_biasing_list(each.keywords, words, num, random.Random(f"{seed}/{place}"), exclude)
        yield BiasingList(drawn, tokenizer)


def reliability(probability: np.ndarray, spoken: np.ndarray, bins: int = 10) -> list[tuple]:
    """Compare probabilities with what was spoken, in ``bins`` steps of equal width.

    Returns:
        For each step with keywords in it: their mean probability, the share that is spoken, their number.
    """
    step = np.minimum((probability * bins).astype(int), bins - 1)
    rows = [(probability[step == each], spoken[step == each]) for each in range(bins)]
    return [(float(p.mean()), float(s.mean()), len(p)) for p, s in rows if len(p)]
