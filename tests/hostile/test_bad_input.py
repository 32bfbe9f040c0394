"""Bad input gets an error with four parts, and nothing is lost or changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lookalike
from lookalike import Index, InvalidInput, LookalikeError

Make = Callable[[], Index]
PLANS: dict[str, Make] = {
    "exact": lambda: Index("l1", value_range=16),
    "tables": lambda: Index("l1", value_range=16, bits=4, tables=6),
}


@pytest.fixture(params=PLANS)
def index(request: pytest.FixtureRequest, digits: npt.NDArray[np.uint8]) -> Index:
    index = PLANS[request.param]()
    index.add(digits[:200])
    return index


def message_of(call: Callable[[], object], kind: type[LookalikeError] = InvalidInput) -> str:
    """The message, which must have all four parts."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert re.match(r"\S+ .*\b(must|needs|decide)\b", message), (
        message
    )  # what was asked for, and how
    assert "; got " in message, message  # what came
    remedy = re.split(r"\. (?=\w)", message)[-1]
    assert remedy != message, message  # what to do: a sentence of its own
    assert remedy.endswith("."), message
    return message


def unharmed(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    assert len(index) == 200
    assert index.search(digits[7], k=1).ids.tolist() == [7]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (np.zeros((7, 8)), "must have shape (8, 8) or (64,)"),
        (np.zeros(63), "got (63,)"),
        (np.zeros((2, 2, 8, 8)), "got (2, 2, 8, 8)"),
        (np.float64(3.0), "got ()"),
        (3, "got ()"),
        (np.full((8, 8), np.nan), "finite"),
        (np.full((8, 8), np.inf), "finite"),
        (np.full((8, 8), -np.inf), "finite"),
        (np.full((8, 8), -1), "[0, 16]"),
        (np.full((8, 8), 17), "[0, 16]"),
        (np.full((8, 8), 1e300), "[0, 16]"),
        (np.full((8, 8), 2**62), "[0, 16]"),
        (np.full((8, 8), 255, np.uint8), "[0, 16]"),
        (np.full((8, 8), None), "dtype object"),
        (np.full((8, 8), "7"), "dtype <U1"),
        (np.full((8, 8), 1 + 0j), "dtype complex128"),
        (np.full((8, 8), "2026-01-01", "datetime64[D]"), "datetime64"),
        ([[1, 2], [3]], "cannot convert"),
        (object(), "dtype object"),
        (None, "got neither"),
    ],
)
def test_a_bad_query_is_refused_by_every_call(
    index: Index, digits: npt.NDArray[np.uint8], query: Any, part: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: index.search(query),
        lambda: index.within(query, 10),
        lambda: index.candidates(query),
        lambda: index.explain(query),
    ]
    for call in calls:
        assert part in message_of(call)
    unharmed(index, digits)


def test_positions_of_bad_values_are_told(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    batch = digits[:3].astype(float)
    batch[1, 2, 3] = np.nan
    batch[2, 0, 7] = np.inf
    message = message_of(lambda: index.search(batch))
    assert "2 of 192 values" in message
    assert "nan at (1, 2, 3), inf at (2, 0, 7)" in message


@pytest.mark.parametrize("value", [0.5, 5e-324, 1e-310, 15.999999999999998])
def test_fractions_and_denormals_are_refused_where_items_are_whole(
    index: Index, value: float
) -> None:
    message = message_of(lambda: index.search(np.full((8, 8), value)))
    assert "whole numbers, because the items of this index are whole" in message
    assert "uint8" in message


def test_minus_zero_is_zero(index: Index) -> None:
    black = np.zeros((8, 8))
    assert (index.search(-black).ids == index.search(black).ids).all()
    assert (index.search(-black).distances == index.search(black).distances).all()


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda q: np.repeat(q, 2, axis=1)[:, ::2],
        lambda q: q[::-1][::-1],
        lambda q: q.astype(">f8"),
        lambda q: q.astype(">i4"),
        lambda q: q.astype(np.float16),
        lambda q: q.astype(np.float32),
        lambda q: q.astype(np.int64),
        lambda q: q.astype(np.uint16),
        lambda q: q.astype(np.longdouble),
        lambda q: q.tolist(),
        lambda q: q.ravel(),
        lambda q: np.ascontiguousarray(q).data,
        lambda q: np.frombuffer(q.tobytes(), np.uint8).reshape(8, 8),  # read-only
    ],
)
def test_any_memory_layout_and_number_type_gives_the_same_answer(
    index: Index, digits: npt.NDArray[np.uint8], view: Callable[[Any], Any]
) -> None:
    query = digits[300]
    wanted = index.search(query, k=5)
    hits = index.search(view(query), k=5)
    assert (hits.ids == wanted.ids).all()
    assert (hits.distances == wanted.distances).all()


@pytest.mark.parametrize(
    ("items", "part"),
    [
        (np.zeros((8, 8)), "must be a batch"),
        (np.zeros((3, 8, 9)), "got (3, 8, 9)"),
        (np.full((3, 8, 8), 17), "[0, 16]"),
        (np.full((3, 8, 8), np.nan), "finite"),
        (np.full((3, 8, 8), None), "dtype object"),
    ],
)
def test_a_failed_add_adds_nothing(
    index: Index, digits: npt.NDArray[np.uint8], items: Any, part: str
) -> None:
    assert part in message_of(lambda: index.add(items))
    unharmed(index, digits)
    assert index.add(digits[:1]).tolist() == [200]


@pytest.mark.parametrize("items", [np.zeros(8), np.float64(1), np.zeros((3, 0)), 7])
def test_a_first_batch_must_have_items(items: Any) -> None:
    index = Index("l1")
    message_of(lambda: index.add(items))
    assert len(index) == 0
    assert index.item_shape is None


@pytest.mark.parametrize(
    ("metric", "bad", "good"),
    [
        ("l1", np.full((2, 3), 1e300), np.zeros((2, 5), np.uint8)),
        ("l1", np.full((2, 3), np.nan), np.zeros((2, 2, 2), np.uint8)),
        ("hamming", np.zeros((2, 3)), np.zeros((2, 5), np.bool_)),
        ("hamming", np.zeros((2, 3, 4), np.uint8), np.zeros((2, 9), np.uint8)),
    ],
)
def test_a_failed_first_batch_fixes_nothing(metric: str, bad: Any, good: Any) -> None:
    index = Index(metric)
    message_of(lambda: index.add(bad))
    assert len(index) == 0
    assert index.item_shape is None
    assert index.width_bits is None
    assert "nothing stored yet" in str(index.plan)
    assert index.add(good).tolist() == [0, 1]
    assert index.search(good[1], k=2).distances.tolist() == [0.0, 0.0]


def test_an_empty_batch_is_no_error_and_fixes_the_shape() -> None:
    index = Index("l1")
    assert index.add(np.zeros((0, 8, 8), np.uint8)).tolist() == []
    assert index.item_shape == (8, 8)
    message_of(lambda: index.add(np.zeros((1, 9, 9))))
    message_of(lambda: index.search(np.zeros((8, 8))))
    index.add(np.ones((1, 8, 8)))
    assert index.search(np.zeros((8, 8)), k=1).distances.tolist() == [64.0]
    assert index.search(np.zeros((0, 8, 8)), k=3).ids.shape == (0, 3)
    assert len(index.within(np.zeros((0, 8, 8)), 3)) == 0
    assert index.candidates(np.zeros((0, 8, 8))) == []


def test_searching_an_empty_index_says_to_add_first() -> None:
    for make in PLANS.values():
        index = make()
        calls: list[Callable[[], object]] = [
            lambda index=index: index.search(np.zeros((8, 8))),  # type: ignore[misc]
            lambda index=index: index.within(np.zeros((8, 8)), 1),  # type: ignore[misc]
            lambda index=index: index.candidates(np.zeros((8, 8))),  # type: ignore[misc]
            lambda index=index: index.explain(np.zeros((8, 8))),  # type: ignore[misc]
        ]
        for call in calls:
            assert "Call add" in message_of(call)


def test_one_item_and_more_neighbours_than_items_are_fine() -> None:
    for make in PLANS.values():
        index = make()
        index.add(np.full((1, 8, 8), 3))
        hits = index.search(np.full((8, 8), 3), k=4)
        assert hits.ids.tolist() == [0, -1, -1, -1]
        assert hits.distances.tolist() == [0.0, np.inf, np.inf, np.inf]
        assert list(hits) == [(0, 0.0)]


def test_identical_items_are_all_found(digits: npt.NDArray[np.uint8]) -> None:
    for make in PLANS.values():
        index = make()
        index.add(np.repeat(digits[:1], 5000, axis=0))
        assert index.search(digits[0], k=3).ids.tolist() == [0, 1, 2]
        assert len(index.within(digits[0], 0)) == 5000
        assert len(index.candidates(digits[0])) == 5000


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "3", None, 1.5, 100_001, 2**31, 2**63, 2**70])
def test_k_must_be_a_whole_number_of_at_least_one(
    index: Index, digits: npt.NDArray[np.uint8], k: Any
) -> None:
    assert "k must be a whole number" in message_of(lambda: index.search(digits[0], k=k))
    assert "k must be a whole number" in message_of(lambda: index.explain(digits[0], k=k))


def test_as_many_neighbours_as_items_may_be_asked_for() -> None:
    index = Index("hamming")
    index.add(np.zeros((100_002, 1), np.uint8))
    assert index.search(np.zeros(1, np.uint8), k=100_002).ids[-1] == 100_001


def test_a_masked_array_is_refused(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    masked = np.ma.masked_equal(digits[0], 0)
    assert "masked" in message_of(lambda: index.search(masked))
    assert "masked" in message_of(lambda: index.add(masked[None]))


def test_candidates_check_their_threads(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    assert "threads" in message_of(lambda: index.candidates(digits[0], threads=0))


def test_numpy_integers_are_whole_numbers(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    assert index.search(digits[0], k=np.int64(3)).ids.shape == (3,)  # type: ignore[arg-type]


@pytest.mark.parametrize("radius", [-1, -0.001, np.nan, "x", "3", True, None, [1, 2], 1j])
def test_a_radius_must_be_a_number_from_zero(
    index: Index, digits: npt.NDArray[np.uint8], radius: Any
) -> None:
    assert "radius must be a number >= 0" in message_of(lambda: index.within(digits[0], radius))


@pytest.mark.parametrize("threads", [0, -2, 1.0, 10**6, None])
def test_threads_must_be_a_sensible_number(
    index: Index, digits: npt.NDArray[np.uint8], threads: Any
) -> None:
    assert "threads" in message_of(lambda: index.search(digits[:2], threads=threads))
    assert "threads" in message_of(lambda: index.within(digits[:2], 3, threads=threads))


@pytest.mark.parametrize("id", [-1, 200, 1.0, True, "1", 2**63])
def test_an_unknown_member_has_no_neighbours(
    index: Index, digits: npt.NDArray[np.uint8], id: Any
) -> None:
    assert "id must" in message_of(lambda: index.search(id=id))
    unharmed(index, digits)


@pytest.mark.parametrize("ids", [-1, 200, [3, 999], 1.5, [[0.5]], 2**63])
def test_unknown_ids_are_refused(index: Index, ids: Any) -> None:
    message_of(lambda: index.vectors(ids))
    message_of(lambda: index.search(np.zeros((8, 8)), exclude=ids))


def test_a_query_and_an_id_exclude_each_other(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    assert "got both" in message_of(lambda: index.search(digits[0], id=1))
    assert "got neither" in message_of(index.search)
    assert "one member" in message_of(lambda: index.search(id=[1, 2]))  # type: ignore[arg-type]


def test_explain_takes_one_item(index: Index, digits: npt.NDArray[np.uint8]) -> None:
    assert "one item" in message_of(lambda: index.explain(digits[:2]))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"bits": 0, "tables": 1}, "bits must"),
        ({"bits": 1, "tables": 0}, "tables must"),
        ({"bits": 3}, "together"),
        ({"tables": 3}, "together"),
        ({"bits": 2.5, "tables": 1}, "bits must"),
        ({"bits": 3, "tables": 3, "recall": 0.9}, "recall must be left out"),
        ({"recall": 0}, "recall must be in (0, 1]"),
        ({"recall": 1.01}, "recall must be in (0, 1]"),
        ({"recall": np.nan}, "recall must be in (0, 1]"),
        ({"recall": "most"}, "recall must be in (0, 1]"),
        ({"recall": "0.9"}, "recall must be in (0, 1]"),
        ({"recall": True}, "recall must be in (0, 1]"),
        ({"bits": 2**40, "tables": 1}, "bits must"),
        ({"value_range": 0}, "value_range must"),
        ({"value_range": 256}, "at most 255"),
        ({"width_bits": 64}, "must be left out"),
        ({"seed": -1}, "seed must"),
        ({"seed": 2**128}, "seed must"),
        ({"seed": 1.5}, "seed must"),
        ({"seed": True}, "seed must"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], part: str) -> None:
    assert part in message_of(lambda: Index("l1", **options))


@pytest.mark.parametrize("metric", ["L1", "euclid", "", None, 3, ["l1"]])
def test_unknown_metrics_are_refused(metric: Any) -> None:
    assert "metric must be one of 'l1', 'l2', 'cosine', 'hamming'" in message_of(
        lambda: Index(metric)
    )


@pytest.mark.parametrize(
    ("items", "options", "part"),
    [
        (np.zeros((2, 8), np.float64), {}, "packed bits as uint8"),
        (np.zeros((2, 8), np.int64), {}, "numpy.packbits"),
        (np.zeros((2, 2, 8), np.uint8), {}, "Flatten"),
        (np.zeros((2, 8), np.uint8), {"width_bits": 65}, "width_bits"),
        (np.zeros((2, 8), np.uint8), {"width_bits": 56}, "width_bits"),
        (np.zeros((2, 60), np.bool_), {"width_bits": 61}, "width_bits"),
        (np.zeros((2, 60), np.bool_), {"width_bits": 59}, "width_bits"),
        (np.full((2, 8), 255, np.uint8), {"width_bits": 60}, "last 4 bits zero"),
        (np.zeros((2, 8), np.uint8), {"value_range": 3}, "must be left out"),
    ],
)
def test_bad_bits_are_refused(items: Any, options: dict[str, Any], part: str) -> None:
    def build() -> None:
        Index("hamming", **options).add(items)

    assert part in message_of(build)


def test_padding_bits_of_a_query_are_checked_too() -> None:
    index = Index("hamming", width_bits=60)
    index.add(np.zeros((2, 8), np.uint8))
    assert "last 4 bits zero" in message_of(lambda: index.search(np.full(8, 255, np.uint8)))
    assert "packed bits as uint8" in message_of(lambda: index.search(np.zeros(8)))


def test_an_unknown_or_missing_cpu_level_is_refused() -> None:
    before = lookalike.cpu_level()
    message = message_of(lambda: lookalike.set_cpu_level("avx1024"))
    assert "'avx1024'" in message
    assert "scalar" in message
    missing = [level for level, usable in lookalike.cpu_levels().items() if not usable]
    for level in missing:
        with pytest.raises(InvalidInput, match="this processor lacks"):
            lookalike.set_cpu_level(level)
    assert lookalike.cpu_level() == before


def run_with_level(level: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import lookalike; print(lookalike.cpu_level())"],
        env={**os.environ, "LOOKALIKE_CPU": level},
        capture_output=True,
        text=True,
    )


def test_the_environment_forces_a_level_that_then_runs() -> None:
    for level, usable in lookalike.cpu_levels().items():
        done = run_with_level(level)
        if usable:
            assert done.stdout == f"{level}\n"
        else:
            assert done.returncode != 0
            assert "LOOKALIKE_CPU must name a CPU level" in done.stderr


def test_the_environment_cannot_name_an_unknown_level() -> None:
    done = run_with_level("best")
    assert done.returncode != 0
    assert "got 'best': this build does not have it" in done.stderr
