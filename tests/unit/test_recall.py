"""Recall: intervals, calibration, and what an index says about itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.engines.cells import CellTables
from lookalike.engines.effort import Effort
from lookalike.engines.exact import ExactEngine
from lookalike.engines.projection import learn_components
from lookalike.engines.rows import Rows
from lookalike.errors import InvalidInput, NotSupported
from lookalike.native import Measure
from lookalike.recall import Calibration, lower_bound
from lookalike.sample import Sample

Floats = npt.NDArray[np.float32]


def normal(count: int, width: int = 16, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> Rows:
    rows = Rows(16, Measure.float_squares)
    rows.append(normal(6000))
    return rows


@pytest.fixture(scope="module")
def calibration(rows: Rows) -> Calibration:
    tables = CellTables.learn(rows, learn_components(rows, 16, seed=0), 16, seed=0)
    return Calibration(tables, Sample(lambda: ExactEngine(rows), rows, seed=0))


@pytest.fixture(scope="module")
def index() -> Index:
    index = Index("l2", recall=0.9)
    index.add(normal(20_000))
    return index


def cost(probes: float, candidates: float) -> float:
    return 100.0 * probes + 10.0 * candidates


def test_the_lower_bound_of_a_perfect_sample_is_that_of_wilson() -> None:
    recalls = np.ones(400)
    assert lower_bound(recalls, 1) == pytest.approx(400 / (400 + 1.645**2))


def test_neighbours_missed_together_say_less_than_those_missed_alone() -> None:
    together = np.array([1.0] * 90 + [0.0] * 10)
    alone = np.full(100, 0.9)
    assert together.mean() == pytest.approx(alone.mean())
    assert lower_bound(together, 10) < lower_bound(alone, 10) < 0.9
    # As if each query had one neighbour: Wilson's bound of 90 out of 100.
    assert lower_bound(together, 10) == pytest.approx(lower_bound(together, 1))


def test_the_bound_holds_for_nineteen_samples_of_twenty() -> None:
    # 2,000 samples of 300 queries with a true mean of 0.9: more than 8 % of bounds above it
    # would have a chance below 1e-8 (binomial, at 5 %).
    random = np.random.default_rng(1)
    chances = random.beta(9, 1, size=(2000, 300))
    recalls = random.binomial(10, chances) / 10
    above = sum(lower_bound(sample, 10) > 0.9 for sample in recalls)
    assert above < 0.08 * 2000


def test_the_effort_reaches_the_target_with_little_to_spare(calibration: Calibration) -> None:
    for recall in (0.5, 0.8, 0.95, 0.99):
        found = calibration.effort(10, recall, cost, 1)
        assert found is not None
        assert found.cost_ns == cost(found.probes, found.candidates)
        hits = sampled_recalls(calibration, found.effort)
        assert hits.mean() == pytest.approx(found.recall)
        assert lower_bound(hits, 10) >= recall
        assert found.recall < recall + 0.03


def sampled_recalls(calibration: Calibration, effort: Effort) -> npt.NDArray[np.float64]:
    ranks = calibration._ranks
    assert ranks is not None
    probes, candidates = effort.counts(ranks.seen).T
    found = (ranks.cells[:, :10] <= probes[:, None]) & (
        ranks.estimates[:, :10] <= candidates[:, None]
    )
    return np.asarray(found.mean(axis=1))


def test_a_higher_recall_never_costs_less(calibration: Calibration) -> None:
    efforts = [calibration.effort(10, r, cost, 1) for r in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)]
    costs = [effort.cost_ns for effort in efforts if effort is not None]
    assert len(costs) == 6
    assert costs == sorted(costs)


def test_a_recall_that_a_sample_cannot_show_has_no_effort(calibration: Calibration) -> None:
    assert calibration.effort(10, 1 - 1e-9, cost, 1) is None


def test_more_neighbours_are_found_when_they_are_asked_for(rows: Rows) -> None:
    sample = Sample(lambda: ExactEngine(rows), rows, seed=0)
    assert sample.extend(50, 10, 1)
    assert (len(sample), sample.k) == (50, 10)
    assert not sample.extend(20, 5, 1)
    assert sample.extend(50, 300, 1)
    assert (len(sample), sample.k) == (50, 300)
    assert not (sample.neighbours == sample.excluded[:, None]).any()
    assert sample.extend(50, 10**6, 1)
    assert sample.k == 5999  # all others


def test_measured_recall_keeps_the_promise_and_its_interval_holds_it(index: Index) -> None:
    measured = index.measure(k=10)
    assert measured.held_out
    assert measured.queries == 1000
    assert measured.low < measured.recall < measured.high
    assert measured.high >= 0.9
    assert "1,000 members, each left out" in str(measured)
    queries = normal(2000, seed=5)
    fresh = index.measure(k=10, queries=queries)
    assert not fresh.held_out
    assert fresh.low <= measured.high
    assert measured.low <= fresh.high
    assert index.measure(recall=1.0).recall == 1.0


def test_calibrating_on_queries_of_another_kind_keeps_the_promise_for_them() -> None:
    index = Index("l2", recall=0.9)
    index.add(normal(20_000))
    index.search(normal(1)[0])
    # Farther out than the items: their neighbours are spread over more cells.
    unlike = np.random.default_rng(6).uniform(-8, 8, (3000, 16))
    assert np.mean(index.search(unlike[1600:]).widened) > 0.95
    index.calibrate(unlike[:1600])
    after = index.measure(queries=unlike[1600:])
    assert after.high >= 0.9
    # They are now the usual ones, and the items are not.
    assert np.mean(index.search(unlike[1600:]).widened) < 0.05
    assert np.mean(index.search(normal(300, seed=7)).widened) > 0.5


@pytest.mark.parametrize(
    ("act", "error", "part"),
    [
        (lambda index: index.measure(k=0), InvalidInput, "k must be"),
        (lambda index: index.measure(queries=normal(1)[0]), InvalidInput, "must be a batch"),
        (lambda index: index.calibrate(normal(1)[0]), InvalidInput, "must be a batch"),
        (lambda index: index.calibrate(normal(0)), InvalidInput, "got none"),
        (lambda index: index.search(normal(1)[0], recall=0.0), InvalidInput, r"in \(0, 1\]"),
        (lambda index: index.search(normal(1)[0], recall=1.5), InvalidInput, r"in \(0, 1\]"),
        (lambda index: index.within(normal(1)[0], 1, recall=-1), InvalidInput, r"in \(0, 1\]"),
    ],
)
def test_bad_requests_are_explained(
    index: Index, act: Callable[[Index], object], error: type[Exception], part: str
) -> None:
    with pytest.raises(error, match=part):
        act(index)


def test_plans_that_are_not_measured_cannot_be_calibrated() -> None:
    small = Index("l2")
    small.add(normal(50))
    with pytest.raises(NotSupported, match="does not depend on queries"):
        small.calibrate(normal(50))
    tables = Index("l1", bits=8, tables=4)
    tables.add(np.zeros((3, 16), np.uint8))
    with pytest.raises(InvalidInput, match="bits and tables decide it"):
        tables.search(np.zeros(16, np.uint8), recall=0.9)
