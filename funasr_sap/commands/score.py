r"""Score hypotheses: WER, U-WER, B-WER, hotword recognition and, with --keywords, pruning quality.

    funasr-sap score --ref ref.tsv --hyp hyp.tsv --convention is21 --json score.json
    funasr-sap score --ref data/test/text --hyp exp/none/text --compare exp/context/text \
        --biasing-list data/test/biasing_list --convention slidespeech --html score.html

Texts (--ref, --hyp) are Kaldi `text` files or `id<TAB>text`, LibriSpeech biasing TSVs (id, text, rare words
and biasing list as JSON) or JSONL (`key` with `text` or with ChatML `messages`; `hotwords` is the biasing
list, `keywords` its true part). Lists are `utt word$word`, `utt ["word", "word"]`, or one of the last two.
scoring.md of the documentation explains conventions, options and results.
"""

import argparse
import json
import logging
from collections.abc import Callable, Collection

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.metrics import (
    CONVENTIONS,
    KeywordCounts,
    Options,
    Run,
    evaluate,
    format_table,
    pruning_scores,
    score,
    text_normalizer,
)
from funasr_sap.metrics.groups import sessions_by_separator
from funasr_sap.metrics.keywords import compare_ids
from funasr_sap.metrics.normalization import NORMALIZATIONS, UNITS, split_characters
from funasr_sap.metrics.page import render_page
from funasr_sap.metrics.transcripts import Lists, Transcripts, map_lists, read_lists, read_transcripts
from funasr_sap.tool import split_help

SAMPLES = 1000
"""Bootstrap samples of a comparison, where --bootstrap does not say."""


def main(argv: list[str] | None = None) -> None:
    """Score the files that the arguments name, print the tables, write the JSON and the page."""
    args = _parse_arguments(argv)
    prepare = _preparation(args)
    reference = read_transcripts(args.ref).map(prepare)
    sources = _list_files(args)
    runs = [
        _score(args, hyp, source, reference, prepare) for hyp, source in zip(args.hyp, sources, strict=True)
    ]
    compared = _score(args, args.compare, sources[0], reference, prepare) if args.compare else None
    if args.keywords:
        runs[0].score.pruning = _judge_pruning(args, reference.texts, runs[0].biasing, prepare)
    report = {"ref": args.ref, "normalize": args.normalize, "unit": args.unit}
    report |= evaluate(runs, compared, _options(args, reference))
    print(format_table(report))
    if args.json:
        with atomic_write(args.json) as stream:
            json.dump(report, stream, ensure_ascii=False, indent=2)
            stream.write("\n")
    if args.html:
        page = render_page(report, reference.texts, [*runs, *([compared] if compared else [])])
        with atomic_write(args.html) as stream:
            stream.write(page)


def _preparation(args: argparse.Namespace) -> Callable[[str], str]:
    """Return what is done to each text and list entry before scoring, and say so on stderr."""
    normalize, upper_case = text_normalizer(args.normalize), CONVENTIONS[args.convention].upper_case
    logging.info("normalisation %s", NORMALIZATIONS[args.normalize])
    logging.info("unit %s: %s", args.unit, UNITS[args.unit])
    if upper_case:
        logging.info("convention %s: words are compared in upper case", args.convention)

    def prepare(text: str) -> str:
        text = normalize(text)
        text = split_characters(text) if args.unit == "char" else text
        return text.upper() if upper_case else text

    return prepare


def _list_files(args: argparse.Namespace) -> list[str | None]:
    """Return the file of biasing lists of each --hyp."""
    given: list[str | None] = args.biasing_list or [None]
    if len(given) not in (1, len(args.hyp)):
        raise ConfigError(
            f"got {len(given)} --biasing-list for {len(args.hyp)} --hyp: expected one, or one for each."
        )
    return given * len(args.hyp) if len(given) == 1 else given


def _score(
    args: argparse.Namespace,
    hyp: str,
    list_file: str | None,
    reference: Transcripts,
    prepare: Callable[[str], str],
) -> Run:
    """Score one file of hypotheses with one file of biasing lists, or with those of the reference."""
    texts = read_transcripts(hyp).map(prepare).texts
    biasing, rare_words, source = reference.biasing, reference.rare_words, args.ref
    if list_file:
        biasing, listed_rare_words = (map_lists(lists, prepare) for lists in read_lists(list_file))
        rare_words, source = rare_words or listed_rare_words, list_file
    _check_ids(reference.texts, texts, hyp, args)
    if biasing is not None:
        _check_ids(reference.texts, biasing, f"the biasing list of {source}", args, allow_unknown=True)
    elif rare_words is None:
        source = None
        logging.warning("no biasing list: all words count as unbiased")
    options = {"rare_words": rare_words, "lenient": args.lenient, "source": hyp}
    result = score(reference.texts, texts, biasing, args.convention, **options)
    return Run(hyp, source, texts, rare_words if biasing is None else biasing, rare_words, result)


def _check_ids(references: Collection[str], given: Collection[str], source: str, args, **options) -> None:
    """Join strictly, or say on stderr which utterances a lenient join leaves out."""
    missing, unknown = compare_ids(references, given, source, args.lenient, **options)
    for what, ids in (("lacks", missing), ("has beyond the reference", unknown)):
        if ids:
            logging.warning("%s %s %d utterance(s): %s", source, what, len(ids), " ".join(ids))


def _judge_pruning(
    args: argparse.Namespace, references: dict[str, str], biasing: Lists | None, prepare: Callable[[str], str]
) -> KeywordCounts:
    """Score the keywords of ``--keywords``; leniently, utterances without any line there are left out."""
    if biasing is None:
        raise DataError("--keywords needs a biasing list: give --biasing-list, or a --ref that holds one.")
    kept = map_lists(read_biasing_list(args.keywords), prepare)
    _check_ids(references, kept, args.keywords, args)
    judged = {utt_id: text for utt_id, text in references.items() if utt_id in kept}
    kept = {utt_id: kept[utt_id] for utt_id in judged}
    return pruning_scores(kept, {utt_id: biasing.get(utt_id, []) for utt_id in judged}, judged)


def _options(args: argparse.Namespace, reference: Transcripts) -> Options:
    sessions = None
    if args.session_separator is not None:
        sessions = sessions_by_separator(list(reference.texts), args.session_separator)
    elif args.utt2session:
        sessions = read_kaldi(args.utt2session)
    samples = args.bootstrap if args.bootstrap is not None else SAMPLES if args.compare else 0
    by_utterance = bool(args.compare or args.html)
    return Options(samples, args.seed, sessions, args.by_n, by_utterance)


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_inputs(parser)
    _add_reports(parser)
    args = parser.parse_args(argv)
    args.unit = args.unit or ("char" if args.normalize == "zh" else "word")
    if args.bootstrap is not None and args.bootstrap < (1 if args.compare else 0):
        parser.error(f"--bootstrap {args.bootstrap}: expected a number of samples above 0")
    return args


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ref", required=True, help="references: text, TSV or JSONL")
    add(
        "--hyp", required=True, action="append", help="hypotheses; an empty one is deletions; repeat for runs"
    )
    add(
        "--biasing-list",
        action="append",
        help="biasing lists; one file for all --hyp or one for each (default: those in --ref, if any)",
    )
    add("--keywords", help="keywords kept by pruning; adds their precision, recall and F1 to the first run")
    add("--convention", choices=list(CONVENTIONS), required=True, help="whose alignment and biased words")
    add(
        "--normalize",
        choices=list(NORMALIZATIONS),
        default="none",
        help="applied to texts and lists alike (default: %(default)s)",
    )
    add(
        "--unit",
        choices=list(UNITS),
        help="what an error is an error of; char gives character error rates (default: word; char with zh)",
    )
    add(
        "--lenient", action="store_true", help="leave out, by name, what cannot be joined (default: an error)"
    )


def _add_reports(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--json", help="write the result here too")
    add("--html", help="write a page with charts and aligned utterances here")
    add("--compare", metavar="HYP2", help="hypotheses of another system, compared with the first --hyp")
    add(
        "--bootstrap",
        type=int,
        metavar="SAMPLES",
        help=f"95 %% intervals from so many samples (default: 0; {SAMPLES} with --compare)",
    )
    add("--seed", type=int, default=0, help="of the bootstrap and the test (default: %(default)s)")
    sessions = parser.add_mutually_exclusive_group()
    sessions.add_argument(
        "--session-separator", metavar="SEP", help="report by session: the id up to the first SEP"
    )
    sessions.add_argument("--utt2session", metavar="FILE", help="report by session: lines of `utt session`")
    add("--by-n", action="store_true", help="report by N, the size of an utterance's biasing list")
