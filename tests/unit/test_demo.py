import json
import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits  # type: ignore[import-untyped,unused-ignore]

import lookalike
from lookalike.demo import DemoResult, Method, demo_page, run_demo, summary
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import s_curve

Distances = npt.NDArray[np.int64]
Steps = list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def told() -> Steps:
    """Progress of the run that ``result`` gives."""
    return []


@pytest.fixture(scope="module")
def result(told: Steps) -> DemoResult:
    return run_demo(repeats=1, draws=2, progress=lambda *step: told.append(step))


@pytest.fixture(scope="module")
def distances() -> Distances:
    """All L1 distances, computed here once more, in integers."""
    images: Distances = load_digits().images.astype(np.int64)
    away: Distances = np.abs(images[1500:, None] - images[None, :1500]).sum(axis=(2, 3))
    return away


def tables(result: DemoResult) -> list[Method]:
    return [method for method in result.methods if method.engine == "tables"]


def test_exact_search_and_numpy_find_every_nearest_image(
    result: DemoResult, distances: Distances
) -> None:
    complete = [method for method in result.methods if method.engine != "tables"]
    assert [method.name for method in complete] == ["exact search", "NumPy, tuned", "NumPy"]
    for method in complete:
        assert (method.nearest_found, method.unanswered, method.candidates) == (1.0, 0, 1500.0)
        assert method.mean_distance == pytest.approx(distances.min(axis=1).mean(), rel=1e-12)


def test_tables_are_judged_by_the_candidates_they_leave(
    result: DemoResult, distances: Distances
) -> None:
    images = load_digits().images
    for method in tables(result):
        index = lookalike.Index(
            "l1", bits=method.bits, tables=method.tables, value_range=16, seed=0
        )
        index.add(images[:1500])
        candidates = index.candidates(images[1500:])
        best = [
            row[ids].min() if len(ids) else -1
            for row, ids in zip(distances, candidates, strict=True)
        ]
        assert method.candidates == pytest.approx(np.mean([len(ids) for ids in candidates]))
        assert method.unanswered == best.count(-1)
        assert method.nearest_found == (np.array(best) == distances.min(axis=1)).mean()
        assert method.mean_distance == pytest.approx(np.mean([d for d in best if d >= 0]))


def test_some_settings_leave_queries_unanswered(result: DemoResult) -> None:
    assert max(method.unanswered for method in tables(result)) > 0


def test_expected_candidates_are_the_sum_of_the_s_curve(
    result: DemoResult, distances: Distances
) -> None:
    def expected(bits: int, tables: int) -> float:
        return float(s_curve(1 - distances / 1024, bits, tables).sum()) / 297

    for cost in result.sweep:
        assert cost.expected == pytest.approx(expected(cost.bits, cost.tables), rel=1e-9)
    for method in tables(result):
        assert method.bits is not None
        assert method.tables is not None
        wanted = expected(method.bits, method.tables)
        assert method.expected_candidates == pytest.approx(wanted, rel=1e-9)


def test_the_chosen_setting_keeps_the_wanted_recall_at_the_wanted_distance(
    result: DemoResult,
) -> None:
    wanted = result.wanted
    chance = BitSampling(64, 16).collision_probability(wanted.distance)
    assert s_curve(chance, wanted.bits, wanted.tables) >= wanted.recall
    assert (wanted.bits, wanted.tables) in [(m.bits, m.tables) for m in tables(result)]


def test_the_wanted_distance_comes_from_stored_images_without_themselves(
    result: DemoResult,
) -> None:
    images = load_digits().images[:1500].astype(np.int64)
    sample = images[::10]
    away = np.abs(sample[:, None] - images[None]).sum(axis=(2, 3))
    away[np.arange(150), np.arange(150) * 10] = 10_000  # itself
    assert result.wanted.distance == pytest.approx(np.quantile(away.min(axis=1), 0.9))


def test_the_first_draw_of_the_sweep_is_that_of_the_table(result: DemoResult) -> None:
    table = {(method.bits, method.tables): method.candidates for method in tables(result)}
    shared = [cost for cost in result.sweep if (cost.bits, cost.tables) in table]
    assert len(shared) >= 4
    for cost in shared:
        assert cost.measured[0] == table[cost.bits, cost.tables]
        assert cost.measured[0] != cost.measured[1]


def test_another_seed_draws_other_hash_functions(result: DemoResult) -> None:
    other = run_demo(seed=1, repeats=1, draws=1)
    for mine, others in zip(tables(result), tables(other), strict=True):
        assert mine.candidates != others.candidates
    # Draw i of a sweep uses seed + i.
    seconds = [cost.measured[1] for cost in result.sweep]
    assert [cost.measured[0] for cost in other.sweep] == seconds


def test_speed_is_told_against_plain_numpy(result: DemoResult) -> None:
    numpy = result.methods[-1]
    assert numpy.name == "NumPy"
    assert numpy.speedup == 1.0
    for method in result.methods:
        assert method.microseconds_batch > 0 < method.microseconds_single
        ratio = numpy.microseconds_batch / method.microseconds_batch
        assert method.speedup == pytest.approx(ratio)


def test_progress_counts_each_phase_to_its_end(result: DemoResult, told: Steps) -> None:
    for phase, total in (("timing", 18), ("drawing hash functions", 32)):
        steps = [step for step in told if step[0] == phase]
        assert steps == [(phase, done, total) for done in range(1, total + 1)]


def test_results_are_ready_for_json(result: DemoResult) -> None:
    figures = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert figures["wanted"]["bits"] == result.wanted.bits
    assert len(figures["methods"]) == len(result.methods)
    assert figures["sweep"][0]["measured"] == list(result.sweep[0].measured)
    assert figures["summary"] == summary(result)


def with_times(result: DemoResult, microseconds: dict[str, float]) -> DemoResult:
    methods = [
        replace(method, microseconds_batch=microseconds.get(method.name, 50.0))
        for method in result.methods
    ]
    return replace(result, methods=tuple(methods))


def test_the_summary_says_when_tables_are_slower(result: DemoResult) -> None:
    told = summary(with_times(result, {"exact search": 3.0, "k = 20, m = 15": 6.0}))
    missed = 297 - round(next(m for m in result.methods if m.tables == 15).nearest_found * 297)
    assert told[0].startswith("Exact search finds every nearest image in 3.0 microseconds")
    assert "2.0 nanoseconds for each stored image" in told[0]
    assert told[1] == (
        "The fastest hash tables that find at least 90% of the nearest, k = 20, m = 15, take "
        f"6.0 microseconds, 2.0 times as long as exact search, and miss {missed} of 297."
    )


def test_the_summary_says_when_tables_are_faster(result: DemoResult) -> None:
    told = summary(with_times(result, {"exact search": 9.0, "k = 20, m = 15": 6.0}))
    assert "take 6.0 microseconds, 1.5 times as fast as exact search" in told[1]


def test_the_summary_calls_the_saving_small_only_when_it_is(result: DemoResult) -> None:
    for exact, small in ((3.0, True), (11.9, True), (12.1, False)):
        told = summary(with_times(result, {"exact search": exact, "k = 20, m = 15": 6.0}))
        assert ("too cheap for that to matter much" in told[-1]) is small


def test_the_summary_says_when_no_tables_find_enough(result: DemoResult) -> None:
    methods = [
        replace(method, nearest_found=0.5) if method.engine == "tables" else method
        for method in result.methods
    ]
    told = summary(replace(result, methods=tuple(methods)))
    assert told[1] == "None of the hash tables finds 90% of the nearest images."


def test_the_page_shows_what_was_measured(result: DemoResult) -> None:
    page = demo_page(result)
    for method in result.methods:
        assert f"<td>{method.name}</td><td>{method.candidates:,.0f}</td>" in page
    for sentence in summary(result):
        assert f"<p>{sentence}</p>" in page
    assert page.count("<figure>") == page.count('<svg role="img" aria-label="') == 4
    assert len(re.findall('<tr class="marked">', page)) == 1


def test_the_page_loads_nothing_from_elsewhere(result: DemoResult) -> None:
    page = demo_page(result)
    assert not re.search("https?:", page)
    assert "<script" not in page
    references = set(re.findall(r'(?:href|src)="([^"]{5})', page))
    assert references == {"data:"} or all(r.startswith(("#", "data:")) for r in references)


def test_the_page_tells_of_places_where_nothing_was_found(result: DemoResult) -> None:
    # 80 bits in one table leave most queries without five candidates.
    page = demo_page(replace(result, wanted=replace(result.wanted, bits=80, tables=1)))
    assert ">none</text>" in page
