"""A list of utterances, decoded: read, dealt out, kept as far as it came, written when all is done."""

import contextlib
import dataclasses
import functools
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from funasr_sap.context.vocabulary import CURRENT, find_vocabulary
from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.decode.batches import make_batches, read_durations
from funasr_sap.decode.devices import choose_devices, share_threads
from funasr_sap.decode.fingerprint import fingerprint_file, fingerprint_model, versions
from funasr_sap.decode.partial import PartialResults
from funasr_sap.decode.workers import decode_batches
from funasr_sap.errors import ConfigError
from funasr_sap.inputs import is_single, read_requests
from funasr_sap.request import Request
from funasr_sap.results import RESULTS_FOLDER, write_errors, write_results, write_transcripts
from funasr_sap.text.hotwords import ReadList

PARTIAL = "partial.jsonl"
# Options that change how soon results come, and no result: a run may go on with others.
WITHOUT_EFFECT = frozenset({"index_dir", "speculate"})


def build_recogniser(device: str, threads: int, **settings):
    """Load the model; see ``Recogniser``."""
    from funasr_sap.decode.recogniser import Recogniser  # imports FunASR, which takes seconds

    return Recogniser(device=device, threads=threads, **settings)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        utterances: of the list.
        before: those that an earlier run had finished.
        failed: those that could not be decoded.
        speech: seconds of speech decoded in this run, as far as headers tell.
        seconds: that took, without loading the model.
    """

    utterances: int
    before: int
    failed: int
    speech: float
    seconds: float

    def __str__(self):
        decoded = self.utterances - self.before
        speed = f"{decoded} utterances ({self.speech / 60:.1f} min of speech) in {self.seconds:.1f} s"
        if decoded and self.seconds and self.speech:
            rate = decoded / self.seconds
            speed += f": RTF {self.seconds / self.speech:.3f}, {rate:.1f} utterances/s"
        before = f", {self.before} finished before" if self.before else ""
        return f"{speed}{before}, {self.failed} failed"


@dataclasses.dataclass(frozen=True)
class DecodingJob:
    """What to decode, with what, and where the results go.

    Attributes:
        model_dir: a model directory, or a name that FunASR knows.
        scp_file: ``wav.scp`` or JSONL.
        output_file: gets ``utt<TAB>text`` lines, in the order of the list.
        output_dir: gets ``1best_recog/{text,score,time_stamp,keywords}``.
        biasing_list: biasing lists by utterance id, or keywords for all, one a line.
        batch_size: utterances of a batch at most.
        batch_seconds: seconds of a batch at most, padding included.
        device: see ``choose_devices``.
        gpus: see ``choose_devices``.
        nj: processes; see ``choose_devices``.
        vad_model: cuts long audio first.
        resume: go on from what an earlier run finished; False starts anew.
        options: of ``generate``; see ``Recogniser``.
    """

    model_dir: str
    scp_file: str
    output_file: str | None = None
    output_dir: str | None = None
    biasing_list: str | None = None
    batch_size: int = 16
    batch_seconds: float = 240.0
    device: str = "cuda"
    gpus: str | None = None
    nj: int | None = None
    vad_model: str | None = None
    resume: bool = True
    options: dict = dataclasses.field(default_factory=dict)

    def run(self) -> Summary:
        """Decode what is not finished, and write the results.

        Raises:
            ConfigError: for options that cannot be used, or other ones than those of the results so far.
            DataError: for a list that cannot be used.
            WorkerError: for a process that ended; what is finished is kept.
        """
        self._check_outputs()
        devices = choose_devices(self.device, self.gpus, self.nj)
        if is_single(self.scp_file):
            raise ConfigError(f"scp_file: expected wav.scp or JSONL, got {self.scp_file}")
        requests = read_requests(self.scp_file, self.biasing_list and Path(self.biasing_list))
        with PartialResults(self._partial, self._made_with(), self.resume) as partial:
            before = len(partial.finished)
            failures, speech, seconds = self._decode(requests, devices, partial)
            results = [failures.get(each.key) or partial.finished[each.key] for each in requests]
            self._write(results)
            if not failures:  # else another run decodes those alone
                partial.remove()
        return Summary(len(requests), before, len(failures), speech, seconds)

    @property
    def _partial(self) -> Path:
        return Path(self.output_dir, PARTIAL) if self.output_dir else Path(f"{self.output_file}.{PARTIAL}")

    def _check_outputs(self) -> None:
        """Raise before the work on what could not be written after it."""
        if not self.output_file and not self.output_dir:
            raise ConfigError("output_file, output_dir: expected one of them at least")
        if self.output_file:
            if os.path.isdir(self.output_file):
                raise ConfigError(f"output_file: {self.output_file} is a folder; expected the name of a file")
            Path(self.output_file).parent.mkdir(parents=True, exist_ok=True)
        if self.output_dir:
            Path(self.output_dir, RESULTS_FOLDER).mkdir(parents=True, exist_ok=True)

    def _made_with(self) -> dict:
        made_with = {
            "model_dir": fingerprint_model(self.model_dir),
            "scp_file": fingerprint_file(self.scp_file),
            "biasing_list": self.biasing_list and fingerprint_file(_file_of_list(self.biasing_list)),
            "vad_model": self.vad_model and fingerprint_model(self.vad_model),
            "versions": versions(),
        }
        return made_with | {name: value for name, value in self.options.items() if name not in WITHOUT_EFFECT}

    def _decode(self, requests, devices, partial) -> tuple[dict[str, dict], float, float]:
        """Decode what is not finished: the failures by id, seconds of speech, seconds it took."""
        durations = self._durations(requests)
        # The same batches in every run: what an utterance is batched with may move its scores a little.
        batches = make_batches(durations, self.batch_size, self.batch_seconds)
        places = [[p for p in batch if requests[p].key not in partial.finished] for batch in batches]
        todo = [place for batch in places for place in batch]
        shared, work = _share_list(requests)
        work = [[work[place] for place in batch] for batch in places if batch]
        build = functools.partial(
            build_recogniser,
            model_dir=self.model_dir,
            vad_model=self.vad_model,
            hotwords=shared,
            options=self.options,
        )
        threads = share_threads(min(len(devices), len(work)))
        failures, started = {}, None
        bar = tqdm(total=len(requests), initial=len(requests) - len(todo), unit="utt", desc="decode")
        with bar, contextlib.closing(decode_batches(build, devices, threads, work)) as finished:
            for results in finished:
                if started is None:  # the first, which is empty, says that the model is loaded
                    started = time.perf_counter()
                    bar.unpause()
                partial.add(each for each in results if "error" not in each)
                failures |= {each["key"]: each for each in results if "error" in each}
                bar.update(len(results))
        seconds = time.perf_counter() - started if started else 0.0
        return failures, sum(durations[place] or 0.0 for place in todo), seconds

    def _durations(self, requests: list[Request]) -> list[float | None]:
        """Read lengths from a JSONL that has them, else from the headers of the audio."""
        if Path(self.scp_file).suffix == ".jsonl":
            lengths = {each.key: each.speech_length for each in read_jsonl(self.scp_file)}
            known = {key: length for key, length in lengths.items() if length is not None}
            if len(known) == len(lengths):
                return [known[each.key] / 100 for each in requests]  # of 10 ms frames
        return read_durations([each.audio for each in requests])

    def _write(self, results: list[dict]) -> None:
        if self.output_dir:
            write_results(self.output_dir, results)
        if self.output_file:
            write_transcripts(self.output_file, results)
        errors = Path(f"{self.output_file}.errors")
        if self.output_dir:
            errors = Path(self.output_dir, RESULTS_FOLDER, "errors")
        failed = sum("error" in each for each in results)
        if failed:
            write_errors(errors, results)
            logging.error("%d of %d utterances could not be decoded: see %s", failed, len(results), errors)
        elif not self.output_dir:  # those of an earlier run
            errors.unlink(missing_ok=True)


def _file_of_list(path: str) -> Path:
    """Name the file that tells what a biasing list holds: of a vocabulary, the one with its digest."""
    return Path(path) if find_vocabulary(path) is None else Path(path, CURRENT)


def _share_list(
    requests: list[Request],
) -> tuple[Sequence[str] | ReadList | str | None, list[Request]]:
    """Take a biasing list that is that of all out of the requests, so that it is handed over once."""
    shared = requests[0].hotwords
    if all(each.hotwords is shared for each in requests):
        return shared, [dataclasses.replace(each, hotwords=[]) for each in requests]
    return None, requests
