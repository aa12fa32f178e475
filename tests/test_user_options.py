from pathlib import Path

import pytest

from funasr_sap import options
from funasr_sap.commands.decode import DecodeOptions
from funasr_sap.inference import CALL_KEYS
from funasr_sap.options import DECODING, OF_CALLS, OF_THE_SHELL, with_table
from funasr_sap.recogniser import OPTIONS as OF_THE_MODEL

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("document", "language"), [("README.md", "en"), ("README_zh.md", "zh")])
def test_the_readmes_are_in_step(document, language):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert text.count(options.MARK) == 2
    assert text == with_table(text, language), f"run: python -m funasr_sap.options {document}"


def test_what_a_call_takes_is_declared_once():
    names = [each.name for each in OF_THE_SHELL]
    assert len(set(names)) == len(names)
    assert {each.name for each in DECODING} == {*OF_THE_MODEL, "index_dir", "bf16", "fp16"}
    assert {each.name for each in OF_CALLS} >= CALL_KEYS - {"hotword", "fs"}  # which stand with other ones


def test_helps_have_them():
    lines = options.shell_help().splitlines()
    assert [line.split("=")[0].strip() for line in lines] == [f"+{each.name}" for each in OF_THE_SHELL]
    assert {each.name for each in DECODING} < set(DecodeOptions.__dataclass_fields__)
    speculate = next(each for each in DECODING if each.name == "speculate")
    assert options.tool_help(speculate) == "SAP²: false lets the LLM write token by token: slower"
