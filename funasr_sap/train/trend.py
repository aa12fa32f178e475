"""Whether a training did any good: its loss at the end against that at the beginning."""

import logging
from collections import deque
from statistics import fmean

WINDOW = 50  # batches at either end, or half of them where there are fewer

logger = logging.getLogger(__name__)


class LossTrend:
    """The losses of a training's first and last batches, since it was started or gone on with."""

    def __init__(self):
        self.num_batches = 0
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=WINDOW)

    def add(self, loss: float) -> None:
        """Count a batch."""
        self.num_batches += 1
        self._last.append(loss)
        if len(self._first) < WINDOW:
            self._first.append(loss)

    def report(self, max_epoch: int, start_epoch: int) -> None:
        """Warn, in one line, of a training that trained nothing, or whose loss is higher than it was.

        Args:
            max_epoch: epochs asked for.
            start_epoch: epochs that were done before.
        """
        if not self.num_batches:
            done = f", and {start_epoch} were done before" if start_epoch else ""
            logger.warning(
                "nothing was trained: ++train_conf.max_epoch is %d%s; raise it to train", max_epoch, done
            )
            return
        size = max(1, min(WINDOW, self.num_batches // 2))
        begin, end = fmean(self._first[:size]), fmean(list(self._last)[-size:])
        if end > begin:
            logger.warning(
                "the loss ends above its beginning: %.4g in the last %d batches, %.4g in the first; "
                "lower ++optim_conf.lr, or look at the data",
                *(end, size, begin),
            )
