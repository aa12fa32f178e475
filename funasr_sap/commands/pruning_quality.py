r"""Judge stage 1: precision, recall and F1 of the keywords that it kept, over all lists and by their size.

    funasr-sap pruning-quality --ref data/test/data.jsonl --keywords exp/decode/1best_recog/keywords
    funasr-sap pruning-quality --ref data/test/data.jsonl --keywords exp/N20.jsonl exp/N100.jsonl \
        --biasing-list data/test/biasing_list.N20 data/test/biasing_list.N100

A keyword should be kept if it is in the biasing list and is a rare word of the reference or, with --truth
text, occurs in its transcript. Micro averages count keywords. Macro averages count utterances: they are means
over those for which a rate is defined, as no precision is where nothing was kept. Results are the file
1best_recog/keywords, the JSON lines that the command funasr prints, or those of SAP²-ASR ("response"); they
are joined by id.
"""

import argparse
import json
from collections.abc import Mapping, Sequence

from funasr_sap.data.files import atomic_write
from funasr_sap.data.formats import FORMATS
from funasr_sap.data.kaldi import read_biasing_list
from funasr_sap.data.kept_keywords import read_kept_keywords
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.metrics import KeywordCounts, pruning_scores, text_normalizer
from funasr_sap.metrics.groups import group_by_size
from funasr_sap.metrics.normalization import NORMALIZATIONS
from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import split_help

RATES = ("precision", "recall", "f1")
HEADER = ("biasing list", "utterances", "kept", "micro P", "R", "F1", "macro P", "R", "F1")


def main(argv: list[str] | None = None) -> None:
    """Judge what the arguments name; print a table and write the JSON."""
    arguments = vars(_parser().parse_args(argv))
    normalize = text_normalizer(arguments["normalize"])
    references = _read_references(arguments["ref"], arguments["from"])
    truth = _truth(references, arguments["truth"], arguments["ref"])
    counts, sizes = [], []  # of each utterance, in each decoding
    for keywords, biasing_list in _decodings(arguments):
        kept, lists = read_kept_keywords(keywords), _lists(references, biasing_list, arguments["ref"])
        _check_ids(kept, truth, keywords)
        for utt_id, expected in truth.items():
            expected = normalize(expected) if isinstance(expected, str) else [*map(normalize, expected)]
            listed, chosen = ([*map(normalize, words[utt_id])] for words in (lists, kept))
            counts.append(pruning_scores({utt_id: chosen}, {utt_id: listed}, {utt_id: expected}))
            sizes.append(len(lists[utt_id]))
    groups = {"all": range(len(counts))} | group_by_size(sizes)
    results = {name: _averages([counts[place] for place in places]) for name, places in groups.items()}
    print(markdown_table(HEADER, [_row(name, result) for name, result in results.items()]))
    if arguments["json"]:
        with atomic_write(arguments["json"]) as stream:
            json.dump(results, stream, ensure_ascii=False, indent=2)
            stream.write("\n")


def _averages(counts: Sequence[KeywordCounts]) -> dict:
    """Return the micro average (summed counts and rates, percent) and the macro average of utterances."""
    micro = KeywordCounts(*(sum(getattr(each, name) for each in counts) for name in ("tp", "tn", "fp", "fn")))
    return {
        "utterances": len(counts),
        "kept_per_utterance": (micro.tp + micro.fp) / len(counts),
        "micro": micro.to_dict(),
        "macro": {name: _mean([getattr(each, name) for each in counts]) for name in RATES},
    }


def _mean(rates: Sequence[float | None]) -> float | None:
    defined = [rate for rate in rates if rate is not None]
    return sum(defined) / len(defined) if defined else None


def _decodings(arguments: dict) -> list[tuple[str, str | None]]:
    """Pair each decoding with its biasing lists; those of the reference where no other ones are given."""
    keywords, lists = arguments["keywords"], arguments["biasing_list"] or [None] * len(arguments["keywords"])
    if len(keywords) != len(lists):
        raise ConfigError(f"got {len(keywords)} files of --keywords and {len(lists)} of --biasing-list")
    return list(zip(keywords, lists, strict=True))


def _read_references(path: str, name: str) -> dict[str, Utterance]:
    problems: list[str] = []
    references = {each.key: each for each in FORMATS[name].read(path, problems)}
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    if not references:
        raise DataError(f"{path} has no utterances")
    return references


def _truth(references: Mapping[str, Utterance], name: str, path: str) -> dict[str, str | tuple[str, ...]]:
    """Return the rare words, or the transcript, of each utterance."""
    truth = {utt_id: getattr(each, name) for utt_id, each in references.items()}
    unknown = [utt_id for utt_id, each in truth.items() if each is None]
    if unknown:
        raise DataError.from_lines(f"{path} has no {name} (see --truth) for utterances", unknown)
    return truth


def _lists(references: Mapping[str, Utterance], biasing_list: str | None, path: str) -> dict:
    lists = (
        read_biasing_list(biasing_list) if biasing_list else {k: u.hotwords for k, u in references.items()}
    )
    missing = [utt_id for utt_id in references if lists.get(utt_id) is None]
    if missing:
        raise DataError.from_lines(f"{biasing_list or path} has no biasing list for utterances", missing)
    return lists


def _check_ids(kept: Mapping[str, object], truth: Mapping[str, object], source: str) -> None:
    odd = [f"{utt_id!r} is missing" for utt_id in truth if utt_id not in kept]
    odd += [f"{utt_id!r} is not in the reference" for utt_id in kept if utt_id not in truth]
    if odd:
        raise DataError.from_lines(f"{source} and the reference differ in their utterances", odd)


def _row(name: str, result: dict) -> tuple[str, ...]:
    rates = [result[average][rate] for average in ("micro", "macro") for rate in RATES]
    shown = ["-" if rate is None else f"{rate:.2f}" for rate in rates]
    return name, str(result["utterances"]), f"{result['kept_per_utterance']:.2f}", *shown


def _parser() -> argparse.ArgumentParser:
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--keywords", required=True, nargs="+", help="what stage 1 kept; several decodings count together")
    add("--ref", required=True, help="the data set with its keywords or text, and its biasing lists")
    add(
        "--from",
        choices=list(FORMATS),
        default="jsonl",
        metavar="FORMAT",
        help="of --ref, see funasr-sap convert --help (default: %(default)s)",
    )
    add(
        "--biasing-list",
        nargs="+",
        help="the lists of each decoding, 'utt word$word' (default: those of --ref)",
    )
    add(
        "--truth",
        choices=("keywords", "text"),
        default="keywords",
        help="what should be kept (default: %(default)s)",
    )
    add(
        "--normalize",
        choices=list(NORMALIZATIONS),
        default="none",
        help="of all words (default: %(default)s)",
    )
    add("--json", help="write the result here too")
    return parser
