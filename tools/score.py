#!/usr/bin/env python3
r"""Score hypotheses: WER, U-WER, B-WER, hotword recognition and, with --keywords, pruning quality.

    python tools/score.py --ref ref.tsv --hyp hyp.tsv --convention is21 --json score.json
    python tools/score.py --ref data/test/text --hyp exp/1best_recog/text \
        --biasing-list data/test/biasing_list --keywords exp/1best_recog/keywords --convention slidespeech

Texts (--ref, --hyp) are Kaldi `text` files or `id<TAB>text`, LibriSpeech biasing TSVs (id, text, rare words
and biasing list as JSON) or JSONL (`key` with `text` or with ChatML `messages`; `hotwords` is the biasing
list, `keywords` its true part). Keyword lists are `utt word$word` or `utt ["word", "word"]`.
"""

import argparse
import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from funasr_sap.data.files import atomic_write
from funasr_sap.data.jsonl import parse_record
from funasr_sap.data.kaldi import Ids, check_id, iter_lines, parse_json, parse_words, read_biasing_list
from funasr_sap.errors import DataError
from funasr_sap.metrics import (
    CONVENTIONS,
    KeywordCounts,
    format_table,
    pruning_scores,
    score,
    text_normalizer,
)
from funasr_sap.metrics.keywords import compare_ids
from funasr_sap.metrics.wer import NORMALIZATIONS
from funasr_sap.tool import run

Lists = dict[str, list[str]]
Normalizer = Callable[[str], str]
ParsedLine = tuple[str, str, list[str] | None, list[str] | None]  # id, text, rare words, biasing list


@dataclass
class Transcripts:
    """The texts of one file by utterance id, with the word lists that it holds (None: it holds none)."""

    texts: dict[str, str]
    rare_words: Lists | None
    biasing: Lists | None


def read_transcripts(path: str) -> Transcripts:
    """Read a Kaldi ``text``, a TSV or a JSONL file; its first line tells which.

    Raises:
        DataError: the file holds no utterance, or has bad lines or repeated ids; names them all.
    """
    result = Transcripts({}, {}, {})
    problems: list[str] = []
    ids = Ids()
    parse = None
    for number, line in iter_lines(path, problems):
        parse = parse or _parser_for(line)
        try:
            utt_id, text, rare_words, biasing = parse(line)
            ids.add(utt_id, number)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        result.texts[utt_id] = text
        if rare_words is not None:
            result.rare_words[utt_id] = rare_words
        if biasing is not None:
            result.biasing[utt_id] = biasing
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    if not result.texts:
        raise DataError(f"{path} holds no utterance.")
    return Transcripts(result.texts, result.rare_words or None, result.biasing or None)


def _parser_for(first_line: str) -> Callable[[str], ParsedLine]:
    if first_line.startswith("{"):
        return _parse_json_line
    return _parse_biasing_tsv_line if first_line.count("\t") > 1 else _parse_text_line


def _parse_text_line(line: str) -> ParsedLine:
    """Parse ``utt words ...``; the text may be missing."""
    utt_id, _, text = line.strip(" \t").replace("\t", " ", 1).partition(" ")
    return check_id(utt_id), text, None, None


def _parse_biasing_tsv_line(line: str) -> ParsedLine:
    """Parse id, text, rare words and, where it is there, biasing list (fbai-speech, is21_deep_bias/ref)."""
    fields = line.split("\t")
    if len(fields) not in (3, 4):
        raise ValueError(f"{len(fields)} columns, expected id, text, rare words, biasing list (tabs between)")
    rare_words, *biasing = (parse_words(parse_json(field)) for field in fields[2:])
    return check_id(fields[0]), fields[1], rare_words, biasing[0] if biasing else None


def _parse_json_line(line: str) -> ParsedLine:
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    if "key" in record:
        # Scoring needs no audio, which the reader of data sets does.
        record = {"audios": "none", "source": "none", **record}
        if "messages" not in record and "text" in record:
            record["target"] = record["text"]
    utterance = parse_record(record)
    if utterance.text is None:
        raise ValueError('expected a transcript in "text" or in the assistant\'s message')
    lists = (None if words is None else list(words) for words in (utterance.keywords, utterance.hotwords))
    return utterance.key, utterance.text, *lists


def _normalized(lists: Lists | None, normalize: Normalizer) -> Lists | None:
    """Normalise all entries; those of which nothing is left are dropped."""
    if lists is None:
        return None
    return {utt_id: [n for n in map(normalize, words) if n] for utt_id, words in lists.items()}


def _check_ids(references: Collection[str], given: Collection[str], source: str, args, **options) -> None:
    """Join strictly, or say on stderr which utterances a lenient join leaves out."""
    missing, unknown = compare_ids(references, given, source, args.lenient, **options)
    for what, ids in (("lacks", missing), ("has beyond the reference", unknown)):
        if ids:
            logging.warning("%s %s %d utterance(s): %s", source, what, len(ids), " ".join(ids))


def _judge_pruning(
    args: argparse.Namespace, references: dict[str, str], biasing: Lists | None, normalize: Normalizer
) -> KeywordCounts:
    """Score the keywords of ``--keywords``; leniently, utterances without any line there are left out."""
    if biasing is None:
        raise DataError("--keywords needs a biasing list: give --biasing-list, or a --ref that holds one.")
    kept = _normalized(read_biasing_list(args.keywords), normalize)
    _check_ids(references, kept, args.keywords, args)
    judged = {utt_id: text for utt_id, text in references.items() if utt_id in kept}
    kept = {utt_id: kept[utt_id] for utt_id in judged}
    return pruning_scores(kept, {utt_id: biasing.get(utt_id, []) for utt_id in judged}, judged)


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ref", required=True, help="references: text, TSV or JSONL")
    parser.add_argument(
        "--hyp", required=True, help="hypotheses: text, TSV or JSONL; an empty one is deletions"
    )
    parser.add_argument(
        "--biasing-list", help="biasing list of each utterance (default: the one in --ref, if any)"
    )
    parser.add_argument("--keywords", help="keywords kept by pruning; adds their precision, recall and F1")
    parser.add_argument(
        "--convention", choices=list(CONVENTIONS), required=True, help="whose alignment and biased words"
    )
    parser.add_argument(
        "--normalize",
        choices=list(NORMALIZATIONS),
        default="none",
        help="applied to texts and lists alike; zh gives character error rates (default: %(default)s)",
    )
    parser.add_argument(
        "--lenient", action="store_true", help="leave out, by name, what cannot be joined (default: an error)"
    )
    parser.add_argument("--json", help="write the result here too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Score the files that the arguments name, print the table and write the JSON."""
    args = _parse_arguments(argv)
    convention = CONVENTIONS[args.convention]
    normalize = text_normalizer(args.normalize)
    logging.info("normalisation %s", NORMALIZATIONS[args.normalize])
    if convention.upper_case:
        logging.info("convention %s: words are compared in upper case", args.convention)
    reference, hypothesis = read_transcripts(args.ref), read_transcripts(args.hyp)
    biasing, source = reference.biasing, args.ref
    if args.biasing_list:
        biasing, source = read_biasing_list(args.biasing_list), args.biasing_list
    _check_ids(reference.texts, hypothesis.texts, args.hyp, args)
    if biasing is not None:
        _check_ids(reference.texts, biasing, f"the biasing list of {source}", args, allow_unknown=True)
    elif reference.rare_words is None:
        logging.warning("no biasing list: all words count as unbiased")
    fold = (lambda text: normalize(text).upper()) if convention.upper_case else normalize
    references = {utt_id: fold(text) for utt_id, text in reference.texts.items()}
    biasing = _normalized(biasing, fold)
    result = score(
        references,
        {utt_id: fold(text) for utt_id, text in hypothesis.texts.items()},
        biasing,
        args.convention,
        rare_words=_normalized(reference.rare_words, fold),
        lenient=args.lenient,
        source=args.hyp,
    )
    if args.keywords:
        result.pruning = _judge_pruning(args, references, biasing, fold)
    print(format_table(result))
    if args.json:
        with atomic_write(args.json) as stream:
            json.dump(result.to_dict() | {"normalize": args.normalize}, stream, ensure_ascii=False, indent=2)
            stream.write("\n")


if __name__ == "__main__":
    run(main)
