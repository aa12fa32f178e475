"""The same work on many items, in processes, with the results in the order of the items."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

from funasr_sap.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 64  # items a process takes at a time: below this, passing messages costs more than reading headers
_function: Callable[[Any], Any]  # what a process of the pool does


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int | None, label: str
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in order, with a progress bar on stderr.

    Args:
        function: can be pickled; what it holds (a tokenizer) goes to each process once.
        items: the work.
        jobs: processes; None = one for each CPU that this process may use. Few items are done without any.
        label: what the progress bar calls the work.

    Raises:
        ConfigError: less than one job.
    """
    jobs = count_cpus() if jobs is None else jobs
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, expected 1 or more")
    with contextlib.ExitStack() as stack:
        if jobs > 1 and len(items) > 2 * _CHUNK:
            pool = stack.enter_context(
                ProcessPoolExecutor(jobs, initializer=_start_process, initargs=(function,))
            )
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(_call, items, chunksize=_CHUNK)
        else:
            results = map(function, items)
        yield from tqdm(results, total=len(items), unit="utt", desc=label)


def count_cpus() -> int:
    """Count the CPUs that this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_process(function: Callable) -> None:
    """Note the work, and leave Ctrl-C to the parent: else every process prints a traceback of its own."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(item: Any) -> Any:
    return _function(item)
