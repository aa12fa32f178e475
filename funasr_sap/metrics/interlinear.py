"""A reference with several hypotheses below it, word under word, as papers show examples."""

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

from funasr_sap.metrics.alignment import AlignmentRule, align

RIGHT, WRONG, INSERTED, DELETED, MENDED, GAP = "right", "wrong", "inserted", "deleted", "mended", "gap"
MAX_WORDS = 6  # of a column, so that lines can be broken between columns


class Cell(NamedTuple):
    """What one hypothesis has in a column, and how it is judged."""

    text: str
    kind: str


class Column(NamedTuple):
    """Words of the reference ("" where words are inserted) and what each hypothesis has there."""

    ref: str
    biased: bool
    cells: tuple[Cell, ...]


def interlinear(
    ref: Sequence[str], hyps: Sequence[Sequence[str]], biased: Collection[str], rule: AlignmentRule
) -> list[Column]:
    """Align hypotheses with one reference and set them under it.

    A biased word that the first hypothesis has wrong and another one has right is mended in that one.

    Args:
        ref: the words of the reference.
        hyps: the words of each hypothesis.
        biased: the biased words of the utterance.
        rule: costs and tie rules of the alignment.
    """
    aligned = [_by_place(ref, hyp, rule) for hyp in hyps]
    columns = []
    for place in range(len(ref) + 1):
        inserted = [insertions[place] for insertions, _ in aligned]
        for number in range(max(map(len, inserted), default=0)):
            cells = (Cell(w[number], INSERTED) if number < len(w) else Cell("", GAP) for w in inserted)
            columns.append(Column("", False, tuple(cells)))
        if place < len(ref):
            word = ref[place]
            cells = tuple(_cell(word, words[place]) for _, words in aligned)
            if word in biased and cells and cells[0].kind != RIGHT:
                cells = tuple(c._replace(kind=MENDED) if c.kind == RIGHT else c for c in cells)
            columns.append(Column(word, word in biased, cells))
    return _join(columns)


def _by_place(
    ref: Sequence[str], hyp: Sequence[str], rule: AlignmentRule
) -> tuple[list[list[str]], list[str | None]]:
    """Return the words inserted before each place of the reference (or at its end), and those said there."""
    insertions: list[list[str]] = [[]]
    words: list[str | None] = []
    for ref_word, hyp_word in align(ref, hyp, rule):
        if ref_word is not None:
            words.append(hyp_word)
            insertions.append([])
        elif hyp_word is not None:
            insertions[-1].append(hyp_word)
    return insertions, words


def _cell(ref_word: str, hyp_word: str | None) -> Cell:
    if hyp_word is None:
        return Cell("***", DELETED)
    return Cell(hyp_word, RIGHT if hyp_word == ref_word else WRONG)


def _join(columns: list[Column]) -> list[Column]:
    """Join neighbouring columns of unbiased words that all hypotheses have right: a page holds thousands."""

    def plain(column: Column) -> bool:
        return not column.biased and all(cell.kind == RIGHT for cell in column.cells)

    def add(joined: list[Column], column: Column) -> list[Column]:
        last = joined[-1] if joined else None
        if last and plain(last) and plain(column) and last.ref.count(" ") < MAX_WORDS - 1:
            text = f"{last.ref} {column.ref}"
            joined[-1] = Column(text, False, tuple(Cell(text, RIGHT) for _ in column.cells))
        else:
            joined.append(column)
        return joined

    return functools.reduce(add, columns, [])
