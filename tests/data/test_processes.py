import functools
import operator

import pytest

from funasr_sap.data.processes import count_cpus, ordered_map
from funasr_sap.errors import ConfigError


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_keep_their_order(jobs):
    double = functools.partial(operator.mul, 2)
    assert list(ordered_map(double, range(500), jobs, "")) == list(range(0, 1000, 2))


def test_errors_come_through():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(functools.partial(operator.floordiv, 1), range(300), 2, ""))


def test_jobs():
    assert list(ordered_map(abs, [-1], None, "")) == [1]
    assert count_cpus() >= 1
    with pytest.raises(ConfigError, match="jobs is 0"):
        list(ordered_map(abs, [], 0, ""))
