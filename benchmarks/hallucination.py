#!/usr/bin/env python3
r"""What keywords do to sounds without speech, and to the length of transcripts.

python benchmarks/hallucination.py --clips 200 --utterances 2000

Clips without speech (silence, noise, hum, clicks, music, breaths at several levels) should give neither text
nor keyword. Transcripts of speech should not lose words to a list: each is compared with the one without a
list. "guards" counts utterances where a guard refused a transcript.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from funasr_sap.data.biasing import make_biasing_lists
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.nonspeech import make_nonspeech
from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary
from funasr_sap.data.processes import count_cpus
from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run

HEADER = (
    "input",
    "list",
    "with text",
    "with keywords",
    "guards",
    "text lost",
    "fewer words",
    "under 80 % of letters",
)
TRUE, WRONG = 100, 1000  # distractors beside the true words; words that nobody says
POOL = 20_000  # rare words that distractors are drawn from


def main(argv=None):
    """Make clips and speech, decode them with and without lists, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=200, help="without speech (default: %(default)s)")
    parser.add_argument("--utterances", type=int, default=2000, help="of speech (default: %(default)s)")
    parser.add_argument("--split", default="test", help="of the mini corpus (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of clips, speech and lists (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        from funasr_sap import AutoModel

        model = AutoModel(model=arguments.model, ncpu=count_cpus())
        clips, speech = Path(folder, "clips"), Path(folder, "speech")
        make_nonspeech(clips, arguments.clips, seed=arguments.seed)
        make_corpus(speech, arguments.split, utterances=arguments.utterances, seed=arguments.seed)
        rows = [*of_clips(model, clips, arguments), *of_speech(model, speech, arguments)]
    print(markdown_table(HEADER, rows))


def of_clips(model, folder: Path, arguments):
    """Decode what has no speech: rows of the table."""
    wavs = list(read_kaldi(folder / "wav.scp").values())
    words = list(rare_vocabulary(arguments.split, WRONG, lang="en"))
    for name, hotwords in (("none", []), (f"{WRONG:,} words", words)):
        yield (f"{len(wavs)} clips", name, *counts(model.generate(wavs, hotwords=hotwords)), *["-"] * 3)


def of_speech(model, folder: Path, arguments):
    """Decode speech without a list, with true words in it, and with wrong ones alone: rows of the table."""
    wavs, texts = read_kaldi(folder / "wav.scp"), read_kaldi(folder / "text")
    keywords, pool = read_biasing_list(folder / "keywords"), rare_vocabulary("train", POOL, lang="en")
    nothing, seed = {utt_id: [] for utt_id in texts}, arguments.seed
    lists = {
        "none": nothing,
        f"true words and {TRUE}": make_biasing_lists(keywords, pool, TRUE, seed, texts),
        f"{WRONG:,} wrong words": make_biasing_lists(nothing, pool, WRONG, seed, texts),
    }
    plain = None
    for name, hotwords in lists.items():
        results = model.generate([wavs[utt_id] for utt_id in texts], hotwords=[hotwords[u] for u in texts])
        found = [result["text"] for result in results]
        plain = plain or found
        pairs = list(zip(found, plain, strict=True))
        lost = sum(not text and bool(before) for text, before in pairs)
        fewer = sum(len(text.split()) < len(before.split()) for text, before in pairs)
        short = sum(len(text) < 0.8 * len(before) for text, before in pairs)
        shares = (f"{100 * number / len(found):.1f} %" for number in (lost, fewer, short))
        yield (f"{len(found)} utterances", name, *counts(results), *shares)


def counts(results) -> tuple[str, ...]:
    """Count what has a text, what has keywords, and where a guard fired."""
    return tuple(
        str(sum(bool(result.get(field)) for result in results)) for field in ("text", "keywords", "guards")
    )


if __name__ == "__main__":
    run(main)
