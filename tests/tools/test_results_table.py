import importlib.util
import json
from pathlib import Path

import pytest

from funasr_sap.errors import ConfigError, DataError

TOOL = Path(__file__).parents[2] / "tools" / "results_table.py"
spec = importlib.util.spec_from_file_location("results_table_tool", TOOL)
results_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(results_table)
main = results_table.main


@pytest.fixture
def row(tmp_path):
    """Write one result, return its --row argument."""

    def write(condition, wer, u_wer, b_wer, pruning=None):
        rates = {"wer": wer, "u_wer": u_wer, "b_wer": b_wer}
        result = {name: {"error_rate": rate} for name, rate in rates.items()}
        if pruning:
            result["pruning"] = dict(zip(("precision", "recall", "f1"), pruning, strict=True))
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(result))
        return f"--row={condition}={path}"

    return write


def test_table(row, tmp_path, capsys):
    output = tmp_path / "out" / "table.md"
    main(
        [
            row("no context", 5, 2.5, 20),
            row("N=100", 3.25, 2.5, 5, (90, 80.5, None)),
            row("empty", 1, 1, None),
            "--output",
            str(output),
        ]
    )
    expected = """\
| condition  |  WER | U-WER | B-WER | B-WER change | pruning P / R / F1 |
| ---------- | ---: | ----: | ----: | -----------: | -----------------: |
| no context | 5.00 |  2.50 | 20.00 |            - |                  - |
| N=100      | 3.25 |  2.50 |  5.00 |      -75.0 % |  90.00 / 80.50 / - |
| empty      | 1.00 |  1.00 |     - |            - |                  - |
"""
    assert capsys.readouterr().out == output.read_text() == expected


def test_bars_in_conditions_do_not_break_the_table(row, capsys):
    main([row("a|b", 1, 1, 1)])
    assert r"| a\|b " in capsys.readouterr().out


def test_intervals_follow_their_rates(tmp_path, capsys):
    result = {name: {"error_rate": 5.0} for name in ("wer", "u_wer", "b_wer")}
    result["bootstrap"] = {"wer": [4, 6.125], "u_wer": [4.5, 5], "b_wer": None}
    (tmp_path / "a.json").write_text(json.dumps(result))
    main([f"--row=a={tmp_path / 'a.json'}"])
    assert "| 5.00 [4.00, 6.12] | 5.00 [4.50, 5.00] | 5.00 - |" in capsys.readouterr().out


def test_bad_rows_are_errors(tmp_path, capsys):
    for bad in ("no path", "=x.json", "label="):
        with pytest.raises(ConfigError, match='expected "condition='):
            main(["--row", bad])
    (tmp_path / "bad.json").write_text('{"wer": 1}')
    with pytest.raises(DataError, match=r"bad\.json is not a result"):
        main(["--row", f"a={tmp_path / 'bad.json'}"])
    (tmp_path / "bad.json").write_text("oops")
    with pytest.raises(DataError, match=r"bad\.json is not a result"):
        main(["--row", f"a={tmp_path / 'bad.json'}"])
    assert capsys.readouterr().out == ""


def test_help(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0 and "--row" in capsys.readouterr().out
