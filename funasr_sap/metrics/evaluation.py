"""What scoring reports: rates with intervals, sessions, list sizes, several runs, two systems compared.

The result is one dictionary of JSON-ready values. Tables and the HTML page are made from it alone, so that
they show the same figures; docs/scoring.md lists its keys.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from funasr_sap.errors import DataError
from funasr_sap.metrics.groups import Groups, group_by_session, group_by_size
from funasr_sap.metrics.significance import LEVEL, RATES, bootstrap_rates, compare, interval
from funasr_sap.metrics.transcripts import Lists
from funasr_sap.metrics.wer import BIASED, Score


@dataclass
class Run:
    """One set of hypotheses, and how it scored.

    Attributes:
        hyp: its file.
        biasing_list: the file of its biasing lists; None where there are none.
        texts: the hypotheses, as scored.
        biasing: the biasing list of each utterance, as scored.
        rare_words: the true part of each list, as scored; None where it is not known.
        score: the result.
    """

    hyp: str
    biasing_list: str | None
    texts: dict[str, str]
    biasing: Lists | None
    rare_words: Lists | None
    score: Score


@dataclass(frozen=True)
class Options:
    """What to report beyond the rates.

    Attributes:
        samples: of the bootstrap; 0: no intervals.
        seed: of the random numbers.
        sessions: the session of each utterance; None: no sessions.
        by_size: report by size of the biasing list.
        by_utterance: report the errors of each utterance.
    """

    samples: int = 0
    seed: int = 0
    sessions: Mapping[str, str] | None = None
    by_size: bool = False
    by_utterance: bool = False


def evaluate(runs: Sequence[Run], compared: Run | None = None, options: Options | None = None) -> dict:
    """Report on one or more runs, and on a system to compare the first of them with.

    Args:
        runs: the first is reported at the top; of several, each is under ``runs``.
        compared: scored on the same references and biasing lists as the first run.
        options: what else to report.

    Raises:
        DataError: there is no utterance that both systems have, or one without a session.
    """
    options = options or Options()
    report = {"convention": runs[0].score.convention, **_system(runs[0], options)}
    if len(runs) > 1:
        report["runs"] = [_system(run, options) for run in runs]
    if compared is not None:
        report["compare"] = _system(compared, options) | _comparison(runs[0], compared, options)
    if options.by_utterance:
        report["per_utterance"] = _per_utterance([*runs, *([] if compared is None else [compared])], options)
    return report


def _system(run: Run, options: Options) -> dict[str, Any]:
    score = run.score
    result = {
        "hyp": run.hyp,
        "biasing_list": run.biasing_list,
        "n": statistics.median_low(score.list_sizes.tolist()),
    }
    result |= {key: value for key, value in score.to_dict().items() if key != "convention"}
    result |= _intervals(score, options)
    if options.sessions is not None:
        unknown = [utt_id for utt_id in score.utt_ids if utt_id not in options.sessions]
        if unknown:
            shown = ", ".join(unknown[: DataError.MAX_SHOWN])
            raise DataError(f"{len(unknown)} utterance(s) have no session ({shown}): complete the map.")
        groups = group_by_session(score.utt_ids, options.sessions)
        result["sessions"] = _group_rows(score, groups, "session", options)
    if options.by_size:
        result["by_n"] = _group_rows(score, group_by_size(score.list_sizes.tolist()), "n", options)
    return result


def _intervals(score: Score, options: Options) -> dict[str, Any]:
    if not options.samples:
        return {}
    rates = bootstrap_rates(score, options.samples, options.seed)
    intervals = {name: interval(column) for name, column in zip(RATES, rates.T, strict=True)}
    return {"bootstrap": {"samples": options.samples, "seed": options.seed, "level": LEVEL, **intervals}}


def _group_rows(score: Score, groups: Groups, key: str, options: Options) -> list[dict]:
    """Report on each group; ``key`` is what its name is called."""
    rows = []
    for name, places in groups.items():
        part = score.select(places)
        rates = {rate: getattr(part, rate).to_dict() for rate in RATES}
        rows.append({key: name, "utterances": part.utterances, **rates, **_intervals(part, options)})
    return rows


def _comparison(base: Run, other: Run, options: Options) -> dict[str, Any]:
    """Compare on the utterances that both systems have: all, unless scoring is lenient."""
    common = set(base.score.utt_ids) & set(other.score.utt_ids)
    if not common:
        raise DataError(f"{base.hyp} and {other.hyp} cannot be compared: no utterance is in both.")
    first, second = (_restrict(run.score, common) for run in (base, other))
    gains = dict(zip(first.utt_ids, (_errors(first) - _errors(second)).tolist(), strict=True))
    ranked = sorted(gains, key=lambda utt_id: -gains[utt_id])
    helped = [utt_id for utt_id in ranked if gains[utt_id] > 0]
    hurt = [utt_id for utt_id in reversed(ranked) if gains[utt_id] < 0]
    return {
        "paired_utterances": len(common),
        "samples": options.samples,
        "seed": options.seed,
        "test": "approximate randomisation",
        "difference": compare(first, second, options.samples, options.seed),
        "helped": helped,
        "hurt": hurt,
        "unchanged": len(common) - len(helped) - len(hurt),
    }


def _restrict(score: Score, utt_ids: set[str]) -> Score:
    return score.select([place for place, utt_id in enumerate(score.utt_ids) if utt_id in utt_ids])


def _errors(score: Score) -> np.ndarray:
    """Return the errors of each utterance, (U,)."""
    return score.errors[:, :, 1:].sum((1, 2))


def _per_utterance(runs: Sequence[Run], options: Options) -> list[dict[str, Any]]:
    """Report the errors of each utterance in each run, for utterances that all runs have."""
    common = set.intersection(*(set(run.score.utt_ids) for run in runs))
    scores = [_restrict(run.score, common) for run in runs]
    errors = np.stack([_errors(score) for score in scores], axis=1)
    biased = np.stack([score.errors[:, BIASED, 1:].sum(1) for score in scores], axis=1)
    rows = []
    for place, utt_id in enumerate(scores[0].utt_ids):
        words = scores[0].errors[place, :, 0]
        row = {"id": utt_id, "n": int(scores[0].list_sizes[place])}
        if options.sessions is not None:
            row["session"] = options.sessions[utt_id]
        row |= {"ref_words": int(words.sum()), "biased_words": int(words[BIASED])}
        row |= {"errors": errors[place].tolist(), "biased_errors": biased[place].tolist()}
        row |= {"gain": row["errors"][0] - row["errors"][-1]}
        row |= {"biased_gain": row["biased_errors"][0] - row["biased_errors"][-1]}
        rows.append(row)
    return rows
