"""The shell command: Hydra's form for ``+key=value`` calls, FunASR's own program for the rest.

    funasr +model=sap2 +input=talk.wav '+hotwords=[photosynthesis,chlorophyll]'
    funasr talk.wav --model sensevoice

``funasr-sap`` is the same program under a name that no other package installs; there, audio files alone are
recognised by the embedded model.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import sys
from pathlib import Path

from funasr_sap import __version__
from funasr_sap.commands import is_command, list_commands, run_command
from funasr_sap.configurations import as_dict
from funasr_sap.context.vocabulary import find_vocabulary
from funasr_sap.errors import ConfigError
from funasr_sap.funasr_keys import AUTO_MODEL_KEYS, GENERATE_KEYS, check_log_level
from funasr_sap.options import shell_help
from funasr_sap.registration import EMBEDDED
from funasr_sap.results import write_results
from funasr_sap.text.hotwords import split_items
from funasr_sap.tool import run

OVERRIDE = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)=(.*)", re.DOTALL)
HELP_FLAGS = ("-h", "--help")
# Values that are taken as they stand: names and words, in any script, that Hydra's grammar would refuse.
TEXT_KEYS = ("model", "input", "key", "hotwords", "hotword", "biasing_list", "output_dir", "data_type")
TEXT_KEYS += ("language", "prune", "vad_model", "punc_model", "spk_model", "device")
TEXT_KEYS += ("hub", "log_level", "index_dir", "init_param")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".webm", ".aac", ".wma", ".amr")

HELP = f"""usage: funasr +model=sap2 +input=INPUT [+hotwords=LIST] [+key=value ...]
       funasr-sap AUDIO ... [+key=value ...]             (the embedded model)
       funasr AUDIO ... [--model NAME] [options]         (FunASR's own program)

Contextual speech recognition from the shell. Prints one JSON object an utterance.

{shell_help()}
The names are FunASR's; ++key=value and key=value work too. FunASR's own program: funasr-sap --help-funasr
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; errors are one sentence and exit status 1."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if is_command(argv):
        run_command(argv)
    argv = name_audio(argv)
    ours = [argument for argument in argv if OVERRIDE.fullmatch(argument)]
    called = any(a.startswith("+") for a in ours) or (ours and not any(a.startswith("-") for a in argv))
    if not argv or argv[0] in HELP_FLAGS or (called and not set(HELP_FLAGS).isdisjoint(argv)):
        sys.stdout.write(f"{HELP}\n{list_commands()}")
        sys.exit(0)
    if called:
        run(lambda: recognise_overrides(argv))
    if argv == ["--version"]:
        sys.stdout.write(f"funasr-sap {__version__}\n")
    embedded = _embedded_model(argv)
    if embedded:
        run(lambda: _refuse(argv, embedded))
    with contextlib.redirect_stdout(sys.stderr):  # FunASR prints notices; stdout is for results
        from funasr.cli import main as funasr_main

    sys.argv = ["funasr", *(["--help"] if argv == ["--help-funasr"] else argv)]
    funasr_main()


def name_audio(argv: list[str]) -> list[str]:
    """Take bare audio files for the input, and the embedded model where none is named.

    Under the name ``funasr``, and with options that are not ours, they are for FunASR's own program.
    """
    overrides = [found for found in map(OVERRIDE.fullmatch, argv) if found]
    audio = [word for word in argv if not OVERRIDE.fullmatch(word) and _is_audio(word)]
    named = {found[1] for found in overrides}
    is_ours = bool(audio) and len(audio) + len(overrides) == len(argv) and "input" not in named
    if Path(sys.argv[0]).stem == "funasr" or not is_ours:
        return argv
    words = [f"'{word}'" if "'" not in word else f'"{word}"' for word in audio]
    model = [] if "model" in named else ["+model=sap2"]
    value = words[0] if len(words) == 1 else f"[{','.join(words)}]"
    return [*model, f"+input={value}", *(found[0] for found in overrides)]


def _is_audio(word: str) -> bool:
    return not word.startswith("-") and (word.lower().endswith(AUDIO_SUFFIXES) or Path(word).is_file())


def _embedded_model(argv: list[str]) -> str | None:
    """Find out whether FunASR's own program is asked for this package's model."""
    for flag, following in itertools.pairwise([*argv, ""]):
        name = following if flag in ("--model", "-m") else flag.removeprefix("--model=")
        if flag.startswith(("--model", "-m")) and name.lower() in EMBEDDED:
            return name.lower()
    return None


def _refuse(argv: list[str], name: str) -> None:
    audio = next(filter(_is_audio, argv), "a.wav")
    expected = f"expected +model={name} +input={audio}"
    raise ConfigError(f"command line: --model is for FunASR's own program, which has no {name}; {expected}")


def parse_overrides(argv: list[str]) -> dict:
    """Read overrides into plain values.

    Raises:
        ConfigError: for a word that is no override, a value that Hydra does not read, or a missing input.
    """
    texts, others = {}, []
    for argument in argv:
        override = OVERRIDE.fullmatch(argument)
        if not override:
            raise ConfigError(f"command line: got {argument!r}, expected +key=value; see --help")
        key, value = override.groups()
        if key in TEXT_KEYS:
            texts[key] = _text(key, value)
        else:
            others.append(f"+{key}={value}")
    config = _compose(others) | texts
    for key in ("model", "input"):
        if not config.get(key):
            raise ConfigError(f"command line: +{key}=... is missing; see --help")
    return config


def recognise_overrides(argv: list[str]) -> int:
    """Build the model, recognise, print; 1 where an utterance could not be read."""
    config = parse_overrides(argv)
    level = check_log_level("log_level", config.setdefault("log_level", "WARNING"))
    logging.getLogger().setLevel(level)
    output_dir = config.pop("output_dir", None)
    if output_dir:  # a folder that cannot be made is an error before the work
        Path(output_dir).mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):  # FunASR prints notices; stdout is for results
        from funasr_sap.auto_model import AutoModel
        from funasr_sap.inference import CALL_KEYS

        of_calls = (CALL_KEYS | GENERATE_KEYS) - AUTO_MODEL_KEYS
        call = {key: config.pop(key) for key in of_calls if key in config}
        call |= {key: _as_file(call[key]) for key in ("hotwords", "hotword") if key in call}
        results = AutoModel(**config).generate(**call)
    for result in results:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
    if output_dir:
        write_results(output_dir, results)
    failed = sum("error" in result for result in results)
    if failed:
        logging.error("%d of %d utterances could not be read", failed, len(results))
    return 1 if failed else 0


def _text(key: str, value: str) -> str | list[str] | None:
    """Read a name, or a list of them in brackets; quotes keep what would part them."""
    value = value.strip()
    if not value.startswith("[") or not value.endswith("]"):
        quoted = re.fullmatch(r"""(["'])(.*)\1""", value, re.DOTALL)
        return quoted[2] if quoted else None if value == "null" else value
    items = list(split_items(value[1:-1]))
    if any("[" in word and not quoted for word, quoted in items):
        way = "a biasing_list file" if key.startswith("hotword") else "quotes around a name with brackets"
        raise ConfigError(f"command line: +{key}: a list in a list: {value:.80}; expected {way}")
    return [word for word, _ in items if word]


def _as_file(value: object) -> object:
    """Take text that names a file, or a vocabulary, as its path: who calls from a shell may read it."""
    if not isinstance(value, str) or "\0" in value:
        return value
    is_file = os.path.exists(value) and not os.path.isdir(value)
    return Path(value) if is_file or find_vocabulary(value) is not None else value


def _compose(overrides: list[str]) -> dict:
    """Read values as Hydra does."""
    import hydra
    from hydra.errors import HydraException

    try:
        with hydra.initialize(config_path=None, version_base=None):
            return as_dict(hydra.compose(overrides=overrides))
    except HydraException as error:
        reason = " ".join(str(error).split()).removesuffix(" for details").split(" See https")[0]
        raise ConfigError(f"command line: {reason}") from None
