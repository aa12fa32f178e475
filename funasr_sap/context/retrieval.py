"""Coarse retrieval: from a biasing list of any length to the few keywords that the CTC head supports.

Symbols:
    B   utterances of a batch       T   encoder frames        V   vocabulary
    N   keywords of a biasing list  L   pieces of the longest keyword
    P   keywords whose evidence is weighed against each other      K   keywords kept

The index of a list finds the P keywords that aligning all with the speech would find; a list that has no more
needs no search. Masks are bool, True = valid.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.context import phonetics
from funasr_sap.context.alignment import IMPOSSIBLE, Alignment, align_keywords
from funasr_sap.context.biasing_list import BiasingList, pad_ids
from funasr_sap.context.calibration import Calibration, log_share
from funasr_sap.errors import ConfigError

# Keywords that are weighed against each other, P: so many that the spoken ones are among them.
POOL = 64
# Of those, how many the span head judges in decoding, where a list has fewer than ``LONG`` keywords.
JUDGED = 32
DIGITS = 10_000  # confidences are printed with four
# A keyword of no more letters is believed only where it is heard as a whole word: nearly every utterance has
# a word that begins with it.
SHORT = 2
FIRST_INDIC = "\u0900"  # letters before are those of alphabets
# What each nat against the whole word takes from the log odds of a short keyword; fitted to letters and words
# of two letters on 200 utterances of the development set, in which 206 of them are spoken and 11,194 are not.
WHOLE_WORD = 4.0
GOES_ON = 8.0  # the same, where the word that was heard goes on, and no letter head says more
# For the sounds of a transcript; fitted by benchmarks/first_pass.py, to English and Mandarin alike.
BY_SOUND = Calibration(reward=1.5, bias=-0.93, score=1.06, pieces=1.29, goes_on=-1.50, share=1.06, size=-1.40)


@dataclasses.dataclass(frozen=True)
class Shortlist:
    """The keywords that the speech supports best, by falling confidence.

    Attributes:
        index: (B, K) positions in the biasing list.
        mask: (B, K) bool, True = a keyword was kept here.
        confidence: (B, K) in [0, 1], the probability that the keyword is spoken; see ``Calibration``.
        features: (B, K, 6) the evidence that the LLM is given; see ``evidence_features``.
    """

    index: torch.Tensor
    mask: torch.Tensor
    confidence: torch.Tensor
    features: torch.Tensor

    NUM_FEATURES = 6


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What speaks for the best keywords of a biasing list.

    Attributes:
        index: (B, P) positions in the biasing list.
        ids: (B, P, L) the pieces of each.
        found: their alignments, fields (B, P).
        pieces: (B, P) how many pieces each has; 0 = no keyword here.
        goes_on: (B, P) bool, True = the word that was heard goes on where the keyword ends.
        share: (B, P) log share of the stretch of speech among the keywords that claim it, in nats.
        size: (B, 1) keywords of the biasing list.
        span: (B, P) log odds by the span head; 0 without one.
        short: (B, P) bool, True = the keyword has one or two letters.
        whole: (B, P) at most 0, nats that speak against a short keyword as a whole word; 0 for others.
    """

    index: torch.Tensor
    ids: torch.Tensor
    found: Alignment
    pieces: torch.Tensor
    goes_on: torch.Tensor
    share: torch.Tensor
    size: torch.Tensor
    span: torch.Tensor
    short: torch.Tensor
    whole: torch.Tensor

    def columns(self) -> dict[str, torch.Tensor]:
        """Name what a calibration weighs, each (B, P), or (B, 1) for ``size``."""
        own = {name: getattr(self, name) for name in Calibration.SIGNS if name != "score"}
        return {"score": self.found.score, **own}

    def best(self, numbers: Sequence[int], reward: float) -> "Evidence":
        """Leave out all but the best keywords of each utterance.

        Args:
            numbers: (B,) keywords to leave.
            reward: nats that an aligned piece is worth; the best have the highest score with it.
        """
        worth = _worth(self.found, self.pieces, reward)
        rank = worth.argsort(dim=1, descending=True).argsort(dim=1)
        kept = rank < torch.tensor(numbers, device=rank.device)[:, None]
        return dataclasses.replace(self, pieces=torch.where(kept, self.pieces, 0))

    def log_odds(self, calibration: Calibration) -> torch.Tensor:
        """Weigh it all: (B, P) log odds that a keyword is spoken, ``IMPOSSIBLE`` where there is none."""
        odds = calibration.log_odds(**self.columns()) + WHOLE_WORD * self.whole
        return torch.where(self.pieces > 0, odds, odds.clamp(max=0) + IMPOSSIBLE)


def retrieve_by_sound(
    texts: Sequence[str],
    lists: list[BiasingList],
    *,
    top: int,
    threshold: float = 0.2,
    calibration: Calibration = BY_SOUND,
) -> Shortlist:
    """Retrieve without a CTC head: by how well the sounds of first transcripts support each keyword.

    Args:
        texts: B transcripts.
        lists: B biasing lists, at least one keyword in all.
        top: keywords kept at most, K.
        threshold: least confidence.
        calibration: from evidence to probability.
    """
    evidence = weigh_by_sound(texts, lists, pool=max(top, POOL), reward=calibration.reward)
    return cut(evidence, top, threshold, calibration)


def weigh_by_sound(texts: Sequence[str], lists: list[BiasingList], *, pool: int, reward: float) -> Evidence:
    """Collect the evidence that the sounds of B transcripts give; see ``weigh_lists``."""
    sounds = {id(each): each.by_sound for each in lists}  # one object where the list is one
    lists = [sounds[id(each)] for each in lists]
    speech = phonetics.hear(texts)
    return weigh_lists(*speech, lists, phonetics.WORD_START, pool=pool, reward=reward, blank=phonetics.BLANK)


def weigh_lists(
    log_probs: torch.Tensor,
    frame_mask: torch.Tensor,
    lists: list[BiasingList],
    word_start: torch.Tensor,
    *,
    pool: int,
    reward: float,
    blank: int = 0,
) -> Evidence:
    """Collect the evidence of the best keywords of biasing lists.

    Args:
        log_probs: (B, T, V) CTC log posteriors.
        frame_mask: (B, T) bool.
        lists: B biasing lists, at least one keyword in all.
        word_start: (V,) bool, True = the piece begins a word.
        pool: keywords to find, P.
        reward: nats that an aligned piece is worth; the best have the highest score with it.
        blank: the CTC blank's id.
    """
    places = [
        _find(each, emissions, mask, pool, reward, blank)
        for each, emissions, mask in zip(lists, log_probs, frame_mask, strict=True)
    ]
    short = [
        torch.tensor([is_short(each.words[p]) for p in row]) for each, row in zip(lists, places, strict=True)
    ]
    ids = [[each.ids[place] for place in row] for each, row in zip(lists, places, strict=True)]
    ids, piece_mask = pad_ids(ids, log_probs.device)
    index = pad_sequence([torch.as_tensor(row, dtype=torch.long) for row in places], batch_first=True)
    size = torch.tensor([[len(each)] for each in lists])
    found, pieces = align_keywords(log_probs, frame_mask, ids, piece_mask, blank), piece_mask.sum(-1)
    goes_on = _cut_short(log_probs, frame_mask, word_start, blank).gather(1, found.end)
    share = log_share(_worth(found, pieces, reward), _overlaps(found.start, found.end))
    short = pad_sequence(short, batch_first=True).bool().to(share.device)
    against = found.score - GOES_ON / WHOLE_WORD * goes_on
    whole = torch.where(short & (pieces > 0), against, 0.0)
    index, size = index.to(share.device), size.to(share.device)
    return Evidence(index, ids, found, pieces, goes_on, share, size, torch.zeros_like(share), short, whole)


def is_short(word: str) -> bool:
    """Tell whether a keyword has one or two letters of an alphabet; a syllable, as in Chinese, is more."""
    letters = [char for char in word if char.isalnum()]
    return len(letters) <= SHORT and all(char < FIRST_INDIC for char in letters)


def _find(
    biasing_list: BiasingList,
    log_probs: torch.Tensor,
    frame_mask: torch.Tensor,
    pool: int,
    reward: float,
    blank: int,
) -> Sequence[int] | np.ndarray:
    """Find the places of the best keywords, P at most."""
    if len(biasing_list) <= pool or not biasing_list.num_heard:
        return range(min(len(biasing_list), pool))
    return biasing_list.index.search(log_probs, frame_mask, pool, reward, blank)


def cut(evidence: Evidence, top: int, threshold: float, calibration: Calibration) -> Shortlist:
    """Keep the most probable keywords.

    Args:
        evidence: of P keywords an utterance.
        top: keywords kept at most, K.
        threshold: least confidence.
        calibration: from evidence to probability.

    Returns:
        The shortlist, of ``min(top, P)`` columns.
    """
    odds = evidence.log_odds(calibration)
    odds, best = odds.topk(min(top, odds.shape[1]), dim=1)
    fields = evidence.index, evidence.pieces, evidence.goes_on
    index, pieces, goes_on = (field.gather(1, best) for field in fields)
    features = evidence_features(evidence.found.choose(best), pieces.clamp(min=1), goes_on, odds)
    confidence = odds.sigmoid()
    enough = (confidence * DIGITS).round() >= round(threshold * DIGITS)  # as it is printed
    return Shortlist(index, (pieces > 0) & enough, confidence, features)


def evidence_features(
    found: Alignment, lengths: torch.Tensor, goes_on: torch.Tensor, odds: torch.Tensor
) -> torch.Tensor:
    """Describe the evidence of the shortlisted keywords to the LLM.

    Args:
        found: their alignments, fields (B, K).
        lengths: (B, K) pieces of each.
        goes_on: (B, K) bool, True = the word that was heard goes on where the keyword ends.
        odds: (B, K) log odds that the keyword is spoken.

    Returns:
        (B, K, 6): score per piece, total score, margin of the score per piece over the best other
        shortlisted keyword that overlaps it in time, length in pieces, ``goes_on`` and log odds. Scaled
        to about unit range.
    """
    per_piece = found.score / lengths
    overlaps = _overlaps(found.start, found.end)
    overlaps &= ~torch.eye(overlaps.shape[1], dtype=torch.bool, device=overlaps.device)
    rival = torch.where(overlaps, per_piece[:, None, :], -8.0).amax(2).clamp(min=-8.0)
    columns = (
        per_piece.clamp(min=-8.0) / 2,
        found.score.clamp(min=-24.0) / 8,
        (per_piece.clamp(min=-8.0) - rival) / 4,
        lengths.to(per_piece.dtype) / 4,
        goes_on.to(per_piece.dtype),
        odds.clamp(-8.0, 8.0) / 4,
    )
    return torch.stack(columns, -1)


def check_threshold(value, name: str = "threshold") -> float:
    """Return ``value`` where it is a confidence.

    Raises:
        ConfigError: where it is not; ``name`` says what it should have been.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{name}: expected a confidence from 0 to 1, got {value!r}")
    return value


def _worth(found: Alignment, pieces: torch.Tensor, reward: float) -> torch.Tensor:
    """Score keywords with ``reward`` nats a piece, lowest where there is none: (B, P)."""
    return (found.score + reward * pieces).masked_fill(pieces == 0, 2 * IMPOSSIBLE)


def _overlaps(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Tell which keywords overlap in time, each with itself: (B, K) frames to (B, K, K) bool."""
    return (start[:, :, None] <= end[:, None, :]) & (start[:, None, :] <= end[:, :, None])


def _cut_short(log_probs, frame_mask, word_start, blank):
    """Tell for each frame whether the next piece of the greedy path continues a word: (B, T) bool."""
    greedy = log_probs.argmax(-1)
    emits = (greedy != blank) & frame_mask
    emits[:, 1:] &= greedy[:, 1:] != greedy[:, :-1]
    position = torch.arange(greedy.shape[1], device=greedy.device).expand_as(greedy)
    # The next emission strictly after each frame: a running minimum from the right.
    upcoming = torch.where(emits, position, greedy.shape[1]).flip(1).cummin(1).values.flip(1)
    upcoming = torch.cat([upcoming[:, 1:], torch.full_like(upcoming[:, :1], greedy.shape[1])], 1)
    exists = upcoming < greedy.shape[1]
    following = greedy.gather(1, upcoming.clamp(max=greedy.shape[1] - 1))
    return exists & ~word_start[following]
