"""Names by which a server may be asked, and the origins of its pages there."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.web.conftest import awaited

from lookalike.errors import InvalidInput
from lookalike.web.guard import Guard
from lookalike.web.names import Names, origin_of


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("photos.example.org", "https://photos.example.org"),
        ("Photos.Example.ORG.", "https://photos.example.org"),
        ("photos.example.org:8443", "https://photos.example.org:8443"),
        ("https://photos.example.org:443/", "https://photos.example.org"),
        ("http://nas", "http://nas"),
        ("http://nas:80", "http://nas"),
        ("http://nas:443", "http://nas:443"),
        ("https://192.0.2.7", "https://192.0.2.7"),
        ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_written_as_browsers_do(text: str, origin: str) -> None:
    assert origin_of(text) == origin
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.example.org",
        "a b",
        ".org",
        "x..org",
        "x.org:99999",
        "https://",
        "https://x.org/path",
        "https://x.org?a",
        "u@x.org",
        "ftp://x.org",
        "b\u00fccher.example",
        "x.org\n.evil.example",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="must be a name"):
        origin_of(text)


@pytest.mark.parametrize("host", [b"", b"[", b"[]", b":80", b"\xff", b"x" * 400, None])
def test_odd_hosts_are_none(host: bytes | None) -> None:
    for names in (Names("127.0.0.1"), Names("0.0.0.0", ["https://x.org"])):
        assert names.place(host) is None


def test_an_own_name_may_be_that_of_a_proxy_too() -> None:
    names = Names("127.0.0.1", ["https://localhost"])
    place = names.place(b"localhost:8080")
    assert place is not None
    assert not place.is_secure  # it is asked without a proxy as well
    assert place.origins == {
        b"https://localhost",
        b"http://localhost:8080",
        b"https://localhost:8080",
    }


def test_known_spellings_are_bounded_and_others_are_answered_too() -> None:
    names = Names("127.0.0.1")
    for port in range(1_000):
        assert names.place(b"localhost:%d" % port)
    assert len(names._known) <= 64


@pytest.mark.parametrize(
    ("kind", "host", "scheme"),
    [
        ("http", b"x.org", "https"),
        ("websocket", b"x.org", "wss"),
        ("http", b"localhost", "http"),
        ("http", b"both.org", "http"),
    ],
)
def test_what_is_served_knows_how_browsers_come(kind: str, host: bytes, scheme: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    allowed = ["https://x.org", "https://both.org", "http://both.org"]
    guard = Guard(app, token="t" * 20, allowed=allowed)
    headers = [(b"host", host), (b"authorization", b"Bearer " + b"t" * 20)]
    scope = {"type": kind, "method": "GET", "scheme": "http", "headers": headers}
    awaited(guard(scope, receive, send))
    assert seen[0]["scheme"] == scheme
