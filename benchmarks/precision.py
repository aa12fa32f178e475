#!/usr/bin/env python3
r"""Half precision against fp32: how many words of the greedy transcripts change.

python benchmarks/precision.py --utterances 500

Decodes the same synthetic utterances in each precision, without keywords and with a list of N distractors
beside the true words. "words as in fp32" is 100 % minus the word errors against the transcript of fp32.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from funasr_sap.data.biasing import make_biasing_lists
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.vocabulary import dictionary_words
from funasr_sap.data.processes import count_cpus
from funasr_sap.metrics.report import markdown_table
from funasr_sap.metrics.wer import score
from funasr_sap.tool import run

PRECISIONS = ("fp32", "bf16", "fp16")


def main(argv=None):
    """Make the speech, decode it in each precision, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    parser.add_argument("--utterances", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--distractors", type=int, default=100, help="N (default: %(default)s)")
    parser.add_argument("--split", default="test", help="of the mini corpus (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of speech and lists (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        make_corpus(folder, arguments.split, utterances=arguments.utterances, seed=arguments.seed)
        rows = compare(Path(folder), arguments)
    print(markdown_table(("precision", "N", "WER", "words as in fp32"), rows))


def compare(folder: Path, arguments) -> list[tuple[str, ...]]:
    """Decode in every precision; rows of the table."""
    from funasr_sap import AutoModel

    model = AutoModel(model=arguments.model, device=arguments.device, ncpu=count_cpus(), disable_pbar=True)
    wavs, texts = read_kaldi(folder / "wav.scp"), read_kaldi(folder / "text")
    keywords, pool = read_biasing_list(folder / "keywords"), list(dictionary_words("train", "en"))
    lists, rows = make_biasing_lists(keywords, pool, arguments.distractors, arguments.seed, texts), []
    for number in (0, arguments.distractors):
        hotwords, exact = [lists[utt_id] if number else [] for utt_id in texts], None
        for name in tqdm(PRECISIONS, desc=f"N = {number}", disable=None):
            options = {} if name == PRECISIONS[0] else {name: True}
            results = model.generate(list(wavs.values()), hotwords=hotwords, **options)
            found = dict(zip(texts, (result["text"] for result in results), strict=True))
            exact = exact or found
            same = 100 - score(exact, found).wer.error_rate
            rows.append((name, str(number), f"{score(texts, found).wer.error_rate:.2f}", f"{same:.2f} %"))
    return rows


if __name__ == "__main__":
    run(main)
