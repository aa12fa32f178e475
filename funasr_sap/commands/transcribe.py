"""Recognise audio: a JSON object an utterance on stdout. The options are those of ``funasr-sap`` itself."""

import sys

from funasr_sap.cli import HELP_FLAGS, OVERRIDE, name_audio, recognise_overrides
from funasr_sap.options import shell_help

HEAD = """usage: funasr-sap transcribe +input=INPUT [+hotwords=LIST] [+key=value ...]
       funasr-sap transcribe AUDIO ... [+hotwords=LIST] [+key=value ...]

Recognise audio with hotwords. Prints one JSON object an utterance; exit status 1 where one could not be read.

"""
FOOT = """
What is not given is the model's own. ++key=value and key=value work too, as do other keys of FunASR's
AutoModel.
"""


def main(argv: list[str] | None = None) -> int:
    """Recognise what the arguments name, by the embedded model where they name none."""
    arguments = sys.argv[1:] if argv is None else argv
    if set(HELP_FLAGS).intersection(arguments):
        sys.stdout.write(HEAD + shell_help() + FOOT)
        return 0
    arguments = name_audio(arguments)
    given = {found[1] for found in map(OVERRIDE.fullmatch, arguments) if found}
    return recognise_overrides(arguments if "model" in given else ["+model=sap2", *arguments])
