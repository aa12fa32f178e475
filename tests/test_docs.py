"""The documents against the repository: paths, commands and code in them must be real."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from funasr_sap.commands import NAMES

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README_zh.md")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("egs/*/*.md")]
)
MADE = {"data", "exp"}  # folders that recipes write
HOME = re.compile(r"(?<![\w.])/(?:home|nfs|mnt|Users|root)/")


def tracked_files():
    """List what is in the repository, or will be: all files but those that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def split(document):
    """Part a document into its prose and its code blocks, (language, code) each."""
    text = (ROOT / document).read_text(encoding="utf-8")
    block = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    return block.sub("", text), block.findall(text)


def commands(document):
    """Yield the words of each shell command."""
    for language, code in split(document)[1]:
        if language == "bash":
            lines = (shlex.split(line, comments=True) for line in code.replace("\\\n", " ").splitlines())
            yield from filter(None, lines)


def headings(document):
    return re.findall(r"^(#+) ", split(document)[0], flags=re.MULTILINE)


def named_paths(document):
    """Yield what is set as code and looks like a path of this repository, and the targets of links."""
    prose = split(document)[0]
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not target.startswith(("http:", "https:", "#")):
            yield folder, target.partition("#")[0]
    for word in re.findall(r"`([\w.-]+(?:/[\w.-]*)*)`", prose):
        first, slash, _ = word.partition("/")
        ours = slash and any((base / first).is_dir() for base in (ROOT, folder)) and first not in MADE
        if ours or (not slash and word.endswith((".py", ".sh"))):
            yield folder, word


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_exist(document):
    for folder, path in named_paths(document):
        assert (folder / path).exists() or (ROOT / path).exists(), f"{document} names {path}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_scripts_of_commands_exist(document):
    for words in commands(document):
        if words[:2] in (["python", "-m"], ["python3", "-m"]):
            module = words[2].replace(".", "/")
            assert words[2] in ("venv", "pip") or any(
                (ROOT / f"{module}{end}").exists() for end in (".py", "/__main__.py")
            )
        elif words[:1] in (["bash"], ["python"], ["."]) and words[1] != ".venv/bin/activate":
            if words[1].partition("/")[0] in MADE:
                continue
            assert (ROOT / words[1]).is_file(), f"{document}: {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_options_of_commands_exist(document):
    for words in commands(document):
        if words[0] == "bash" and words[1].endswith("/run.sh") and words[1].startswith("egs/"):
            known = (ROOT / words[1]).read_text(encoding="utf-8")
            for option in filter(lambda word: word.startswith("--"), words):
                variable = option.removeprefix("--").replace("-", "_")
                assert re.search(rf"^{variable}=", known, flags=re.MULTILINE), f"{document}: {option}"
        if words[0] == "funasr-sap" and re.fullmatch("[a-z-]+", words[1]):
            assert words[1] in NAMES, f"{document}: {words[1]}"
        if words[0] == "funasr-sap-train" or words[:2] == ["funasr-sap", "train"]:
            config = words[words.index("--config-name") + 1]
            assert (ROOT / "conf" / f"{config}.yaml").is_file()


def test_readmes_are_in_step():
    english, chinese = (split(document) for document in READMES)
    assert headings(READMES[0]) == headings(READMES[1])
    assert english[1] == chinese[1]
    for mark in ("\n|", "\n- ", "\n1. ", "<!--"):
        assert english[0].count(mark) == chinese[0].count(mark), mark
    code = [sorted(re.findall(r"`(\+\+[^`]+|--[^`]+)`", prose)) for prose, _ in (english, chinese)]
    assert code[0] == code[1]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_of_documents_compiles(document):
    for language, code in split(document)[1]:
        if language == "python":
            ast.parse(code)


def test_shell_calls_are_understood():
    from funasr_sap.cli import OVERRIDE, parse_overrides

    calls = [words for words in commands("README.md") if words[0] in ("funasr", "funasr-sap")]
    ours = [words[1:] for words in calls if OVERRIDE.match(words[1])]
    assert len(ours) > 1
    for arguments in ours:
        assert {"model", "input"} <= parse_overrides(arguments).keys()


def test_keys_of_training_are_in_the_configurations():
    known = [
        yaml.safe_load((ROOT / "conf" / name).read_text()) for name in ("finetune.yaml", "sap2_tiny.yaml")
    ]
    for key in re.findall(r"`\+\+([\w.]+)=", split("README.md")[0]):
        section, _, name = key.partition(".")
        assert any(name in (config.get(section) or {}) for config in known) or name == "freeze", key


def test_no_home_folders():
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image, weights
        found = HOME.search(text)
        assert not found, f"{path.relative_to(ROOT)}: {text[found.start() : found.start() + 40]!r}"
