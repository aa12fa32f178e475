"""Every tool says what it takes."""

import runpy
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCED = {"env.sh", "parse_options.sh", "recipe.sh"}  # by other scripts
SCRIPTS = [path for path in (ROOT / "tools").glob("*.sh") if path.name not in SOURCED]
SCRIPTS += (ROOT / "egs").glob("*/run.sh")


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.name)
def test_tools(tool, capsys):
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(tool))["main"](["--help"])
    printed = capsys.readouterr().out
    assert not left.value.code and len(printed.splitlines()) > 10


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts(script, tmp_path):
    done = subprocess.run(["bash", script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 2 and not list(tmp_path.iterdir())
