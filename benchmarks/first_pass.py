#!/usr/bin/env python3
r"""Keywords found by the sounds of a first transcript, as backbones without a CTC head find them.

python benchmarks/first_pass.py --utterances 200
python benchmarks/first_pass.py --utterances 200 --seed 7 --fit

English: the embedded model transcribes the mini corpus without keywords, which is the first pass. Mandarin:
the reference stands for it, each character of its keywords replaced by another one of the same sound. The
baseline is exact search in the same transcript. Building a list is timed with its search.

A second table has, for each step of the confidence, how many keywords are spoken; half of its lists have no
word that is. With --fit it is that of coefficients fitted to this speech, which are printed, too:
``BY_SOUND`` of funasr_sap/context/retrieval.py.
"""

import argparse
import contextlib
import dataclasses
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yaml
from tqdm import tqdm

from funasr_sap.data.biasing import draw_biasing_list
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.vocabulary import dictionary_words
from funasr_sap.data.processes import count_cpus
from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run

HEADER = ("first pass", "N", "exact search finds", "sounds find", "kept", "of them spoken", "ms a list")
LANGUAGES = {"en": "embedded model, English", "zh": "misspelt, Mandarin"}
SIZES = (5, 20, 100, 1_000, 10_000)  # distractors, to judge the confidence


def main(argv=None):
    """Make the speech and its first transcripts, search them, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    parser.add_argument("--utterances", type=int, default=200, help="default: %(default)s")
    parser.add_argument(
        "--distractors", type=int, nargs="+", default=(100, 2000), help="N (default: %(default)s)"
    )
    parser.add_argument("--top", type=int, default=5, help="keywords kept at most (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.2, help="confidence (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of speech and lists (default: %(default)s)")
    parser.add_argument("--fit", action="store_true", help="fit the confidence, and print its coefficients")
    arguments = parser.parse_args(argv)
    rows, evidence = [], {}
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap import AutoModel

        model = AutoModel(model=arguments.model, ncpu=count_cpus(), disable_pbar=True)
        for language in LANGUAGES:
            with tempfile.TemporaryDirectory() as folder:
                make_corpus(
                    folder, "dev", utterances=arguments.utterances, seed=arguments.seed, lang=language
                )
                speech = Path(folder)
                texts = first_pass(model, speech) if language == "en" else misspelt(speech, arguments.seed)
                rows += [measure(model, speech, language, texts, n, arguments) for n in arguments.distractors]
                evidence[language] = collect(model, speech, language, texts, arguments.seed)
    print(markdown_table(HEADER, rows), end="\n\n")
    print(*judge(evidence, arguments.fit), sep="\n")


def first_pass(model, folder: Path) -> dict[str, str]:
    """Transcribe without keywords."""
    wavs = read_kaldi(folder / "wav.scp")
    results = model.generate(list(wavs.values()))
    return dict(zip(wavs, (result["text"] for result in results), strict=True))


def misspelt(folder: Path, seed: int) -> dict[str, str]:
    """Write keywords with other characters of the same sound, as a recogniser writes unknown names."""
    from pypinyin import lazy_pinyin

    rng, alike = random.Random(seed), defaultdict(list)
    for character in sorted({each for word in dictionary_words("train", "zh") for each in word}):
        alike[lazy_pinyin(character)[0]].append(character)
    texts = read_kaldi(folder / "text")
    for utt_id, words in read_biasing_list(folder / "keywords").items():
        for word in words:
            sounds = zip(word, lazy_pinyin(word), strict=True)
            other = "".join(rng.choice([c for c in alike[s] if c != own] or [own]) for own, s in sounds)
            texts[utt_id] = texts[utt_id].replace(word, other)
    return texts


def measure(model, folder: Path, language: str, texts: dict, number: int, arguments) -> tuple[str, ...]:
    """Search every utterance's list in its first transcript; a row of the table."""
    from funasr_sap.context.biasing_list import BiasingList, clean_keyword
    from funasr_sap.context.retrieval import retrieve_by_sound

    references, keywords = read_kaldi(folder / "text"), read_biasing_list(folder / "keywords")
    pool, rng = list(dictionary_words("train", language)), random.Random(arguments.seed)
    spoken = exact = found = kept = seconds = 0
    for utt_id, text in tqdm(texts.items(), desc=f"{language}, N = {number}", disable=None):
        exclude = [word for word in pool if word in references[utt_id]]
        words = draw_biasing_list(keywords[utt_id], pool, number, rng, exclude)
        biasing_list = BiasingList(words, model.kwargs["tokenizer"])
        true = {clean_keyword(word) for word in keywords[utt_id]}
        started = time.perf_counter()
        shortlist = retrieve_by_sound(
            [text], [biasing_list], top=arguments.top, threshold=arguments.threshold
        )
        seconds += time.perf_counter() - started
        chosen = {biasing_list.words[place] for place in shortlist.index[0][shortlist.mask[0]].tolist()}
        spoken, kept = spoken + len(true), kept + len(chosen)
        found += len(true & chosen)
        exact += sum(word.casefold() in text.casefold() for word in true)
    shares = (f"{100 * exact / spoken:.1f} %", f"{100 * found / spoken:.1f} %")
    average = f"{kept / len(texts):.1f}"
    return (
        LANGUAGES[language],
        str(number),
        *shares,
        average,
        f"{100 * found / kept:.1f} %",
        f"{1000 * seconds / len(texts):.0f}",
    )


def collect(model, folder: Path, language: str, texts: dict, seed: int) -> tuple:
    """Collect what the sounds say for keywords of lists of all sizes, and which are spoken."""
    from funasr_sap.context.fitting import Heard, collect_sizes
    from funasr_sap.context.retrieval import BY_SOUND, POOL, weigh_by_sound

    references, keywords = read_kaldi(folder / "text"), read_biasing_list(folder / "keywords")
    heard = [Heard(None, references[key], keywords[key], text) for key, text in texts.items()]

    def weigh(encoded, lists, transcripts):
        return weigh_by_sound(transcripts, lists, pool=POOL, reward=BY_SOUND.reward)

    words = list(dictionary_words("train", language))
    return collect_sizes(heard, model.kwargs["tokenizer"], weigh, words, SIZES, seed)


def judge(evidence: dict, fit: bool) -> list[str]:
    """Compare the confidence with what is spoken: a table, and the coefficients where they are fitted."""
    from funasr_sap.context.calibration import fit_calibration
    from funasr_sap.context.fitting import join_evidence, reliability
    from funasr_sap.context.retrieval import BY_SOUND

    calibration = BY_SOUND
    if fit:
        calibration = fit_calibration(*join_evidence([*evidence.values()]), BY_SOUND.reward)
    rows = [
        (LANGUAGES[language], f"{said:.2f}", f"{true:.2f}", str(number))
        for language, (columns, spoken) in evidence.items()
        for said, true, number in reliability(calibration.probability(columns), spoken)
    ]
    table = markdown_table(("first pass", "confidence", "spoken", "keywords"), rows)
    return [table, yaml.safe_dump(dataclasses.asdict(calibration), sort_keys=False)] if fit else [table]


if __name__ == "__main__":
    run(main)
