"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest

import lookalike
from lookalike import datasets

# The same examples on every run, and no deadline: machines differ.
hypothesis.settings.register_profile("lookalike", derandomize=True, deadline=None)
hypothesis.settings.load_profile("lookalike")


# A run that was told its level is one of several, each at a level of its own.
LEVELS = [level for level, usable in lookalike.cpu_levels().items() if usable]
if "LOOKALIKE_CPU" in os.environ:
    LEVELS = [lookalike.cpu_level()]


@pytest.fixture(params=LEVELS)
def cpu_level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each level that this processor can run, in use while the test runs."""
    before = lookalike.cpu_level()
    lookalike.set_cpu_level(request.param)
    assert lookalike.cpu_level() == request.param
    yield request.param
    lookalike.set_cpu_level(before)


@pytest.fixture(scope="session")
def digits() -> npt.NDArray[np.uint8]:
    """The 1,797 digits, 8 x 8 bytes from 0 to 16."""
    return datasets.digits().images.astype(np.uint8)
