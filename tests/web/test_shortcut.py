"""The shortcut answers as the route does, and only what is asked for plainly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.web.conftest import awaited
from tests.web.test_api import client_of

from lookalike.web.api.shortcut import Shortcut
from lookalike.web.collection import Query, Unknown
from lookalike.web.site import Site

NOBODY = "0123456789abcdef"


@pytest.fixture(scope="module")
def ids(site: Site) -> list[str]:
    return [item.id for item in site.collection.items(0, 100)]


def ask(site: Site, path: str, query: bytes, method: str = "GET") -> tuple[bool, Any]:
    """Whether a request went through to the application, and else the body of the answer."""
    passed: list[Scope] = []
    sent: list[Message] = []

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query}
    awaited(Shortcut(through, site)(scope, nothing, send))
    return bool(passed), json.loads(sent[-1]["body"]) if sent else None


@pytest.mark.parametrize(
    "query", [b"", b"k=3", b"k=3&recall=0.95", b"recall=0.5&encoder=pdq&k=12", b"encoder=phash"]
)
def test_what_is_plain_is_answered(site: Site, ids: list[str], query: bytes) -> None:
    passed, body = ask(site, f"/api/v1/pictures/{ids[0]}/similar", query)
    assert not passed
    assert body["hits"]


@pytest.mark.parametrize(
    "query",
    [
        b"k=0",
        b"k=-1",
        b"k=03",
        b"k=1001",
        b"k=3.0",
        b"k=%33",
        b"k=3&k=4",
        b"k=",
        b"k",
        b"&",
        b"k=3&",
        b"k=3\n",
        b"recall=0",
        b"recall=1",
        b"recall=0.0",
        b"recall=1.5",
        b"recall=nan",
        b"recall=1e-1",
        b"encoder=a%20b",
        b"encoder=onnx:x",
        b"flips=true",
        b"rotations=1",
        b"other=1",
    ],
)
def test_what_could_be_wrong_goes_to_the_route(site: Site, ids: list[str], query: bytes) -> None:
    assert ask(site, f"/api/v1/pictures/{ids[0]}/similar", query)[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", f"/api/v1/pictures/{NOBODY}/similar"),
        ("POST", f"/api/v1/pictures/{NOBODY}/similar"),
        ("GET", f"/api/v1/pictures/{NOBODY}/similar/"),
        ("GET", f"/api/v1/pictures/{NOBODY}/similar\n"),
        ("GET", f"/api/v1/pictures/{NOBODY.upper()}/similar"),
        ("GET", f"/api/v1/pictures/f{NOBODY[1:]}/similar"),
        ("GET", f"/api/v1/pictures/{NOBODY}/how"),
    ],
)
def test_other_addresses_and_methods_go_to_their_routes(site: Site, method: str, path: str) -> None:
    assert ask(site, path, b"", method)[0]


@pytest.mark.parametrize("query", ["k=7", "k=40&recall=0.9", "encoder=pdq", "encoder=nobody", ""])
@pytest.mark.parametrize("known", [True, False])
def test_it_answers_as_the_route_does(site: Site, ids: list[str], query: str, known: bool) -> None:
    own = ids[3] if known else NOBODY
    address = f"/api/v1/pictures/{own}/similar?{query}"
    with client_of(site) as client:
        short, long = client.get(address), client.get(address + "&flips=false")
        assert not ask(site, f"/api/v1/pictures/{own}/similar", query.encode())[0]
    bodies = [short.json(), long.json()]
    for body in bodies:
        body.pop("microseconds", None)  # the only parts that may differ
        body.pop("request", None)
    assert bodies[0] == bodies[1]
    assert short.status_code == long.status_code
    assert _lasting(short.headers) == _lasting(long.headers)


def _lasting(headers: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name not in ("date", "x-request-id", "content-length")
    }


def test_searches_that_are_made_together_find_what_each_finds(site: Site, ids: list[str]) -> None:
    queries = [Query(id=own, k=9) for own in ids]
    together = site.collection.search_each(queries)
    assert len(ids) > 40
    for query, found in zip(queries, together, strict=True):
        alone = site.collection.search(query)
        assert found.hits == alone.hits
        assert found.notes == alone.notes


def test_one_of_several_that_is_not_there_is_named(site: Site, ids: list[str]) -> None:
    with pytest.raises(Unknown, match=NOBODY):
        site.collection.search_each([Query(id=ids[0]), Query(id=NOBODY)])
