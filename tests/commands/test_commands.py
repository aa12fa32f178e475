"""The sub-commands of funasr-sap, and the tools that call them."""

import ast
import logging
import re
import sys
from pathlib import Path

import pytest

from funasr_sap import cli
from funasr_sap.commands import COMMANDS, NAMES

ROOT = Path(__file__).parents[2]
OWN = {"deepen_encoder"}  # used once, for the embedded weights: no command
DOORS = [path for path in sorted((ROOT / "tools").glob("*.py")) if path.stem not in OWN]


@pytest.fixture
def call(capsys, monkeypatch):
    """Run funasr-sap in this process: (exit status, stdout, stderr)."""
    level = logging.getLogger().level

    def run(*arguments, program="funasr-sap"):
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    yield run
    logging.getLogger().setLevel(level)


def test_help_lists_all(call):
    status, stdout, stderr = call("--help")
    assert (status, stderr) == (0, "")
    for group, commands in COMMANDS.items():
        assert f"\n  {group}\n" in stdout
        for name, what in commands.items():
            assert f"    {name} " in stdout and what in stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_help(name, call):
    status, stdout, _ = call(name, "--help")
    assert status == 0 and f"funasr-sap {name}" in stdout
    assert "tools/" not in stdout and "docs/" not in stdout and "egs/" not in stdout


def test_the_modules_are_the_commands():
    modules = {path.stem for path in (ROOT / "funasr_sap/commands").glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in NAMES}


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.name)
def test_tools_are_doors(door):
    lines = door.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 12 and any(line.startswith("from funasr_sap.commands.") for line in lines)


@pytest.mark.parametrize("document", ["README.md", "README_zh.md"])
def test_the_readmes_name_all(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [name for name in NAMES if f"\n| `{name}` " not in text] == []


def test_no_message_sends_users_to_a_checkout():
    """A wheel brings no tools, recipes or documents."""
    found = [
        f"{path.relative_to(ROOT)}: {node.value}"
        for path in (ROOT / "funasr_sap").rglob("*.py")
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if not isinstance(statement, ast.Expr)  # a docstring
        for node in ast.iter_child_nodes(statement)
        if isinstance(node, ast.Constant) and re.search(r"\b(?:tools|docs|egs)/", str(node.value))
    ]
    assert found == []


def test_arguments_exit_status_and_errors(call, tmp_path):
    (tmp_path / "ref").write_text("u1 a b\n")
    files = ("--ref", str(tmp_path / "ref"), "--hyp", str(tmp_path / "ref"))
    status, stdout, _ = call("score", *files, "--convention", "is21")
    assert status == 0 and stdout.startswith("1 utterances, convention is21")
    status, stdout, stderr = call("score", *files[:3], str(tmp_path / "none"), "--convention", "is21")
    assert (status, stdout) == (1, "") and "error: " in stderr and "none" in stderr
    status, _, stderr = call("score")
    assert status == 2 and stderr.startswith("usage: funasr-sap score ")


def test_a_misspelt_command_is_named(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("scroe", "--ref", "x")[::2] == (1, "error: unknown command 'scroe'; did you mean score?\n")


def test_the_other_forms_are_left_alone(monkeypatch, tmp_path):
    from funasr_sap.commands import is_command

    monkeypatch.chdir(tmp_path)
    for words in ([], ["+model=sap2", "+input=a.wav"], ["a.wav", "--model", "sensevoice"], ["--help"]):
        assert not is_command(words)
    assert is_command(["decode"]) and is_command(["decod"])
    (tmp_path / "decod").touch()  # audio, for FunASR's own program
    assert not is_command(["decod"])
    monkeypatch.setattr(sys, "argv", ["/usr/bin/funasr"])
    assert not is_command(["decode"])
