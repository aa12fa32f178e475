"""The history of benchmarks: its rows, its figure, and that benchmarks/run.py writes such rows."""

import importlib.util
from pathlib import Path

import pytest

from funasr_sap.errors import DataError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PNG = b"\x89PNG\r\n\x1a\n"


def load(name):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plot_history = load("plot_history")
HEADER = ",".join(plot_history.COLUMNS)


def test_history_is_complete():
    rows = plot_history.read_history(plot_history.HISTORY)
    assert {row["unit"] for row in rows} == {"times as fast"}
    assert all(row["value"] > 0 for row in rows)
    assert all(row["command"].startswith("python benchmarks/run.py") for row in rows)
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    keys = [(row["commit"], row["metric"], row["against"]) for row in rows]
    assert len(set(keys)) == len(keys)
    goals = {(row["metric"], row["against"]): row["goal"] for row in rows if row["goal"]}
    assert goals["batch 16, N = 2,000", "batch 16, N = 20"] == 0.77


def test_document_has_the_latest_run():
    """The table of docs/performance.md is the last run of the history."""
    rows = plot_history.read_history(plot_history.HISTORY)
    latest = [row for row in rows if row["commit"] == rows[-1]["commit"]]
    document = (BENCHMARKS.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:4]] for line in document.splitlines() if "|" in line]
    for row in latest:
        assert [row["metric"], row["against"], f"{row['value']:.2f}"] in table
    assert rows[-1]["commit"] in document


def test_figure(tmp_path, capsys):
    output = tmp_path / "new" / "history.png"
    plot_history.main(["--output", str(output)])
    assert output.read_bytes().startswith(PNG)
    assert capsys.readouterr().out.strip() == str(output)


def test_panel_a_ratio():
    rows = plot_history.read_history(plot_history.HISTORY)
    figure = plot_history.draw(rows)
    titles = {axes.get_title() for axes in figure.axes if axes.get_visible()}
    assert titles == {f"{row['metric']}\nagainst {row['against']}" for row in rows}
    plot_history.plt.close(figure)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,commit\n", "got columns"),
        (HEADER + "\n", "got no row"),
        (HEADER + "\n2026-11-22,abc,2 cores,run,a,b,fast,times as fast,,\n", "history.csv:2: got could not"),
        (HEADER + "\n2026-11-22,abc\n", "history.csv:2: expected 10 values"),
    ],
)
def test_bad_history(tmp_path, text, message):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        plot_history.read_history(path)


def test_missing_history(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        plot_history.read_history(tmp_path / "history.csv")


def test_run_writes_rows_of_the_history(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    cells = [("a", "b", "1.50", "12.5 (RTF 0.08)"), ("c", "d", "2.00", "-")]
    load("run").write_history(cells, "2 cores, quiet", ["--rounds", "6", "--history", "2 cores, quiet"])
    path = tmp_path / "history.csv"
    path.write_text(f"{HEADER}\n{capsys.readouterr().out}")
    first, second = plot_history.read_history(path)
    assert (first["metric"], first["value"], first["goal"]) == ("a", 1.5, 12.5)
    assert (second["against"], second["goal"]) == ("d", None)
    assert first["command"] == "python benchmarks/run.py --rounds 6"
    assert first["hardware"] == "2 cores, quiet"
