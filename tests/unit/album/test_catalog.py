"""The catalogue: what it remembers of what it has read, and when it forgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.album.catalog import Catalog, Content, File, Name
from lookalike.errors import CorruptStore
from lookalike.pictures.jobs import Stamp

ONE, OTHER = Content("0" * 31 + "1", 10, 4, 3, "png"), Content("0" * 31 + "2", 20)


def put(catalog: Catalog, content: Content, path: bytes) -> None:
    with catalog.change():
        catalog.put_contents([content])
        catalog.put_files([File(Name.of(path), Stamp(content.size, 1, 1, 1), 1, content.id)])


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    own = Catalog(tmp_path, create=True)
    put(own, ONE, b"a/one.png")
    yield own
    own.close()


def paths(catalog: Catalog, *contents: Content) -> list[list[bytes]]:
    found = catalog.holders([own.id for own in contents])
    return [[file.name.path for file in files] for _, files in found.values()]


def test_what_others_have_changed_is_seen(catalog: Catalog, tmp_path: Path) -> None:
    assert paths(catalog, ONE, OTHER) == [[b"a/one.png"]]
    assert catalog.fact("rules") is None
    another = Catalog(tmp_path, create=False)
    put(another, OTHER, b"b/other.png")
    with another.change():
        another.set_fact("rules", {"hidden": True})
        another.drop_files([Name(b"a", b"one.png")])
    assert paths(catalog, ONE, OTHER) == [[b"b/other.png"]]
    assert catalog.fact("rules") == {"hidden": True}
    another.close()


def test_what_it_has_changed_itself_is_seen(catalog: Catalog) -> None:
    assert paths(catalog, ONE) == [[b"a/one.png"]]
    put(catalog, ONE, b"c.png")
    assert sorted(paths(catalog, ONE)[0]) == [b"a/one.png", b"c.png"]


def change_and_fail(catalog: Catalog) -> None:
    with catalog.change():
        catalog.drop_files([Name(b"a", b"one.png")])
        catalog.set_fact("rules", {})
        assert paths(catalog, ONE) == []
        assert catalog.fact("rules") == {}
        raise RuntimeError


def test_what_was_rolled_back_is_not_remembered(catalog: Catalog) -> None:
    with pytest.raises(RuntimeError):
        change_and_fail(catalog)
    assert paths(catalog, ONE) == [[b"a/one.png"]]
    assert catalog.fact("rules") is None


def test_a_path_that_leads_out_is_damage_every_time(catalog: Catalog) -> None:
    put(catalog, OTHER, b"../out.png")
    for _ in range(2):
        with pytest.raises(CorruptStore, match="leads out"):
            catalog.holders([ONE.id, OTHER.id])
    assert paths(catalog, ONE) == [[b"a/one.png"]]


def test_a_state_differs_after_every_change(catalog: Catalog, tmp_path: Path) -> None:
    states = [catalog.state()]
    put(catalog, OTHER, b"b.png")
    states.append(catalog.state())
    another = Catalog(tmp_path, create=False)
    put(another, OTHER, b"c.png")
    another.close()
    states.append(catalog.state())
    assert len(set(states)) == 3
    assert catalog.state() == states[-1]


def test_a_view_sees_one_state_and_what_comes_after_it_the_next(
    catalog: Catalog, tmp_path: Path
) -> None:
    another = Catalog(tmp_path, create=False)
    with catalog.view():  # nothing is read yet: the view itself fixes what is seen
        put(another, OTHER, b"b.png")
        assert paths(catalog, OTHER) == []
    assert paths(catalog, OTHER) == [[b"b.png"]]
    with catalog.view():
        assert paths(catalog, OTHER) == [[b"b.png"]]
        put(another, OTHER, b"c.png")
        assert paths(catalog, OTHER) == [[b"b.png"]]
    another.close()
    assert paths(catalog, OTHER) == [[b"b.png", b"c.png"]]
