"""Members: ids of the user's, and the rows they lie in."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import InvalidInput
from lookalike.members import Members, new_ids, rows_of_known


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_ids_are_rows_until_something_else_is_said() -> None:
    members = Members().added(3, None).added(2, ids(3, 4))
    assert members.are_rows
    assert members.ids.tolist() == [0, 1, 2, 3, 4]
    assert members.find(ids(4, 5, -1)).tolist() == [4, -1, -1]


def test_own_ids_are_found_in_any_order() -> None:
    members = Members().added(2, None).added(3, ids(70, 10, 2**62))
    assert not members.are_rows
    assert not members.ascending
    assert members.ids.tolist() == [0, 1, 70, 10, 2**62]
    assert members.find(ids(2**62, 10, 11, 0)).tolist() == [4, 3, -1, 0]
    assert members.added(1, None).ids[-1] == 2**62 + 1
    assert members.ids_of(ids(3, -1)).tolist() == [10, -1]


def test_removed_members_are_gone_and_their_ids_are_not_given_again() -> None:
    members = Members().added(4, None).without(ids(1, 3))
    assert len(members) == 2
    assert members.slots.tolist() == members.ids.tolist() == [0, 2]
    assert members.find(ids(0, 1, 2, 3)).tolist() == [0, -1, 2, -1]
    after = members.added(1, None)
    assert after.ids.tolist() == [0, 2, 4]
    compact = after.compacted()
    assert compact.rows == 3
    assert compact.find(ids(4, 2, 1)).tolist() == [2, 1, -1]
    assert compact.added(1, None).ids[-1] == 5


def test_a_removed_id_may_come_back_in_another_row() -> None:
    members = Members().added(3, None).without(ids(1)).added(1, ids(1))
    assert members.find(ids(1)).tolist() == [3]
    assert members.ids.tolist() == [0, 2, 1]


def test_ids_are_found_however_many_batches_came_and_went() -> None:
    random = np.random.default_rng(5)
    members, rows = Members(), dict[int, int]()
    for batch in range(120):
        own = np.unique(random.integers(0, 40_000, 200))
        known = members.find(own)
        assert known.tolist() == [rows.get(one, -1) for one in own.tolist()]
        start = members.rows
        members = members.without(known[known >= 0]).added(len(own), own)
        rows |= {one: start + place for place, one in enumerate(own.tolist())}
        if batch % 3 == 0:
            gone = np.array(list(rows))[random.permutation(len(rows))[:50]]
            members = members.without(members.find(gone))
            for one in gone.tolist():
                del rows[one]
        if batch % 7 == 0:
            assert members.find(own).max() < members.rows
    every = np.arange(40_000)
    assert members.find(every).tolist() == [rows.get(one, -1) for one in every.tolist()]
    assert sorted(members.ids.tolist()) == sorted(rows)


def test_a_mask_is_made_of_truth_values_ids_or_a_function() -> None:
    members = Members().added(4, ids(5, 9, 7, 8)).without(ids(1))
    expected = [1, 0, 0, 1]
    assert members.mask(np.array([True, False, True])).tolist() == expected
    assert members.mask([5, 8, 9, 1000]).tolist() == expected
    assert members.mask(lambda known: known != 7).tolist() == expected
    assert members.mask(np.empty(0, np.int64)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("where", [[True], [0.5], "all", lambda known: known[:1] > 0])
def test_other_filters_are_refused(where: object) -> None:
    with pytest.raises(InvalidInput, match="where must"):
        Members().added(2, None).mask(where)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [[1, 1], [-1, 2], [2**63, 1], [1.0, 2.0], [1], [[1, 2]], "ab"])
def test_ids_that_cannot_be_are_refused(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="ids must"):
        new_ids(wrong, 2)  # type: ignore[arg-type]


def test_unknown_ids_are_named() -> None:
    members = Members().added(2, None)
    with pytest.raises(InvalidInput, match="ids must be in this index, which holds 2 items; got 1"):
        rows_of_known(members, [0, 7], "ids")


def test_half_of_the_rows_removed_is_not_most() -> None:
    members = Members(rows=4, next_id=4).without(np.array([0, 1]))
    assert not members.are_mostly_removed
    assert members.without(np.array([2])).are_mostly_removed
