"""Reports of experiments: what ran where, a table of results, transcripts that the context changed."""

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence

from funasr_sap.errors import DataError
from funasr_sap.metrics.alignment import IS21_RULE, align
from funasr_sap.metrics.table import interval, rate

HEADER = ("condition", "WER", "U-WER", "B-WER", "B-WER change", "pruning P / R / F1")
PACKAGES = ("funasr-sap", "funasr", "torch", "transformers")


def read_score(path: str) -> dict:
    """Read one result of ``funasr-sap score --json``.

    Raises:
        DataError: the file is not such a result.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            result = json.load(stream)
        for name in ("wer", "u_wer", "b_wer"):
            result[name]["error_rate"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a result of funasr-sap score --json ({error!r}).") from error
    return result


def format_rows(rows: Sequence[tuple[str, dict]]) -> list[tuple[str, ...]]:
    """Turn labelled results into the cells of the table; "-" where a figure has no meaning.

    Rates with bootstrap intervals are followed by them.

    Args:
        rows: condition and result of each run; B-WER changes are relative to the first.
    """
    base = rows[0][1]["b_wer"]["error_rate"]
    cells = []
    for number, (label, result) in enumerate(rows):
        b_wer = result["b_wer"]["error_rate"]
        change = "-"
        if number and base and b_wer is not None:
            change = f"{100 * (b_wer - base) / base:+.1f} %"
        pruning = result.get("pruning")
        kept = "-"
        if pruning and pruning["precision"] is not None:
            kept = " / ".join(rate(pruning[name]) for name in ("precision", "recall", "f1"))
        rates = (_rate_with_interval(result, name) for name in ("wer", "u_wer", "b_wer"))
        cells.append((label.replace("|", r"\|"), *rates, change, kept))
    return cells


def _rate_with_interval(result: Mapping, name: str) -> str:
    """Write a rate, and its interval where ``--bootstrap`` found one."""
    text = rate(result[name]["error_rate"])
    return f"{text} {interval(result['bootstrap'][name])}" if "bootstrap" in result else text


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        _line(header, widths),
        _line(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])], widths),
    ]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def describe_environment() -> list[str]:
    """Say when and where a result was made: date, commit, versions, cores."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    try:
        git = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "not in a git checkout"
    return [
        f"- date: {datetime.date.today().isoformat()}",
        f"- git: {commit}",
        f"- versions: Python {platform.python_version()}, {', '.join(versions)}",
        f"- hardware: {os.cpu_count()} CPU cores ({platform.machine()})",
    ]


def changed_by_context(
    references: Mapping[str, str],
    without: Mapping[str, str],
    hypotheses: Mapping[str, str],
    rare_words: Mapping[str, Sequence[str]],
    number: int,
) -> list[str]:
    """List utterances that the context changed, as Markdown: the first ones by id, helped and hurt alike.

    Args:
        references: the transcripts.
        without: hypotheses without context.
        hypotheses: hypotheses with context.
        rare_words: the rare words that are spoken in each utterance.
        number: how many utterances to show at most.
    """
    lines = []
    for utt_id in sorted(references):
        before, after = without.get(utt_id, ""), hypotheses.get(utt_id, "")
        if before == after or not rare_words.get(utt_id):
            continue
        reference = references[utt_id]
        lines += [
            f"- `{utt_id}` {', '.join(rare_words[utt_id])}",
            f"  - reference: {reference}",
            f"  - without: {_mark_errors(reference, before)}",
            f"  - with: {_mark_errors(reference, after)}",
        ]
        if len(lines) >= 4 * number:
            break
    return lines


def _mark_errors(reference: str, hypothesis: str) -> str:
    """Write a hypothesis with its wrong words in bold."""
    words = []
    for expected, found in align(reference.split(), hypothesis.split(), IS21_RULE):
        if found is not None:
            words.append(found if found == expected else f"**{found}**")
    return " ".join(words)
