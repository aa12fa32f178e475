"""Plain-text tables of what `funasr_sap.metrics.evaluation` reports, for the terminal."""

from collections.abc import Mapping, Sequence

LABELS = {"wer": "WER", "u_wer": "U-WER", "b_wer": "B-WER"}
"""The three rates as people write them; in characters, they are still called so."""


def format_table(report: Mapping) -> str:
    """Return a report as plain text: rates, hotwords, then whatever else was asked for.

    Args:
        report: a result of `funasr_sap.metrics.evaluation.evaluate`, or of `Score.to_dict`.
    """
    parts = [*_system(report), *_groups(report)]
    if "runs" in report:
        parts += ["Runs", _rates_table("N", [(str(run["n"]), run) for run in report["runs"]])]
    if "compare" in report:
        other = report["compare"]
        parts += [f"Compared with {other['hyp']}", *_system(other), *_groups(other), _difference(other)]
    return "\n\n".join(parts)


def _system(system: Mapping) -> list[str]:
    title = f"{system['utterances']} utterances, "
    if "convention" in system:
        title += f"convention {system['convention']}, "
    title += f"sentence error rate {rate(system['sentence_error_rate'])} %"
    for key, what in (("missing", "without a hypothesis"), ("unknown", "without a reference")):
        if system[key]:
            title += f"; left out {len(system[key])} {what}"
    rows: list[tuple[str, ...]] = [("", "error %", "ref words", "subs", "ins", "dels")]
    for name, label in LABELS.items():
        counts = system[name]
        cells = (str(counts[key]) for key in ("ref_words", "subs", "ins", "dels"))
        rows.append((label, rate(counts["error_rate"]), *cells))
    if "bootstrap" in system:
        bounds = [interval(system["bootstrap"][name]) for name in LABELS]
        added = [f"{system['bootstrap']['level']} % interval", *bounds]
        rows = [(*row, cell) for row, cell in zip(rows, added, strict=True)]
    return [title, _aligned(rows), _aligned(_keyword_rows(system))]


def _keyword_rows(system: Mapping) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "precision %", "recall %", "F1 %", "tp", "fp", "fn", "tn")]
    for name, label in (("hotword", "hotwords"), ("pruning", "pruning")):
        if name in system:
            rates = (rate(system[name][key]) for key in ("precision", "recall", "f1"))
            rows.append((label, *rates, *(str(system[name][key]) for key in ("tp", "fp", "fn", "tn"))))
    return rows


def _groups(system: Mapping) -> list[str]:
    parts = []
    if "sessions" in system:
        parts += ["Sessions", _rates_table("session", [(row["session"], row) for row in system["sessions"]])]
    if "by_n" in system:
        rows = [(row["n"], row) for row in system["by_n"]]
        parts += ["Sizes of the biasing list (N)", _rates_table("N", rows)]
    return parts


def _rates_table(header: str, rows: Sequence[tuple[str, Mapping]]) -> str:
    """Set one system or group a line, with its three rates and, where they are known, their intervals."""
    cells = [(header, "utterances", "ref words", *(f"{label} %" for label in LABELS.values()))]
    for name, row in rows:
        rates = []
        for key in LABELS:
            text = rate(row[key]["error_rate"])
            if "bootstrap" in row:
                text += f" {interval(row['bootstrap'][key])}"
            rates.append(text)
        cells.append((name, str(row["utterances"]), str(row["wer"]["ref_words"]), *rates))
    return _aligned(cells)


def _difference(other: Mapping) -> str:
    rows = [("", "difference", "interval", "p")]
    for name, label in LABELS.items():
        found = other["difference"][name]
        if found is None:
            rows.append((label, "-", "-", "-"))
        else:
            difference, p_value = f"{found['difference']:+.2f}", f"{found['p_value']:.4f}"
            rows.append((label, difference, interval(found["interval"]), p_value))
    counts = f"helped {len(other['helped'])}, hurt {len(other['hurt'])}, unchanged {other['unchanged']}"
    test = f"paired bootstrap, {other['test']}; {other['samples']} samples each"
    return f"{counts} of {other['paired_utterances']} utterances\n\n{_aligned(rows)}\n\n({test})"


def rate(value: float | None) -> str:
    """Write a rate in percent; "-" where it has no meaning."""
    return "-" if value is None else f"{value:.2f}"


def interval(bounds: Sequence[float] | None) -> str:
    """Write an interval as ``[low, high]``; "-" where it has no meaning."""
    return "-" if bounds is None else f"[{bounds[0]:.2f}, {bounds[1]:.2f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Set the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
