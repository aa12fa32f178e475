"""Align a hypothesis with its reference, word by word, under a published set of costs and tie rules.

Several alignments are often equally cheap, and which of them is taken decides whether an error falls on a
biased or an unbiased word. A published figure is therefore reproduced only with the costs *and* the tie rules
of its authors; both are held by :class:`AlignmentRule`.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

Pair = tuple[str | None, str | None]
"""One step of an alignment: (reference word, hypothesis word); None is a gap."""

DIAGONAL = "diagonal"  # a match or a substitution
INSERTION = "insertion"
DELETION = "deletion"

_MAX_CELLS = 10_000  # of the table above which it is filled
_FAR = 2**30  # the distance of cells that no cheapest alignment visits


@dataclass(frozen=True)
class AlignmentRule:
    """Costs of the three errors (integers above 0; a match is free) and the order in which ties are settled.

    Attributes:
        preference: DIAGONAL, INSERTION and DELETION, the most preferred first. It is applied where the
            alignment is traced back, that is from the last word to the first.
    """

    substitution: int
    insertion: int
    deletion: int
    preference: tuple[str, str, str]


IS21_RULE = AlignmentRule(4, 3, 3, (DIAGONAL, INSERTION, DELETION))
"""Le et al. 2021 (arXiv:2104.02194), ``is21_deep_bias/score.py`` of fbai-speech at 43cdb3c."""

SLIDESPEECH_RULE = AlignmentRule(1, 1, 1, (DELETION, INSERTION, DIAGONAL))
"""Wang et al. 2024 (arXiv:2309.05396): the unit costs and ties of the SlideSpeech authors' scoring script."""


def align(ref: Sequence[str], hyp: Sequence[str], rule: AlignmentRule = IS21_RULE) -> list[Pair]:
    """Return the cheapest alignment of ``hyp`` with ``ref``: that of the full dynamic programme.

    The trace needs the distances along its way only. Of short sequences RapidFuzz finds each when it is asked
    for; of long ones, where that would be slow, they are tabulated.

    Args:
        ref: the words of the reference; may be empty.
        hyp: the words of the hypothesis; may be empty.
        rule: costs and tie rules.
    """
    weights = (rule.insertion, rule.deletion, rule.substitution)
    cost = Levenshtein.distance(ref, hyp, weights=weights)
    if len(ref) * len(hyp) > _MAX_CELLS:
        rows = _distances(ref, hyp, rule, cost)
        return _trace_back(lambda i, j: rows[i][j], cost, ref, hyp, rule)
    return _trace_back(
        lambda i, j: Levenshtein.distance(ref[:i], hyp[:j], weights=weights), cost, ref, hyp, rule
    )


def _trace_back(
    distance: Callable[[int, int], int],
    cost: int,
    ref: Sequence[str],
    hyp: Sequence[str],
    rule: AlignmentRule,
) -> list[Pair]:
    """Follow the preferred cheapest steps from the end of both sequences to their beginning.

    Args:
        distance: gives the cost of ``ref[:i]`` against ``hyp[:j]`` for i and j.
        cost: of the whole.
        ref: the words of the reference.
        hyp: the words of the hypothesis.
        rule: costs and tie rules.
    """
    prices = {DIAGONAL: rule.substitution, INSERTION: rule.insertion, DELETION: rule.deletion}
    i, j = len(ref), len(hyp)
    pairs: list[Pair] = []
    while cost:
        for step in rule.preference:
            before_i, before_j = i - (step != INSERTION), j - (step != DELETION)
            if before_i < 0 or before_j < 0:
                continue
            if step == DIAGONAL and ref[before_i] == hyp[before_j]:  # a match is never dearer than the others
                rest = cost
                break
            rest = cost - prices[step]
            if distance(before_i, before_j) == rest:
                break
        i, j, cost = before_i, before_j, rest
        pairs.append((None if step == INSERTION else ref[i], None if step == DELETION else hyp[j]))
    pairs.reverse()
    return [*zip(ref[:i], hyp[:j], strict=True), *pairs]


def _distances(ref: Sequence[str], hyp: Sequence[str], rule: AlignmentRule, total: int) -> list[array]:
    """Fill the table of edit distances: ``rows[i][j]`` is the cost of ``ref[:i]`` against ``hyp[:j]``.

    The cost of the whole, ``total``, bounds how far a cheapest alignment strays from the diagonal (Ukkonen
    1985): cells outside this band stay at ``_FAR``.
    """
    substitution, insertion, deletion = rule.substitution, rule.insertion, rule.deletion
    longer = len(ref) - len(hyp)
    # From diagonal i - j = d > longer, d deletions lead there and d - longer insertions back; likewise above.
    below = (total + insertion * longer) // (insertion + deletion)
    above = (total - deletion * longer) // (insertion + deletion)
    width = len(hyp) + 1
    # Rows are kept as arrays of 4-byte integers: a list would hold a pointer and an object for every cell.
    previous = array("i", [insertion * j if j <= above else _FAR for j in range(width)])
    rows = [previous]
    for i, ref_word in enumerate(ref, 1):
        first, last = max(i - below, 1), min(i + above, len(hyp))
        best = deletion * i if i <= below else _FAR
        row = [_FAR] * (first - 1)
        row.append(best)
        for hyp_word, diagonal, up in zip(
            hyp[first - 1 : last], previous[first - 1 : last], previous[first : last + 1], strict=True
        ):
            if ref_word == hyp_word:
                best = diagonal  # never dearer than a step from the left or from above
            else:
                best += insertion
                if up + deletion < best:
                    best = up + deletion
                if diagonal + substitution < best:
                    best = diagonal + substitution
            row.append(best)
        row += [_FAR] * (len(hyp) - last)
        previous = array("i", row)
        rows.append(previous)
    return rows
