"""An index of a biasing list: exact retrieval among up to hundreds of thousands of keywords in milliseconds.

The piece sequences of all keywords share their beginnings in a prefix tree. A path through it is aligned with
the speech piece by piece, and given up as soon as no keyword below can reach the best ones any more: the
best that is left for a keyword is bounded by the best frame of each piece that is still to come.

Symbols:
    N   keywords of the list   M   nodes of the tree   U   different pieces   T   frames
"""

import dataclasses
import heapq

import numba
import numpy as np
import torch

from funasr_sap.context.alignment import IMPOSSIBLE, advance, relative_posteriors
from funasr_sap.context.spellings import Spellings

# How far below the upper bound the first search looks, in nats; each further one looks twice as far.
FIRST_DEPTH = 32.0
_NOTHING = np.float32(-np.inf)


@dataclasses.dataclass(frozen=True)
class KeywordIndex:
    """A prefix tree in preorder: a node stands directly before those that continue it.

    Attributes:
        order: (N,) positions of the keywords in the biasing list, sorted by their pieces.
        first: (M + 1,) keywords ``order[first[m] : first[m + 1]]`` end in node m.
        column: (M,) each node's piece, as its place in ``pieces``.
        depth: (M,) pieces before the node's own.
        pieces: (U,) ids of the pieces that occur, rising.
    """

    order: np.ndarray
    first: np.ndarray
    column: np.ndarray
    depth: np.ndarray
    pieces: np.ndarray

    @classmethod
    def build(cls, ids: Spellings) -> "KeywordIndex":
        """Build the tree of N keywords; those without pieces stand in no node, and are never found."""
        order = _sort(ids)
        nodes, first, depth = _grow(ids.pieces, ids.starts, order)
        occurs = np.zeros(nodes.max(initial=-1) + 1, bool)  # ``np.unique`` would sort all nodes
        occurs[nodes] = True
        column = (occurs.cumsum(dtype=np.int32) - 1)[nodes]
        return cls(order, first, column, depth, occurs.nonzero()[0].astype(np.int32))

    def __len__(self):
        return len(self.order)

    def search(
        self, log_probs: torch.Tensor, frame_mask: torch.Tensor, top: int, reward: float, blank: int = 0
    ) -> np.ndarray:
        """Find the keywords of the highest score plus ``reward`` a piece, as exhaustive alignment would.

        Args:
            log_probs: (T, V) CTC log posteriors of one utterance.
            frame_mask: (T,) bool.
            top: keywords to find.
            reward: nats that each aligned piece is worth, above 0.
            blank: the CTC blank's id.

        Returns:
            (min(top, keywords with pieces),) positions in the biasing list, the best first.
        """
        pieces = torch.from_numpy(self.pieces).to(log_probs.device)
        emissions, silence = relative_posteriors(log_probs[None], frame_mask[None], pieces, blank)
        emissions, silence = emissions[0], silence[0]
        gain = emissions.max(1, initial=IMPOSSIBLE) + np.float32(reward)
        tree = (self.first, self.column, self.depth)
        rest, upper = _bound_rest(gain, *tree)
        spelt = int(self.first[-1] - self.first[0])
        top, depth, found = min(top, spelt), FIRST_DEPTH, []
        while len(found) < top:
            floor = np.float32(upper - depth if depth < -IMPOSSIBLE else _NOTHING)
            found = _search(emissions, silence, *tree, gain, rest, np.float32(reward), floor, top)
            depth *= 2
        return self.order[[place for _, place in sorted(found, reverse=True)]].astype(np.int64)


def _sort(ids: Spellings) -> np.ndarray:
    """Order keywords by their pieces: (N,) int32."""
    lengths = ids.lengths
    mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
    rows = np.zeros(mask.shape, ">u4")  # bytes that sort like numbers; 0: one sorts before those that go on
    rows[mask] = ids.pieces + 1
    return rows.view(f"V{rows.itemsize * mask.shape[1]}").ravel().argsort(kind="stable").astype(np.int32)


@numba.njit(nogil=True, cache=True)
def _grow(pieces, starts, order):
    """Make the M nodes of sorted keywords: the piece id of each (M,), ``first`` (M + 1,), ``depth`` (M,)."""
    nodes = np.empty(len(pieces), np.int32)
    first = np.empty(len(pieces) + 1, np.int32)
    depth = np.empty(len(pieces), np.int16)
    number, before = 0, pieces[:0]
    for place in range(len(order)):
        keyword = pieces[starts[order[place]] : starts[order[place] + 1]]
        shared, most = 0, min(len(keyword), len(before))
        while shared < most and keyword[shared] == before[shared]:
            shared += 1
        for k in range(shared, len(keyword)):
            nodes[number], first[number], depth[number] = keyword[k], place, k
            number += 1
        before = keyword
    first[number] = len(order)
    return nodes[:number].copy(), first[: number + 1].copy(), depth[:number].copy()


@numba.njit(nogil=True, cache=True)
def _bound_rest(gain, first, column, depth):
    """Bound what pieces can add to a keyword.

    Returns:
        For each node what those after it can, (M,), 0 where a keyword ends there; and what all can.
    """
    rest = np.empty(len(column), np.float32)
    below = np.full(depth.max() + 2, _NOTHING)  # the best of the subtrees seen so far, by depth
    for node in range(len(column) - 1, -1, -1):
        level = depth[node]
        best = below[level + 1]
        below[level + 1] = _NOTHING
        if first[node + 1] > first[node]:
            best = max(best, np.float32(0))
        rest[node] = best
        below[level] = max(below[level], gain[column[node]] + best)
    return rest, below[0]


@numba.njit(nogil=True, cache=True)
def _search(emissions, silence, first, column, depth, gain, rest, reward, floor, top):
    """Find the ``top`` best keywords among those worth more than ``floor``.

    Returns:
        What each is worth and its place in ``order``, as a heap.
    """
    levels, frames = depth.max() + 2, len(silence)
    piece = np.full((levels, frames), np.float32(IMPOSSIBLE))
    gap = np.full((levels, frames), np.float32(IMPOSSIBLE))
    worth = np.zeros(levels, np.float32)  # of the path to the node that was last seen at each depth
    above = np.full(levels, -1, np.int32)  # its piece
    found = [(floor, np.int32(0)) for _ in range(0)]
    given_up = levels
    for node in range(len(column)):
        level, row = depth[node], column[node]
        if level > given_up:
            continue
        given_up = level
        if worth[level] + gain[row] + rest[node] <= floor:
            continue
        repeated = level > 0 and above[level] == row
        score = advance(emissions[row], silence, piece, gap, level, repeated)
        worth[level + 1] = score + reward * np.float32(level + 1)
        above[level + 1] = row
        if worth[level + 1] + rest[node] <= floor:
            continue
        given_up = levels
        for place in range(first[node], first[node + 1]):
            if worth[level + 1] > floor:
                heapq.heappush(found, (worth[level + 1], np.int32(place)))
                if len(found) > top:
                    heapq.heappop(found)
                    floor = found[0][0]
    return found
