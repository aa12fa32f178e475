"""The shell command: Hydra's form for ``+key=value`` calls, FunASR's own program for the rest.

    funasr +model=sap2 +input=talk.wav '+hotwords=[photosynthesis,chlorophyll]'
    funasr talk.wav --model sensevoice

``funasr-sap`` is the same program under a name that no other package installs.
"""

import contextlib
import json
import logging
import re
import sys

from funasr_sap.errors import ConfigError
from funasr_sap.tool import run

OVERRIDE = re.compile(r"(\+\+?|~)?[A-Za-z_][\w.]*=")

HELP = """usage: funasr +model=sap2 +input=INPUT [+hotwords=LIST] [+key=value ...]
       funasr AUDIO ... [--model NAME] [options]         (FunASR's own program)

Contextual speech recognition from the shell. Prints one JSON object an utterance.

  +model=NAME          sap2 (the embedded default), a model directory, or any FunASR model
  +input=INPUT         an audio file, wav.scp, JSONL, or a URL
  +hotwords=LIST       '[word,word]', 'word,word', a file of keywords, or a biasing_list by utterance id
  +prune=MODE          retrieval (default), llm, none, joint
  +vad_model=NAME      cut long audio first, for example silero-vad
  +output_dir=DIR      also write DIR/1best_recog/{text,score,timestamp,keywords}
  +batch_size=N        utterances decoded together
  +device=NAME         cpu, cuda:0, ...
  +language=en|zh      language of the prompts
  +top=N               keywords kept by retrieval
  +threshold=X         least acoustic evidence of a kept keyword, in nats a piece

The names are FunASR's; ++key=value works too. FunASR's own program: funasr-sap --help-funasr
"""

BUILD_KEYS = (
    "input",
    "hotwords",
    "hotword",
    "prune",
    "language",
    "itn",
    "output_dir",
    "batch_size",
    "top",
    "threshold",
    "fs",
    "data_type",
)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; errors are one sentence and exit status 1."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        sys.exit(0)
    if any(OVERRIDE.match(argument) for argument in argv) and not any(a.startswith("--") for a in argv):
        run(lambda: recognise_overrides(argv))
    from funasr.cli import main as funasr_main

    sys.argv = ["funasr", *(["--help"] if argv == ["--help-funasr"] else argv)]
    funasr_main()


def parse_overrides(argv: list[str]) -> dict:
    """Read Hydra overrides into plain values.

    Raises:
        ConfigError: for a word that Hydra does not read as an override, or a missing model or input.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    overrides = [argument if argument.startswith(("+", "~")) else f"+{argument}" for argument in argv]
    try:
        with hydra.initialize(config_path=None, version_base=None):
            config = OmegaConf.to_container(hydra.compose(overrides=overrides), resolve=True)
    except HydraException as error:
        raise ConfigError(f"command line: {' '.join(str(error).split())}") from None
    for key in ("model", "input"):
        if key not in config:
            raise ConfigError(f"command line: +{key}=... is missing; see --help")
    return config


def recognise_overrides(argv: list[str]) -> int:
    """Build the model, recognise, print; 1 where an utterance could not be read."""
    config = parse_overrides(argv)
    call = {key: config.pop(key) for key in BUILD_KEYS if key in config}
    # FunASR prints notices; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap.auto_model import AutoModel

        results = AutoModel(**{"log_level": "WARNING", **config}).generate(**call)
    for result in results:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
    failed = sum("error" in result for result in results)
    if failed:
        logging.error("%d of %d utterances could not be read", failed, len(results))
    return 1 if failed else 0
