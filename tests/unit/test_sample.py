"""The sample: its neighbours are the true ones, also when they are known from before a change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.engine import Mask
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.native import Measure
from lookalike.sample import Sample

K = 10


def rows_of(count: int) -> Rows:
    random = np.random.default_rng(0)
    rows = Rows(16, Measure.float_squares)
    rows.append(random.normal(size=(count, 16)).astype(np.float32))
    return rows


def of_first(rows: Rows, count: int, queries: npt.NDArray[np.float32] | None = None) -> Sample:
    first = rows.view(0, count)
    sample = Sample(lambda: ExactEngine(first), first, 0, queries)
    sample.extend(400, K, 1)
    return sample


def check_neighbours(sample: Sample, rows: Rows, present: Mask | None) -> None:
    found, _ = ExactEngine(rows, bounding=False).nearest(
        sample.items, len(sample), K + 1, 1, present
    )
    for own, all_found, known in zip(sample.excluded, found, sample.neighbours, strict=True):
        assert all_found[all_found != own][:K].tolist() == known.tolist()


@pytest.mark.parametrize("late", [0, 1, 20, 3000])
@pytest.mark.parametrize("removed", [0, 1, 100, 1500])
def test_neighbours_after_a_change_are_those_of_a_search_of_all(late: int, removed: int) -> None:
    rows = rows_of(2000 + late)
    sample = of_first(rows, 2000)
    present = None
    if removed:
        present = np.ones(len(rows), np.uint8)
        present[np.random.default_rng(1).permutation(len(rows))[:removed]] = 0
    changed = sample.changed(lambda: ExactEngine(rows), rows, present, 1)
    assert len(changed) == min(400, len(rows) - removed)
    assert len(set(changed.excluded.tolist())) == len(changed)
    if present is not None:
        assert present[changed.excluded].all()
    check_neighbours(changed, rows, present)


def test_later_rows_have_their_share_of_the_sample() -> None:
    rows = rows_of(4000)
    changed = of_first(rows, 3000).changed(lambda: ExactEngine(rows), rows, None, 1)
    assert (changed.excluded >= 3000).sum() == 100
    again = changed.changed(lambda: ExactEngine(rows), rows, None, 1)
    assert again.excluded.tolist() == changed.excluded.tolist()


def test_the_users_queries_stay_the_sample() -> None:
    rows = rows_of(3000)
    queries = np.random.default_rng(2).normal(size=(300, 16)).astype(np.float32)
    changed = of_first(rows, 2000, queries).changed(lambda: ExactEngine(rows), rows, None, 1)
    assert (changed.items == queries).all()
    assert (changed.excluded == -1).all()
    check_neighbours(changed, rows, None)
