"""Columns of text that line up in a terminal, where Chinese characters are two wide."""

import unicodedata
from collections.abc import Sequence


def display_width(text: str) -> int:
    """Count the columns that a terminal gives a text."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def align(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Pad the cells of a table to the widths of their columns, all to the left."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return [[_pad(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - display_width(cell))
