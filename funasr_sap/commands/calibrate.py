r"""Fit the confidence of retrieval to a model: of the keywords that get 0.9, nine in ten shall be spoken.

funasr-sap calibrate --model-dir exp/my_model --data-dir data/dev --distractors data/words.txt --write

A data directory has `wav.scp`, `text` and `keywords`; use speech that the model was not trained on, and where
it will hear noise, a directory with noise as well. Lists of all sizes are made of their keywords and of the
distractors, and as many of distractors alone. The result is YAML for `retrieval_conf` of the model's
config.yaml, and with --write it is put there. A table on stderr tells how well the confidence holds on the
half of the utterances that it was not fitted to.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from funasr_sap.data.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from funasr_sap.auto_model import AutoModel
    from funasr_sap.context.calibration import Calibration

SIZES = (5, 20, 100, 1_000, 10_000, 100_000)


def main(argv: Sequence[str] | None = None) -> None:
    """Encode the speech, collect the evidence, fit, report."""
    arguments = _parser().parse_args(argv)
    # FunASR prints notices; stdout is for the result.
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap.auto_model import AutoModel

        model = AutoModel(model=arguments.model_dir, device="cpu", log_level="WARNING")
        columns, spoken = _collect(model, arguments)
        calibration = _fit(columns, spoken, arguments.reward or model.model.calibration.reward)
    print(yaml.safe_dump({"calibration": dataclasses.asdict(calibration)}, sort_keys=False), end="")
    if arguments.write:
        path = Path(model.model_path) / "config.yaml"
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        config.setdefault("retrieval_conf", {})["calibration"] = dataclasses.asdict(calibration)
        with atomic_write(path) as stream:
            yaml.safe_dump(config, stream, sort_keys=False, allow_unicode=True)
        logging.info("%s: retrieval_conf.calibration is written", path)


def _collect(model: AutoModel, arguments: argparse.Namespace) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Collect the evidence from lists of all sizes."""
    from funasr_sap.context.fitting import collect_sizes, listen
    from funasr_sap.data.biasing import read_words
    from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary

    sap2 = model.model
    frontend = model.kwargs["frontend"]
    heard = [each for folder in arguments.data_dir for each in listen(sap2, frontend, folder)]
    if arguments.distractors:
        words = read_words(arguments.distractors)
    else:
        words = rare_vocabulary("train", 2 * max(arguments.sizes), lang=sap2.language)
    weigh = functools.partial(sap2.weigh, reward=arguments.reward)
    return collect_sizes(heard, sap2.tokenizer, weigh, words, arguments.sizes, arguments.seed)


def _fit(columns: dict[str, np.ndarray], spoken: np.ndarray, reward: float) -> Calibration:
    """Fit to half of the utterances, report on the other, then fit to all."""
    from funasr_sap.context.calibration import fit_calibration
    from funasr_sap.context.fitting import reliability

    first = columns["utterance"] <= columns["utterance"].max() // 2
    half = fit_calibration({name: column[first] for name, column in columns.items()}, spoken[first], reward)
    held_out = {name: column[~first] for name, column in columns.items()}
    logging.info("on the half that it was not fitted to:")
    logging.info("confidence  spoken  keywords")
    for said, true, num in reliability(half.probability(held_out), spoken[~first]):
        logging.info("%10.2f  %6.2f  %8d", said, true, num)
    return fit_calibration(columns, spoken, reward)


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--model-dir", required=True, help="a model directory, or a name such as sap2")
    add("--data-dir", required=True, nargs="+", help="Kaldi directories with wav.scp, text and keywords")
    add("--distractors", help="wrong words to draw from, one a line (default: the mini corpus' rare words)")
    add("--sizes", type=int, nargs="+", default=SIZES, help="distractors a list (default: %(default)s)")
    add("--reward", type=float, help="nats that a piece is worth (default: the model's own)")
    add("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    add("--write", action="store_true", help="put the result into the model's config.yaml")
    return parser
