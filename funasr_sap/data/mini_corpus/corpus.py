"""Corpora of talks on disk: wavs and Kaldi files."""

import collections
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from funasr_sap.data.files import atomic_write
from funasr_sap.data.mini_corpus.acoustics import SAMPLE_RATE, pause, record, scale_vocal_tract
from funasr_sap.data.mini_corpus.language import get_language
from funasr_sap.data.mini_corpus.speech import get_synthesizer
from funasr_sap.data.mini_corpus.talks import Talk, plan_talk
from funasr_sap.data.mini_corpus.vocabulary import check_split
from funasr_sap.errors import ConfigError

UTTERANCE_FILES = ("wav.scp", "text", "utt2spk", "utt2dur", "biasing_list", "keywords", "ctm")
TALK_FILES = ("wav.scp", "segments", "text", "biasing_list", "keywords", "slides.jsonl")
COUNTER = "{n:.2f} hours [{elapsed}]"
BAR = "{percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} hours [{elapsed}<{remaining}]"


@dataclass(frozen=True)
class RenderedTalk:
    """A talk with its sound on disk.

    Attributes:
        talk: its plan.
        lengths: of each utterance, in samples.
        starts: of each utterance in the long wav, in samples.
        words: of each utterance, the words with their first and end sample; see ``Speech.words``.
    """

    talk: Talk
    lengths: tuple[int, ...]
    starts: tuple[int, ...]
    words: tuple[tuple[tuple[str, int, int], ...], ...]


@dataclass(frozen=True)
class Renderer:
    """Turns plans into wavs; each call needs a fresh process (see ``speech``).

    Args:
        output_dir: of the corpus.
        noise: probability of noise in an utterance.
        reverb: probability of reverberation in an utterance.
        long_wavs: also write each talk as one wav.
    """

    output_dir: Path
    noise: float
    reverb: float
    long_wavs: bool

    def __call__(self, talk: Talk) -> RenderedTalk:
        """Write the wavs of a talk."""
        folder = self.output_dir / "wav" / talk.talk_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        synthesizer = get_synthesizer()
        rng = _sound_rng(talk.talk_id)
        pieces, starts, lengths, words = [pause(rng.uniform(0.3, 1.2), rng)], [], [], []
        for utterance in talk.utterances:
            speech = synthesizer.speak(utterance.text, talk.voice.name, utterance.prosody)
            scaled = scale_vocal_tract(speech.samples, talk.voice.vocal_tract)
            wave, delay = record(scaled, _sound_rng(utterance.utt_id), self.noise, self.reverb)
            soundfile.write(
                utterance_wav(self.output_dir, talk, utterance.utt_id), wave, SAMPLE_RATE, "PCM_16"
            )
            starts.append(sum(map(len, pieces)))
            lengths.append(len(wave))
            scale = len(scaled) / len(speech.samples)
            words.append(
                tuple((w, round(a * scale) + delay, round(b * scale) + delay) for w, a, b in speech.words)
            )
            pieces += [wave, pause(rng.uniform(0.3, 1.2), rng)]
        if self.long_wavs:
            path = talk_wav(self.output_dir, talk)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.concatenate(pieces), SAMPLE_RATE, "PCM_16")
        return RenderedTalk(talk, tuple(lengths), tuple(starts), tuple(words))


def utterance_wav(output_dir: Path, talk: Talk, utt_id: str) -> Path:
    """Where the wav of an utterance lies."""
    return output_dir / "wav" / talk.talk_id / f"{utt_id}.wav"


def talk_wav(output_dir: Path, talk: Talk) -> Path:
    """Where the long wav of a talk lies."""
    return output_dir / "talks" / "wav" / f"{talk.talk_id}.wav"


def make_corpus(
    output_dir: str | os.PathLike,
    split: str,
    *,
    hours: float | None = None,
    utterances: int | None = None,
    seed: int = 0,
    lang: str = "en",
    jobs: int = 2,
    noise: float = 0.3,
    reverb: float = 0.2,
    talks: bool = False,
) -> None:
    """Make a corpus of lecture-like talks; the same arguments give the same bytes, whatever ``jobs``.

    Args:
        output_dir: gets the files of ``UTTERANCE_FILES`` and ``wav/``.
        split: train, dev or test; their rare words and voices are disjoint.
        hours: of speech; the talk that reaches them is the last.
        utterances: exact number of utterances; either this or ``hours``.
        seed: other seeds give other talks.
        lang: en, en-radio or zh.
        jobs: talks rendered at a time.
        noise: probability of noise in an utterance.
        reverb: probability of reverberation in an utterance.
        talks: also write ``talks/``: long wavs with ``segments`` and ``slides.jsonl``.
    """
    _check(split, lang, hours, utterances, jobs, noise, reverb)
    started = time.monotonic()
    output_dir = Path(output_dir)
    # Lists of an earlier corpus would name wavs that are about to change.
    for name in [*UTTERANCE_FILES, *(f"talks/{name}" for name in TALK_FILES)]:
        (output_dir / name).unlink(missing_ok=True)
    renderer = Renderer(output_dir, noise, reverb, talks)
    rendered = _render_all(renderer, _plan_talks(split, lang, seed, utterances), hours, jobs)
    write_utterance_files(output_dir, rendered)
    if talks:
        write_talk_files(output_dir / "talks", rendered)
    sys.stderr.write(f"{output_dir}: {_summary(rendered)}, made in {time.monotonic() - started:.0f} s\n")


def _summary(rendered: list[RenderedTalk]) -> str:
    count = sum(len(item.lengths) for item in rendered)
    hours = sum(sum(item.lengths) for item in rendered) / SAMPLE_RATE / 3600
    return f"{len(rendered)} talks, {count} utterances, {hours:.2f} hours"


def write_utterance_files(output_dir: Path, rendered: Iterable[RenderedTalk]) -> None:
    """Write the Kaldi files of the single utterances."""
    lines: dict[str, list[str]] = {name: [] for name in UTTERANCE_FILES}
    for item in rendered:
        talk = item.talk
        for utterance, length, words in zip(talk.utterances, item.lengths, item.words, strict=True):
            lines["ctm"] += [_ctm_line(utterance.utt_id, *word) for word in words]
            values = {
                "wav.scp": utterance_wav(output_dir, talk, utterance.utt_id),
                "text": utterance.text,
                "utt2spk": talk.talk_id,
                "utt2dur": f"{length / SAMPLE_RATE:.4f}",
                "biasing_list": "$".join(utterance.biasing_list),
                "keywords": "$".join(utterance.keywords),
            }
            for name, value in values.items():
                lines[name].append(f"{utterance.utt_id} {value}".rstrip())
    _write_sorted(output_dir, lines)


def _ctm_line(utt_id: str, word: str, start: int, end: int) -> str:
    return f"{utt_id} 1 {start / SAMPLE_RATE:.3f} {(end - start) / SAMPLE_RATE:.3f} {word}"


def write_talk_files(folder: Path, rendered: Iterable[RenderedTalk]) -> None:
    """Write the Kaldi files of the long wavs, and the slides."""
    lines: dict[str, list[str]] = {name: [] for name in TALK_FILES}
    for item in rendered:
        talk = item.talk
        lines["wav.scp"].append(f"{talk.talk_id} {talk_wav(folder.parent, talk)}")
        spans = [_span(start, length) for start, length in zip(item.starts, item.lengths, strict=True)]
        for utterance, (start, end) in zip(talk.utterances, spans, strict=True):
            values = {
                "segments": f"{talk.talk_id} {start:.2f} {end:.2f}",
                "text": utterance.text,
                "biasing_list": "$".join(utterance.biasing_list),
                "keywords": "$".join(utterance.keywords),
            }
            for name, value in values.items():
                lines[name].append(f"{utterance.utt_id} {value}".rstrip())
        lines["slides.jsonl"] += _slide_lines(talk, spans)
    _write_sorted(folder, lines)


def _slide_lines(talk: Talk, spans: list[tuple[float, float]]) -> Iterator[str]:
    """One JSON line a slide: talk, slide number from 1, first and last second shown, title, bullets, OCR."""
    for index, slide in enumerate(talk.slides):
        shown = [
            span for utterance, span in zip(talk.utterances, spans, strict=True) if utterance.slide == index
        ]
        # The last talk may be cut short before its last slides.
        if shown:
            entry = {"talk": talk.talk_id, "slide": index + 1, "start": shown[0][0], "end": shown[-1][1]}
            entry |= {"title": slide.title, "bullets": slide.bullets, "ocr": slide.ocr}
            yield json.dumps(entry, ensure_ascii=False)


def _span(start: int, length: int) -> tuple[float, float]:
    """Start and end in seconds to the hundredth; the pauses around leave room for the rounding."""
    return round(start / SAMPLE_RATE, 2), round((start + length) / SAMPLE_RATE, 2)


def _write_sorted(folder: Path, lines: dict[str, list[str]]) -> None:
    for name, content in lines.items():
        # By id alone, where an utterance or a talk has many lines: they are in order already.
        ordered = content if name.endswith(".jsonl") else sorted(content, key=lambda line: line.split()[0])
        with atomic_write(folder / name) as stream:
            stream.writelines(f"{line}\n" for line in ordered)


def _plan_talks(split: str, lang: str, seed: int, utterances: int | None) -> Iterator[Talk]:
    """Yield talks without end or, where a number of utterances is given, so many, cutting the last talk."""
    index = 0
    while utterances is None or utterances > 0:
        index += 1
        talk = plan_talk(split, lang, seed, index)
        if utterances is not None:
            talk = replace(talk, utterances=talk.utterances[:utterances])
            utterances -= len(talk.utterances)
        yield talk


def _render_all(
    renderer: Renderer, plans: Iterator[Talk], hours: float | None, jobs: int
) -> list[RenderedTalk]:
    """Render talks in order, a fresh process each, until the plans end or the hours are reached."""
    context = multiprocessing.get_context(_start_method())
    rendered, pending, samples = [], collections.deque(), 0
    wanted = float("inf") if hours is None else hours * 3600 * SAMPLE_RATE
    with (
        context.Pool(jobs, initializer=_ignore_interrupts, maxtasksperchild=1) as pool,
        tqdm(total=hours, bar_format=BAR if hours else COUNTER, disable=None) as bar,
    ):
        while samples < wanted:
            while len(pending) < 2 * jobs and (talk := next(plans, None)):
                pending.append((talk, pool.apply_async(renderer, (talk,))))
            if not pending:
                break
            rendered.append(pending.popleft()[1].get())
            samples += sum(rendered[-1].lengths)
            bar.update(min(samples, wanted) / SAMPLE_RATE / 3600 - bar.n)
    # Processes ahead of the last talk may have begun the next ones.
    for talk, _ in pending:
        shutil.rmtree(renderer.output_dir / "wav" / talk.talk_id, ignore_errors=True)
        talk_wav(renderer.output_dir, talk).unlink(missing_ok=True)
    return rendered


def _start_method() -> str:
    """Fork is fast, but goes on where the synthesizer of this process stopped, if there is one."""
    spoken = get_synthesizer.cache_info().currsize > 0
    return "fork" if "fork" in multiprocessing.get_all_start_methods() and not spoken else "spawn"


def _ignore_interrupts() -> None:
    """Ctrl-C ends the parent, which ends these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _sound_rng(name: str) -> np.random.Generator:
    return np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))


def _check(
    split: str,
    lang: str,
    hours: float | None,
    utterances: int | None,
    jobs: int,
    noise: float,
    reverb: float,
) -> None:
    check_split(split)
    get_language(lang)
    given = [amount for amount in (hours, utterances) if amount is not None]
    if len(given) != 1:
        raise ConfigError("give either hours or utterances (--hours or --utterances), not both or neither")
    if given[0] <= 0:
        raise ConfigError(f"expected more than zero hours or utterances, got {given[0]}")
    if jobs < 1:
        raise ConfigError(f"expected at least one job, got {jobs}")
    for name, probability in (("noise", noise), ("reverb", reverb)):
        if not 0 <= probability <= 1:
            raise ConfigError(f"{name}: expected a probability from 0 to 1, got {probability}")
