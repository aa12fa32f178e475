"""The Dockerfile: linted, its pins held against setup.py, its commands run in a plain virtual environment."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
WORKSPACE = "/workspace"
PINS = "docker/constraints.txt"


def instructions():
    """Yield (instruction, arguments) of the Dockerfile, its continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        yield tuple(line.split(maxsplit=1))


def all_of(name):
    return [arguments for instruction, arguments in instructions() if instruction == name]


def pins():
    """Return {package: version}."""
    lines = (ROOT / PINS).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def needed(package, extra=""):
    """Yield what an installed package needs here."""
    for text in importlib.metadata.requires(package) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def documented():
    """Return the docker commands of docs/docker.md, as words."""
    text = (ROOT / "docs/docker.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = "\n".join(re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)).splitlines()
    return [shlex.split(line) for line in lines if line.startswith("docker ")]


def inside():
    """Return what the documented ``docker run`` commands run in the container, as words."""
    runs = [words for words in documented() if words[1] == "run"]
    return [words[words.index("funasr-sap") + 1 :] for words in runs]


def test_linter_finds_nothing():
    command = [shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint", "Dockerfile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_base_is_pinned_and_user_is_not_root():
    (base,) = all_of("ARG")[:1]
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+", base)
    assert all_of("FROM") == ["${BASE}"]
    assert all_of("USER") == ["${UID}"]
    assert list(instructions())[-2][0] == "USER", "no command of the image runs as root"


def test_debian_packages_leave_no_lists():
    for command in all_of("RUN"):
        if "apt-get" in command:
            assert "--no-install-recommends" in command
            assert command.endswith("rm -rf /var/lib/apt/lists/*")


def test_pins_fit_setup():
    pinned = pins()
    assert sorted(pinned) == [*pinned], "sorted, for readable changes"
    for requirement in needed("funasr-sap", extra="test"):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not pinned"
        assert requirement.specifier.contains(version), f"{requirement}, pinned to {version}"


def test_pins_are_complete():
    pinned = pins()
    same = [name for name, version in pinned.items() if installed(name) == version]
    for name in same:
        for requirement in needed(name):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f"{name} needs {requirement}, which is not pinned"
            assert requirement.specifier.contains(version), f"{name} needs {requirement}, pinned to {version}"


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def copy_context(target):
    """Copy what .dockerignore lets into the image: names after "!", less the later patterns."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    hidden = [rule.removeprefix("**/") for rule in rules[1:] if not rule.startswith("!")]

    def ignore(folder, names):
        places = {name: (Path(folder) / name).relative_to(ROOT).as_posix() for name in names}
        return [n for n in names if any(fnmatch(n, rule) or fnmatch(places[n], rule) for rule in hidden)]

    for name in (rule.removeprefix("!") for rule in rules if rule.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=ignore, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, target / name)


def use_installed_versions(path):
    """Pin what is installed here: the tests reach no package index, and pip then finds all there already."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^([\w.-]+)==.*", lambda m: f"{m[1]}=={installed(m[1])}", text))


class Image:
    """A virtual environment and a folder that stand for the image.

    The packages that are installed here are seen in it, pip reaches no index, and ``useradd`` writes into
    a folder instead of /etc.
    """

    def __init__(self, folder):
        self.workspace = folder / "root" / "workspace"
        self.bin = folder / "venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        packages = next((folder / "venv/lib").glob("python*/site-packages"))
        (packages / "installed_here.pth").write_text("\n".join(site.getsitepackages()))
        (folder / "root" / "etc").mkdir(parents=True)
        for name in ("passwd", "group", "shadow"):
            (folder / "root" / "etc" / name).touch()
        # Who is not root may not add users; the options are read all the same.
        alone = "" if os.geteuid() == 0 else "--help "
        useradd = shutil.which("useradd", path=f"{os.environ['PATH']}:/usr/sbin")  # not on every user's PATH
        self.write_program("useradd", f'{useradd} --prefix {folder}/root {alone}"$@"')
        settings = dict(word.split("=", 1) for line in all_of("ENV") for word in shlex.split(line))
        self.environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.workspace),
            "PIP_NO_INDEX": "1",
            "UID": "1000",
            **settings,
        }

    def write_program(self, name, command):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\nexec {command}\n")
        path.chmod(0o755)

    def run(self, command):
        """Run a shell command in the workspace, as ``RUN`` does; it must succeed."""
        self.workspace.mkdir(exist_ok=True)
        command = command.replace(WORKSPACE + "/", f"{self.workspace}/")
        # bash keeps a read-only UID of its own, sh takes the image's.
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.workspace, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image, built by the Dockerfile's own commands."""
    folder = tmp_path_factory.mktemp("image")
    built = Image(folder)
    for instruction, arguments in instructions():
        if instruction == "COPY" and arguments.endswith(" . ."):
            copy_context(built.workspace)
        elif instruction == "COPY":
            source, target = arguments.split()
            (built.workspace / target).mkdir()
            shutil.copy(ROOT / source, built.workspace / target)
            use_installed_versions(built.workspace / source)
        elif instruction == "RUN":
            built.run(arguments)
    return built


def test_image_has_the_package_and_its_files(image):
    code = "import funasr_sap; print(funasr_sap.__file__)"
    place = subprocess.run(
        [image.bin / "python", "-c", code], cwd="/", env=image.environment, capture_output=True, text=True
    )
    assert Path(place.stdout.strip()).is_relative_to(image.bin.parent), place
    assert (image.bin / "funasr-sap-train").exists()
    model = Path(place.stdout.strip()).parent / "pretrained/sap2_tiny/model.pt"
    assert model.stat().st_size == (ROOT / "funasr_sap/pretrained/sap2_tiny/model.pt").stat().st_size
    left = {path.name for path in image.workspace.iterdir()}
    assert not left & {"build", "funasr_sap.egg-info", "tests", ".git"}


def test_default_command(image):
    (command,) = map(json.loads, all_of("CMD"))
    assert "Hydra" in image.run(shlex.join(command))


@pytest.mark.slow
def test_documented_commands_in_the_container(image):
    commands = [words for words in inside() if words[0] != "funasr-sap-train"]
    assert [words[0] for words in commands] == ["python", "bash"]
    printed = [image.run(shlex.join(words)) for words in commands]
    assert printed[0] in ("CUDA: True\n", "CUDA: False\n")
    assert printed[1].startswith("funasr_sap ")


@pytest.mark.slow
def test_documented_training_in_the_container(image, speech_dir):
    (command,) = (words for words in inside() if words[0] == "funasr-sap-train")
    (image.workspace / "data").mkdir()
    for name in ("train", "dev"):
        shutil.copy(speech_dir / "data.jsonl", image.workspace / f"data/{name}.jsonl")
    image.run(shlex.join(command))
    assert (image.workspace / "exp/mine/model.pt").is_file()


def test_documented_options_of_docker():
    if not shutil.which("docker"):
        pytest.skip("needs the docker client")
    for words in documented():
        nobody = {**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock", "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(words, cwd=ROOT, env=nobody, capture_output=True, text=True)
        # The client reads its options before it looks for an engine.
        assert "nonexistent.sock" in done.stderr, done.stderr
