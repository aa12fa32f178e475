"""Parts of a test set: its sessions, and its utterances with biasing lists of about the same size."""

from collections.abc import Mapping, Sequence

import numpy as np

from funasr_sap.errors import DataError

Groups = dict[str, list[int]]
"""For each group its name and the places of its utterances."""

MAX_SIZES = 10


def sessions_by_separator(utt_ids: Sequence[str], separator: str) -> dict[str, str]:
    """Return the session of each utterance: what its id begins with, up to the first separator.

    Raises:
        DataError: ids without the separator; names them.
    """
    if not separator:
        raise DataError("the separator of sessions is empty: expected one or more characters, such as '-'.")
    bad = [utt_id for utt_id in utt_ids if separator not in utt_id]
    if bad:
        shown = ", ".join(bad[: DataError.MAX_SHOWN])
        raise DataError(
            f"{len(bad)} of {len(utt_ids)} utterance id(s) do not contain the session separator {separator!r}"
            f" ({shown}): give another one, or a map of sessions."
        )
    return {utt_id: utt_id.partition(separator)[0] for utt_id in utt_ids}


def group_by_session(utt_ids: Sequence[str], sessions: Mapping[str, str]) -> Groups:
    """Group utterances by session, in the order of the sessions' names.

    Args:
        utt_ids: the utterances.
        sessions: the session of each utterance.
    """
    groups: Groups = {}
    for place, utt_id in enumerate(utt_ids):
        groups.setdefault(sessions[utt_id], []).append(place)
    return dict(sorted(groups.items()))


def group_by_size(sizes: Sequence[int], max_groups: int = MAX_SIZES) -> Groups:
    """Group utterances by the size of their biasing lists, the shortest first.

    Lists of LibriSpeech have 100 distractors and a few rare words, which makes many sizes of little meaning.
    Where there are more than ``max_groups``, neighbouring sizes are merged into about equally large groups,
    named like "101-103".

    Args:
        sizes: entries in the biasing list of each utterance.
        max_groups: how many groups there may be.
    """
    array = np.asarray(sizes)
    distinct, counts = np.unique(array, return_counts=True)
    if len(distinct) > max_groups:
        middles = np.cumsum(counts) - counts / 2
        numbers = (middles * max_groups / len(sizes)).astype(int)
    else:
        numbers = np.arange(len(distinct))
    groups = {}
    for number in np.unique(numbers):
        merged = distinct[numbers == number]
        first, last = merged[0], merged[-1]
        name = str(first) if first == last else f"{first}-{last}"
        groups[name] = np.flatnonzero((array >= first) & (array <= last)).tolist()
    return groups
