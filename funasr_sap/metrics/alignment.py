"""Align a hypothesis with its reference, word by word, under a published set of costs and tie rules.

Several alignments are often equally cheap, and which of them is taken decides whether an error falls on a
biased or an unbiased word. A published figure is therefore reproduced only with the costs *and* the tie rules
of its authors; both are held by :class:`AlignmentRule`.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[str | None, str | None]
"""One step of an alignment: (reference word, hypothesis word); None is a gap."""

DIAGONAL = "diagonal"  # a match or a substitution
INSERTION = "insertion"
DELETION = "deletion"


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
    """Return the cheapest alignment of ``hyp`` with ``ref``.

    The substituted, inserted and deleted words are those of the full dynamic programme with back-pointers,
    though what both sides share at either end is not searched:

    * Common first words. The distances right of and below them are the same without them, so the path back is
      the same until it meets their row or column. From there on every cheapest path consists of matches and
      the missing number of insertions (or deletions) alone, so the words inserted (deleted) are the same
      whichever path is taken; only their place among equal words may differ.
    * Common last words. A match never costs more than the two other steps, so that a rule that prefers the
      diagonal takes it. Under other rules they stay in, because a deletion may win the tie there.

    Args:
        ref: the words of the reference; may be empty.
        hyp: the words of the hypothesis; may be empty.
        rule: costs and tie rules.
    """
    first = _common_length(ref, hyp)
    pairs: list[Pair] = list(zip(ref[:first], hyp[:first], strict=True))
    ref, hyp = ref[first:], hyp[first:]
    last = _common_length(ref[::-1], hyp[::-1]) if rule.preference[0] == DIAGONAL else 0
    middle_ref, middle_hyp = ref[: len(ref) - last], hyp[: len(hyp) - last]
    pairs += _trace_back(_distances(middle_ref, middle_hyp, rule), middle_ref, middle_hyp, rule)
    pairs += zip(ref[len(ref) - last :], hyp[len(hyp) - last :], strict=True)
    return pairs


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Count the equal words that two sequences begin with."""
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length


def _distances(ref: Sequence[str], hyp: Sequence[str], rule: AlignmentRule) -> list[array]:
    """Fill the table of edit distances: ``rows[i][j]`` is the cost of ``ref[:i]`` against ``hyp[:j]``."""
    substitution, insertion, deletion = rule.substitution, rule.insertion, rule.deletion
    # Rows are kept as arrays of 4-byte integers: a list would hold a pointer and an object for every cell.
    above = array("i", range(0, insertion * (len(hyp) + 1), insertion))
    rows = [above]
    for ref_word in ref:
        best = above[0] + deletion
        row = [best]
        for hyp_word, diagonal, up in zip(hyp, above, above[1:], strict=False):
            if ref_word == hyp_word:
                best = diagonal  # never dearer than a step from the left or from above
            else:
                best += insertion
                if up + deletion < best:
                    best = up + deletion
                if diagonal + substitution < best:
                    best = diagonal + substitution
            row.append(best)
        above = array("i", row)
        rows.append(above)
    return rows


def _trace_back(rows: list[array], ref: Sequence[str], hyp: Sequence[str], rule: AlignmentRule) -> list[Pair]:
    """Follow the preferred cheapest steps from the end of both sequences to their beginning."""
    i, j = len(ref), len(hyp)
    pairs: list[Pair] = []
    while i and j:
        cost = rows[i][j]
        free = ref[i - 1] == hyp[j - 1]
        cheapest = {
            DIAGONAL: rows[i - 1][j - 1] + (0 if free else rule.substitution) == cost,
            INSERTION: rows[i][j - 1] + rule.insertion == cost,
            DELETION: rows[i - 1][j] + rule.deletion == cost,
        }
        step = next(step for step in rule.preference if cheapest[step])
        i -= step != INSERTION
        j -= step != DELETION
        pairs.append((None if step == INSERTION else ref[i], None if step == DELETION else hyp[j]))
    pairs += [(word, None) for word in reversed(ref[:i])]
    pairs += [(None, word) for word in reversed(hyp[:j])]
    pairs.reverse()
    return pairs
