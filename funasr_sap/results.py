"""Results as files: what FunASR's models write, and one table of transcripts."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import write_biasing_list, write_kaldi

RESULTS_FOLDER = "1best_recog"


def write_results(output_dir: str | os.PathLike, results: list[dict]) -> None:
    """Write results as FunASR's models do, a Kaldi file a field, sorted by id, each atomically.

    Args:
        output_dir: gets ``1best_recog/{text,score,time_stamp,keywords}``; an utterance that could not be read
            stands in ``errors`` instead.
        results: from ``generate``; other models than SAP² may lack fields.
    """
    folder = Path(output_dir, RESULTS_FOLDER)
    good = [each for each in results if "error" not in each]
    write_kaldi(folder / "text", {each["key"]: each.get("text", "") for each in good})
    write_kaldi(folder / "score", {each["key"]: json.dumps(each.get("keyword_scores", [])) for each in good})
    write_kaldi(folder / "time_stamp", {each["key"]: json.dumps(each.get("timestamp", [])) for each in good})
    write_biasing_list(folder / "keywords", {each["key"]: each.get("keywords", []) for each in good})
    write_errors(folder / "errors", results)


def write_transcripts(path: str | os.PathLike, results: Iterable[dict]) -> None:
    """Write ``utt<TAB>text`` lines in the order of the results, without those with an error, atomically."""
    with atomic_write(path) as stream:
        for each in results:
            if "error" not in each:
                stream.write(f"{each['key']}\t{each.get('text', '')}\n")


def write_errors(path: str | os.PathLike, results: Iterable[dict]) -> None:
    """Write ``utt sentence`` lines for the utterances that could not be read, atomically."""
    write_kaldi(path, {each["key"]: each["error"] for each in results if "error" in each})
