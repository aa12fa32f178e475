"""The result of scoring as one HTML page that needs nothing else: figures, charts, aligned utterances.

Each figure is taken from the report by its path, which the page keeps beside it (``data-path``). Texts and
ids are data: the template engine escapes them.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from funasr_sap.metrics import charts
from funasr_sap.metrics.evaluation import Run
from funasr_sap.metrics.interlinear import Column, interlinear
from funasr_sap.metrics.table import LABELS
from funasr_sap.metrics.wer import CONVENTIONS, Convention

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("funasr_sap.metrics", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(report: Mapping[str, Any], references: Mapping[str, str], runs: Sequence[Run]) -> str:
    """Return the page as HTML.

    Args:
        report: a result of `funasr_sap.metrics.evaluation.evaluate` with ``per_utterance``, and with
            ``normalize`` and ``unit``.
        references: the texts as scored.
        runs: all that were evaluated; the compared one last.
    """
    systems: list[tuple[str, Mapping]] = [("", report)]
    systems += [(f"runs.{number}.", run) for number, run in enumerate(report.get("runs", [])) if number]
    if "compare" in report:
        systems.append(("compare.", report["compare"]))
    rows = report["per_utterance"]
    order = sorted(range(len(rows)), key=lambda i: (-rows[i]["gain"], -rows[i]["errors"][0], i))
    convention = CONVENTIONS[report["convention"]]
    columns = functools.partial(_columns, convention=convention, references=references, runs=runs)
    return _ENVIRONMENT.get_template("page.html").render(
        report=report,
        systems=systems,
        labels=LABELS,
        charts=charts,
        bars=charts.bar_chart(systems),
        lines=_lines(report, systems),
        utterances=[(place, rows[place], columns(rows[place]["id"])) for place in order],
        value=functools.partial(_value, report),
        figure=lambda path: _figure(path, _value(report, path)),
    )


def _lines(report: Mapping, systems: Sequence[tuple[str, Mapping]]) -> charts.Chart | None:
    """Draw B-WER against N where several N are known, from several runs or from the lists of one."""
    runs = sorted(enumerate(report.get("runs", [])), key=lambda run: run[1]["n"])
    if len({run["n"] for _, run in runs}) > 1:
        return charts.line_chart([[(f"runs.{number}.", run) for number, run in runs]])
    lines = [
        [(f"{path}by_n.{place}.", group) for place, group in enumerate(system.get("by_n", []))]
        for path, system in systems
    ]
    # Systems whose lists are not alike have no common axis.
    alike = len({tuple(group["n"] for _, group in line) for line in lines}) == 1
    return charts.line_chart(lines) if alike and len(lines[0]) > 1 else None


def _columns(
    utt_id: str, convention: Convention, references: Mapping[str, str], runs: Sequence[Run]
) -> list[Column]:
    ref, first = references[utt_id].split(), runs[0]
    listed = (first.biasing or {}).get(utt_id, ())
    rare_words = None if first.rare_words is None else first.rare_words.get(utt_id, ())
    biased = convention.biased_words(ref, listed, rare_words)
    return interlinear(ref, [run.texts[utt_id].split() for run in runs], biased, convention.rule)


def _value(report: Mapping, path: str) -> Any:
    """Look up ``a.b.0.c`` in the report; a list at the end stands for its length."""
    value: Any = report
    for key in path.split("."):
        value = value[int(key) if isinstance(value, list) else key]
    return len(value) if isinstance(value, list) else value


def _figure(path: str, value: Any) -> str:
    """Write a value of the report for people, as its name asks for."""
    name = path.rpartition(".")[2]
    if value is None:
        return "-"
    if name == "p_value":
        return f"{value:.4f}"
    if name == "difference":
        return f"{value:+.2f}"
    if name in ("gain", "biased_gain"):
        return f"{value:+d}"
    return f"{value:.2f}" if isinstance(value, float) and name != "n" else str(value)
