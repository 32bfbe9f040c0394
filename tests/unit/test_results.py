"""Results: how they are walked through, cut and shown."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lookalike.errors import MissingExtra
from lookalike.results import Explanation, Neighbors, Ranges, Step

ONE = Neighbors(np.array([4, 2, -1]), np.array([0.0, 1.5, np.inf]), False)
BATCH = Neighbors(
    np.array([[1, 2], [3, -1]]), np.array([[0.0, 1.0], [2.0, np.inf]]), np.array([False, True])
)
FOUND = Ranges(np.array([5, 6, 7]), np.array([0.0, 1.0, 4.0]), np.array([0, 2, 2, 3]))


def test_ids_are_left_out_by_id_and_the_rest_moves_up() -> None:
    hits = Neighbors(
        np.array([[4, 2, 9], [2, 7, -1]]),
        np.array([[1.0, 2, 3], [1, 5, np.inf]]),
        np.zeros(2, bool),
    )
    left = hits.without([2], 2)
    assert left.ids.tolist() == [[4, 9], [7, -1]]
    assert left.distances.tolist() == [[1, 3], [5, np.inf]]
    assert hits[1].without([7, 2], 2).ids.tolist() == [-1, -1]


def test_pairs_are_plain_python_numbers() -> None:
    for pairs in (list(ONE), list(FOUND[0])):
        for slot, distance in pairs:
            assert type(slot) is int
            assert type(distance) is float


def test_a_batch_of_neighbors_is_indexed_from_both_ends() -> None:
    assert BATCH[-1].ids.tolist() == BATCH[1].ids.tolist() == [3, -1]
    assert len(BATCH) == 2
    assert len(BATCH[0]) == 2
    with pytest.raises(IndexError):
        BATCH[2]


def test_the_length_of_one_query_counts_places_and_its_walk_what_was_found() -> None:
    assert len(ONE) == 3
    assert len(list(ONE)) == 2


def test_a_query_that_found_nothing_has_an_empty_range() -> None:
    assert len(FOUND[1]) == 0
    assert list(FOUND[1]) == []
    assert FOUND[1].ids.dtype == FOUND.ids.dtype


@pytest.mark.parametrize("query", [3, -4])
def test_a_range_outside_the_batch_is_an_index_error(query: int) -> None:
    with pytest.raises(IndexError, match=f"query {query} of a batch of 3"):
        FOUND[query]


def test_up_to_five_results_are_shown_whole() -> None:
    five = Neighbors(np.arange(5), np.arange(5.0), False)
    assert repr(five) == "Neighbors(0: 0, 1: 1, 2: 2, 3: 3, 4: 4)"
    assert repr(Neighbors(np.arange(6), np.zeros(6), False)).endswith("4: 0, ... 1 more)")
    assert repr(Ranges(np.arange(0), np.zeros(0))) == "Ranges()"


def test_an_explanation_survives_json() -> None:
    steps = (Step("hash", "2 codes", 9, 0.5), Step("verify", "compare", 2, 1.25))
    told = Explanation("a plan", 9, steps, ONE).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == {
        "plan": "a plan",
        "size": 9,
        "steps": [
            {"name": "hash", "does": "2 codes", "left": 9, "microseconds": 0.5},
            {"name": "verify", "does": "compare", "left": 2, "microseconds": 1.25},
        ],
        "fate": None,
        "ids": [4, 2, -1],
        "distances": [0.0, 1.5, None],
    }


def test_the_columns_of_an_explanation_are_as_wide_as_their_widest_entry() -> None:
    steps = (Step("a long name", "x", 1_000_000, 1.0), Step("b", "y", 2, 12_345.678))
    assert str(Explanation("p", 1_000_000, steps, ONE)).splitlines()[2:] == [
        "  step         vectors left  microseconds",
        "  a long name     1,000,000           1.0  x",
        "  b                       2      12,345.7  y",
    ]


def test_what_was_found_becomes_columns_frames_and_arrow_tables() -> None:
    batch = Neighbors(
        np.array([[4, 2], [7, -1]]), np.array([[0.0, 1.5], [2.0, np.inf]]), np.zeros(2, bool)
    )
    expected = {
        "query": [0, 0, 1],
        "rank": [1, 2, 1],
        "id": [4, 2, 7],
        "distance": [0.0, 1.5, 2.0],
    }
    assert {name: column.tolist() for name, column in batch.to_columns().items()} == expected
    assert batch.to_pandas().to_dict("list") == expected
    assert batch.to_arrow().to_pydict() == expected
    assert ONE.to_columns()["query"].tolist() == [0] * int((ONE.ids >= 0).sum())


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, table in (("pandas", ONE.to_pandas), ("pyarrow", ONE.to_arrow)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtra, match=rf"{package}.*frames"):
            table()


def test_notebooks_show_tables_whose_text_is_escaped() -> None:
    assert ONE._repr_html_().startswith("<table><tr><th>id</th><th>distance</th></tr><tr><td>4")
    told = Explanation("a <plan>", 9, (Step("hash", "2 & 3", 9, 0.5),), ONE)
    html = told._repr_html_()
    assert "a &lt;plan&gt;" in html
    assert "<td>2 &amp; 3</td>" in html
