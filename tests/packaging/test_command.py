"""Our package and FunASR's in one environment: neither takes the other's command away."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("funasr_sap", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Our wheel, of a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder / "dist", folder)
    return next((folder / "dist").glob("funasr_sap-*.whl"))


@pytest.fixture
def funasr_wheel(tmp_path):
    """A FunASR that has the real one's name and script, and answers what it was called with."""
    folder = tmp_path / "stub"
    folder.mkdir()
    files = {
        "funasr/__init__.py": "print('a notice')\n",
        "funasr/cli.py": "import sys\ndef main(): print('FunASR', *sys.argv[1:])\n",
        "funasr-1.4.99.dist-info/METADATA": "Metadata-Version: 2.1\nName: funasr\nVersion: 1.4.99\n",
        "funasr-1.4.99.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "funasr-1.4.99.dist-info/entry_points.txt": "[console_scripts]\nfunasr = funasr.cli:main\n",
    }
    files["funasr-1.4.99.dist-info/RECORD"] = "".join(f"{name},,\n" for name in files)
    path = folder / "funasr-1.4.99-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def environment(tmp_path):
    """A fresh environment that finds all other packages where the tests do, after its own."""
    folder = tmp_path / "environment"
    venv.create(folder)
    site = Path(sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder}))
    (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def pip(*arguments, environment=None):
    where = ["--python", environment / "bin/python"] if environment else []
    command = [sys.executable, "-m", "pip", "--quiet", *where, *arguments]
    if arguments[0] != "uninstall":
        command += ["--no-deps", "--no-index"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def call(environment, name, *arguments):
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [environment / "bin" / name, *arguments]
    return subprocess.run(command, env=variables, cwd=environment, capture_output=True, text=True)


def assert_ours(environment, name):
    """Our program reads ``+key=value``; without an input it says so at once."""
    missing = call(environment, name, "+model=sap2")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "error: command line: +input=... is missing; see --help\n"


def assert_funasr(environment, *arguments):
    done = call(environment, "funasr", *arguments)
    assert (done.stdout, done.stderr) == (f"a notice\n{' '.join(['FunASR', *arguments])}\n", "")


@pytest.mark.parametrize("ours_last", [True, False])
def test_each_command_works_whichever_is_installed_last_and_after_either_is_removed(
    ours_last, wheel, funasr_wheel, environment
):
    for package in (funasr_wheel, wheel) if ours_last else (wheel, funasr_wheel):
        pip("install", package, environment=environment)
    assert_funasr(environment, "a.wav", "--model", "sensevoice")
    assert_ours(environment, "funasr")
    assert_ours(environment, "funasr-sap")
    if ours_last:
        pip("install", "--force-reinstall", funasr_wheel, environment=environment)
        assert_ours(environment, "funasr-sap")
        assert_ours(environment, "funasr")
        pip("uninstall", "--yes", "funasr-sap", environment=environment)
        assert_funasr(environment, "a.wav")
        assert_funasr(environment, "+model=sap2")
        assert not (environment / "bin/funasr-sap").exists()
    else:
        pip("uninstall", "--yes", "funasr", environment=environment)
        assert not (environment / "bin/funasr").exists()
        assert_ours(environment, "funasr-sap")


def test_the_wheel_holds_what_the_package_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("funasr_sap/")}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "funasr_sap"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("no checkout")
    kept = {name for name in listed.stdout.split("\n") if name and (ROOT / name).exists()}
    assert found == kept
