"""What works without the packages of the extras, and what is said where they are missing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from funasr_sap.context.phonetics import _read_chinese
from funasr_sap.data.rows import read_rows
from funasr_sap.errors import ConfigError
from funasr_sap.extras import EXTRAS, import_extra
from funasr_sap.metrics.normalization import text_normalizer
from funasr_sap.train.log_report import write_png

ROOT = Path(__file__).parents[1]
WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
sys.argv[1:] = ["+model=sap2", "+hotwords=[private cultures, 学习]", "+input=" + sys.argv[1]]
from funasr_sap.cli import main
main()
"""
ROOTS = {module.partition(".")[0] for module in EXTRAS}


def test_recognition_needs_no_extra(speech_wavs):
    code = WITHOUT % sorted(ROOTS)
    done = subprocess.run(
        [sys.executable, "-c", code, speech_wavs[0].source], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert '"text": "' in done.stdout


def test_what_an_extra_installs_is_imported_where_it_is_used_alone():
    for path in (ROOT / "funasr_sap").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert ROOTS.isdisjoint(name.partition(".")[0] for name in names), path


def test_extras_are_those_of_the_package():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for package, extra in EXTRAS.values():
        line = next(line for line in setup.splitlines() if f'"{extra}": [' in line)
        assert f'"{package}>=' in line


@pytest.fixture
def without(monkeypatch):
    for module in EXTRAS:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_package_is_one_sentence(module, without):
    package, extra = EXTRAS[module]
    with pytest.raises(ConfigError) as error:
        import_extra(module, "this")
    assert f"this needs the package {package}" in str(error.value)
    assert str(error.value).endswith(f"pip install 'funasr-sap[{extra}]'") and "\n" not in str(error.value)


def test_each_use_says_so(without, tmp_path):
    (tmp_path / "a.xlsx").touch()
    uses = {
        "openpyxl": lambda: read_rows(tmp_path / "a.xlsx"),
        "pypinyin": lambda: _read_chinese("学"),
        "wetext": lambda: text_normalizer("zh"),
        "matplotlib": lambda: write_png(tmp_path / "a.png", []),
    }
    for package, use in uses.items():
        with pytest.raises(ConfigError, match=f"needs the package {package}, "):
            use()
