"""Processes that decode batches, each with a model of its own on its device.

The one that starts them deals out the batches and takes the results. Where it dies, they see their pipe close
and end; where one of them dies, it says so and stops the others.
"""

import contextlib
import dataclasses
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import multiprocessing.resource_tracker
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from funasr_sap.errors import ConfigError, DataError, WorkerError
from funasr_sap.request import Request

# Makes what decodes a batch, on a device and with a number of threads.
Build = Callable[[str, int], Callable[[list[Request]], list[dict]]]
READY: list[dict] = []  # the first message of a worker: its model is loaded
END_SECONDS = 5  # for a process to leave its exit status


def decode_batches(
    build: Build, devices: Sequence[str], threads: int, batches: Sequence[list[Request]]
) -> Generator[list[dict], None, None]:
    """Decode batches, in this process for one device, in one process a device for several.

    Args:
        build: can be pickled.
        devices: the device of each process; one may come several times.
        threads: of each process, on a CPU.
        batches: the work, longest first.

    Yields:
        An empty list when the first model is loaded; then the results of each batch, as they are finished.

    Raises:
        ConfigError: for a model that cannot be used.
        WorkerError: for anything else that ends a process.
    """
    devices = devices[: len(batches)]
    if len(devices) < 2:
        yield from _decode_here(build, devices, threads, batches)
        return
    with _started(build, devices, threads) as workers:
        todo, busy = deque(batches), list(workers)
        while todo or any(worker.batch for worker in busy):
            ready = multiprocessing.connection.wait([worker.pipe for worker in busy])
            for worker in [each for each in busy if each.pipe in ready]:
                results = worker.receive()
                if todo:
                    worker.send(todo.popleft())
                else:
                    busy.remove(worker)
                yield results


def _decode_here(
    build: Build, devices: Sequence[str], threads: int, batches: Sequence[list[Request]]
) -> Iterator[list[dict]]:
    for device in devices:  # none where there is nothing to do
        recognise = _guarded(build, "while its model was loaded")(device, threads)
        yield READY
        for batch in batches:
            yield _guarded(recognise, _named(batch))(batch)


@dataclasses.dataclass
class Worker:
    """A process, and what it is at."""

    name: str
    process: multiprocessing.process.BaseProcess
    pipe: multiprocessing.connection.Connection
    batch: list[Request] = dataclasses.field(default_factory=list)

    def send(self, batch: list[Request]) -> None:
        """Give it a batch."""
        self.batch = batch
        try:
            self.pipe.send(batch)
        except OSError:
            raise self._died() from None

    def receive(self) -> list[dict]:
        """Take its message; raise where that is an error, or its end."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(message, WorkerError):
            raise WorkerError(f"{self.name}: {message}")
        if isinstance(message, Exception):
            raise message
        self.batch = []
        return message

    def _died(self) -> WorkerError:
        self.process.join(END_SECONDS)
        code = self.process.exitcode
        how = (
            f"was killed by {signal.Signals(-code).name}"
            if code and code < 0
            else f"ended with status {code}"
        )
        memory = "; is there enough memory?" if code == -signal.SIGKILL else ""
        return WorkerError(f"{self.name}: the process {how} {_named(self.batch)}{memory}")


@contextlib.contextmanager
def _started(build: Build, devices: Sequence[str], threads: int) -> Iterator[list[Worker]]:
    """Start the processes; none is left when the block ends, however it ends."""
    context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
    workers: list[Worker] = []
    try:
        with _uninterrupted():
            for number, device in enumerate(devices, 1):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, build, device, threads), daemon=True)
                name = f"worker {number} of {len(devices)} ({device})"
                workers.append(Worker(name, process, ours))
                process.start()
                theirs.close()
        yield workers
    finally:
        for worker in workers:
            if worker.process.pid is not None:
                worker.process.terminate()
        for worker in workers:
            if worker.process.pid is not None:
                worker.process.join()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back. Processes started meanwhile never get it: the one that started them stops them."""
    multiprocessing.resource_tracker.ensure_running()  # it would let Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: multiprocessing.connection.Connection, build: Build, device: str, threads: int) -> None:
    """Decode batches until there are no more: what a process does."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(EOFError, ConnectionError):
        try:
            recognise = _guarded(build, "while its model was loaded")(device, threads)
            pipe.send(READY)
            while True:
                batch = pipe.recv()
                pipe.send(_guarded(recognise, _named(batch))(batch))
        except (ConfigError, DataError, WorkerError) as error:
            pipe.send(error)


def _guarded(function: Callable, when: str) -> Callable:
    """Make one sentence of whatever goes wrong in a model."""

    def call(*arguments):
        try:
            return function(*arguments)
        except (ConfigError, DataError):
            raise
        except Exception as error:  # the border of a process: nothing else can be made of it
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = f"{Path(place.filename).name}:{place.lineno}"
            raise WorkerError(f"{reason} ({where}) {when}") from error

    return call


def _named(batch: list[Request]) -> str:
    if not batch:
        return "while its model was loaded"
    more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
    return f"while it decoded {batch[0].key}{more}"
