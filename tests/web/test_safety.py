"""What others may try on a server that runs as users start it: cases 37 to 42, and the policy.

The numbers are those of a list of abuse and faults that the project is to survive.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from PIL import Image
from tests.web.conftest import opened, serving

from lookalike.web.guard import Guard

pytest.importorskip("nicegui")

TOKEN = "a-token-of-the-tests-0"
MEANT = {"X-Lookalike-Request": "1"}
PAGES = ("/", "/how", "/duplicates", "/album")
PICTURES = "/api/v1/pictures"
SECRETS = ("root:x:", "/home/", "/root", "/tmp/", "site-packages", "Traceback", 'File "')

Answer = tuple[int, dict[str, str], bytes]


def ask(
    site: str, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> Answer:
    """One request, with the path exactly as it is written here."""
    at = urlsplit(site)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(
            method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True
        )
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def raw(site: str) -> socket.socket:
    at = urlsplit(site)
    return socket.create_connection((at.hostname or "", at.port or 0), timeout=30)


def said(connection: socket.socket) -> bytes:
    """All that is answered until the other end closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def handshake(site: str, **headers: str) -> int:
    """Status of opening NiceGUI's websocket."""
    own = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items())]
    if "Host" not in own:
        lines.insert(1, f"Host: {urlsplit(site).netloc}")
    with raw(site) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(64).split()[1])


@pytest.fixture(scope="session")
def schema(album_site: str) -> dict[str, Any]:
    status, _, body = ask(album_site, "GET", "/openapi.json")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


# ---- 37: paths


WAYS_OUT = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252f..%252fetc%252fpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "..\\..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "C:/Windows/win.ini",
    "C%3a%5cWindows%5cwin.ini",
    "%5c%5chost%5cshare%5cx",
    "file:///etc/passwd",
    "passwd%00.jpg",
    ".lookalike/catalog.sqlite",
)


def test_37_no_path_leads_out_of_any_route_that_names_something(
    album_site: str, schema: dict[str, Any]
) -> None:
    named = [path for path, own in schema["paths"].items() if "{" in path and "get" in own]
    assert any("thumbnail" in path for path in named)
    places = [*named, "/static/{x}", "/_nicegui/3.18.0/static/{x}", "/_nicegui/3.18.0/esm/vue/{x}"]
    for place in places:
        for way in WAYS_OUT:
            path = "".join(
                way if part.startswith("{") else part for part in re.split(r"(\{\w+\})", place)
            )
            status, _, body = ask(album_site, "GET", path)
            assert 400 <= status < 500, (path, status)
            assert b"root:" not in body, path
            assert b"SQLite" not in body, path


def test_37_a_link_in_the_album_that_leads_out_is_not_followed(own_album: Path) -> None:
    picture = next(own_album.rglob("*.jpg"))
    with serving(str(own_album)) as site:
        listed = json.loads(ask(site, "GET", f"{PICTURES}?count=200")[2])["pictures"]
        name = str(picture.relative_to(own_album))
        (own,) = [one for one in listed if name in str(one["files"])]
        assert ask(site, "GET", f"{PICTURES}/{own['id']}/file")[0] == 200
        outside = own_album.parent / "outside.jpg"
        shutil.copy(picture, outside)  # the same bytes, so that the digest does not tell
        for holder in own["files"]:
            path = own_album / holder["path"]
            path.unlink()
            path.symlink_to(outside)
        assert ask(site, "GET", f"{PICTURES}/{own['id']}/file")[0] == 404


# ---- 38: addresses


def test_38_nothing_in_the_api_takes_an_address(schema: dict[str, Any]) -> None:
    def names(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if value.get("format") in ("uri", "url", "iri"):
                yield "uri"
            if "in" in value and "name" in value:
                yield str(value["name"])
            yield from value.get("properties", ())
            for own in value.values():
                yield from names(own)
        elif isinstance(value, list):
            for own in value:
                yield from names(own)

    found = set(names(schema))
    assert {"id", "k"} <= found
    assert not {own for own in found if re.search(r"ur[il]|href|link|host|address", own, re.I)}


@pytest.mark.parametrize("k", ["1", "24"])
def test_38_a_picture_that_names_an_address_is_not_read(album_site: str, k: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.5)
        address = f"http://127.0.0.1:{other.getsockname()[1]}/x"
        for body in (
            f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}"/></svg>',
            f'<!doctype html><img src="{address}">',
            address,
        ):
            status, _, _ = ask(
                album_site,
                "POST",
                f"/api/v1/search/picture?k={k}",
                MEANT | {"Content-Type": "image/svg+xml"},
                body.encode(),
            )
            assert status in (415, 422)
        with pytest.raises(TimeoutError):
            other.accept()


# ---- 39: other names, other origins


def test_39_a_name_of_others_that_points_here_is_refused(album_site: str) -> None:
    port = urlsplit(album_site).port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        f"127.0.0.1.evil.example:{port}",
        f"localhost.evil.example:{port}",
        f"192.0.2.1:{port}",
        "",
    ):
        assert ask(album_site, "GET", "/", {"Host": host})[0] == 421, host
        assert handshake(album_site, Host=host) == 403, host
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert ask(album_site, "GET", "/ready", {"Host": host})[0] == 200, host


def test_39_two_hosts_are_none(album_site: str) -> None:
    with raw(album_site) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        assert said(connection).startswith(b"HTTP/1.1 400")


def test_39_what_pages_of_others_send_is_refused(album_site: str) -> None:
    other = urlsplit(album_site)._replace(
        netloc=f"127.0.0.1:{(urlsplit(album_site).port or 0) - 1}"
    )
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": other.geturl()},  # another port is another origin
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ):
        status, answered, _ = ask(album_site, "POST", "/api/v1/sync", headers | MEANT, b"")
        assert status == 403, headers
        assert not [name for name in answered if name.startswith("access-control")]


def test_39_a_link_to_the_page_may_be_followed_and_no_more(album_site: str) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    shown = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ask(album_site, "GET", "/", followed)[0] == 200
    assert ask(album_site, "GET", "/", shown)[0] == 403


def test_39_a_change_must_carry_a_header_that_forms_cannot_have(
    album_site: str, schema: dict[str, Any]
) -> None:
    changes = [
        (method.upper(), re.sub(r"\{\w+\}", "0" * 16, path))
        for path, own in schema["paths"].items()
        for method in own
        if method not in ("get", "head", "options")
    ]
    assert ("POST", "/api/v1/search/picture") in changes
    for method, path in [*changes, ("POST", "/_nicegui/client/x/upload/1"), ("PUT", "/")]:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            status, _, body = ask(album_site, method, path, {"Content-Type": kind}, b"x")
            assert status == 403, (method, path)
            assert b"X-Lookalike-Request" in body


def test_39_nobody_is_promised_that_they_may_ask_from_elsewhere(album_site: str) -> None:
    for path in ("/api/v1/sync", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        headers = {
            "Origin": "http://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-lookalike-request",
        }
        for method in ("OPTIONS", "GET"):
            status, answered, _ = ask(album_site, method, path, headers)
            assert status == 403
            assert not [name for name in answered if name.startswith("access-control")]
    own = {"Origin": album_site}
    _, answered, _ = ask(album_site, "GET", "/_nicegui_ws/socket.io/?EIO=4&transport=polling", own)
    assert not [name for name in answered if name.startswith("access-control")]


def test_39_the_websocket_is_for_the_page_alone(album_site: str) -> None:
    assert handshake(album_site, Origin=album_site) == 101
    assert handshake(album_site, Origin="http://evil.example") == 403
    assert handshake(album_site, Origin="null") == 403
    assert handshake(album_site, Sec_Fetch_Site="cross-site") == 403


def test_39_a_prefix_that_somebody_sends_does_not_get_into_the_page(album_site: str) -> None:
    _, _, body = ask(album_site, "GET", "/", {"X-Forwarded-Prefix": "//evil.example"})
    assert b"evil.example" not in body


# ---- tokens


@pytest.fixture(scope="module")
def locked_site() -> Iterator[str]:
    """Address of a server for other machines, with its token."""
    with serving("--host", "0.0.0.0") as address:
        yield address.replace("0.0.0.0", "127.0.0.1")


def test_a_server_for_other_machines_draws_a_token(locked_site: str) -> None:
    site, _, token = locked_site.partition("/?token=")
    assert len(token) >= 32
    assert ask(site, "GET", "/")[0] == 401
    assert ask(site, "GET", "/api/v1/collection")[0] == 401
    assert ask(site, "GET", "/openapi.json")[0] == 401
    assert handshake(site, Origin=site) == 403
    for wrong in ("", "x", token[:-1], token + "x", "é"):
        assert ask(site, "GET", "/ready", {"Authorization": f"Bearer {wrong}"})[0] == 401
    own = {"Authorization": f"Bearer {token}"}
    assert ask(site, "GET", "/api/v1/collection", own)[0] == 200
    assert handshake(site, Authorization=own["Authorization"]) == 101
    assert handshake(site, Authorization=own["Authorization"], Origin="http://x.example") == 403


def test_a_token_becomes_a_cookie_that_scripts_do_not_see(locked_site: str) -> None:
    site, _, token = locked_site.partition("/?token=")
    assert ask(site, "GET", "/?token=wrong")[0] == 401
    status, headers, body = ask(site, "GET", f"/?token={token}")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert token not in cookie
    assert token.encode() not in body
    assert ask(site, "GET", "/ready", {"Cookie": cookie})[0] == 200
    assert ask(site, "GET", "/ready", {"Cookie": cookie[:-1]})[0] == 401
    assert handshake(site, Cookie=cookie, Origin=site) == 101


def test_with_the_token_in_the_address_the_page_opens_without_it(
    browser: Any, locked_site: str
) -> None:
    with opened(browser) as tab:
        tab.goto(locked_site)
        tab.wait_for_url(lambda url: "token" not in url)
        tab.get_by_text("handwritten digits").first.wait_for()


def test_without_the_token_the_page_asks_for_it(browser: Any, locked_site: str) -> None:
    site, _, token = locked_site.partition("/?token=")
    page = browser.new_page()
    page.goto(site)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button").click()
    page.wait_for_url(lambda url: "token" not in url)
    page.get_by_text("handwritten digits").first.wait_for()
    page.close()


# ---- behind a reverse proxy


@pytest.fixture(scope="module")
def proxied_site() -> Iterator[str]:
    """Address of a server that a proxy serves under two other names, with its token."""
    with serving("--allow-host", "photos.example.org", "--allow-host", "http://nas.lan:81") as own:
        yield own


OUTSIDE = (
    ("photos.example.org", "https://photos.example.org"),
    ("nas.lan:81", "http://nas.lan:81"),
)


@pytest.mark.parametrize(("host", "origin"), OUTSIDE)
def test_an_allowed_name_needs_the_token_although_the_server_is_of_this_machine(
    proxied_site: str, host: str, origin: str
) -> None:
    site, _, token = proxied_site.partition("/?token=")
    assert site.startswith("http://127.0.0.1:")
    assert len(token) >= 32
    for name in (host, urlsplit(site).netloc):
        assert ask(site, "GET", "/", {"Host": name})[0] == 401
        assert ask(site, "GET", "/api/v1/collection", {"Host": name})[0] == 401
        assert ask(site, "POST", "/api/v1/uploads", {"Host": name} | MEANT, b"x")[0] == 401
        assert handshake(site, Host=name) == 403
    bearer = f"Bearer {token}"
    assert ask(site, "GET", "/ready", {"Host": host, "Authorization": bearer})[0] == 200
    assert handshake(site, Host=host, Origin=origin, Authorization=bearer) == 101


@pytest.mark.parametrize(("host", "origin"), OUTSIDE)
def test_pages_at_an_allowed_name_are_those_of_its_scheme_and_port_alone(
    proxied_site: str, host: str, origin: str
) -> None:
    site, _, token = proxied_site.partition("/?token=")
    own = {"Host": host, "Authorization": f"Bearer {token}"}
    change = "POST", "/api/v1/uploads"
    assert ask(site, *change, own | {"Origin": origin}, b"x")[0] == 201
    scheme, _, name = origin.partition("://")
    for other in (
        f"{'http' if scheme == 'https' else 'https'}://{name}",
        f"{scheme}://{name.partition(':')[0]}:8081",
        f"{scheme}://x.{name}",
        f"{scheme}://{name}.evil.example",
        "https://evil.example",
        site,
        "null",
    ):
        assert ask(site, *change, own | {"Origin": other}, b"x")[0] == 403, other
        assert handshake(site, Host=host, Origin=other, Authorization=own["Authorization"]) == 403
    crossed = own | {"Sec-Fetch-Site": "same-site"} | MEANT  # a page of another name beside it
    assert ask(site, *change, crossed, b"x")[0] == 403


def test_what_is_not_allowed_is_still_refused_whatever_a_proxy_says(proxied_site: str) -> None:
    site, _, token = proxied_site.partition("/?token=")
    told = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Host": "photos.example.org",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=photos.example.org;proto=https",
    }
    for host in (
        "evil.example",
        "example.org",
        "x.photos.example.org",
        "photos.example.org.evil.example",
        "photos.example.org@evil.example",
        "nas",
        "192.0.2.1",
        "",
    ):
        assert ask(site, "GET", "/ready", told | {"Host": host})[0] == 421, host
        assert handshake(site, Host=host, Authorization=told["Authorization"]) == 403
    here = told | {
        "Origin": "https://photos.example.org"
    }  # of one that is allowed, asked as another
    assert ask(site, "POST", "/api/v1/uploads", here, b"x")[0] == 403


def test_the_cookie_of_a_secure_name_is_secure_and_of_that_name_alone(proxied_site: str) -> None:
    site, _, token = proxied_site.partition("/?token=")
    cookies = {}
    for host in ("photos.example.org", "nas.lan:81", urlsplit(site).netloc):
        _, headers, _ = ask(site, "GET", f"/?token={token}", {"Host": host})
        cookies[host], *attributes = headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
        assert ("Secure" in attributes) == (host == "photos.example.org")
    assert len(set(cookies.values())) == 3
    for host, cookie in cookies.items():
        for other in cookies:
            status = ask(site, "GET", "/ready", {"Host": other, "Cookie": cookie})[0]
            assert status == (200 if other == host else 401)


def test_the_addresses_at_allowed_names_are_printed_with_the_token() -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "--port", "0"]
    command += ["--allow-host", "Photos.Example.Org.", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline().strip() for _ in range(2)]
        finally:
            server.kill()
    assert lines[0].startswith("http://127.0.0.1:")
    assert lines[1] == f"https://photos.example.org/?token={TOKEN}"


def test_what_is_no_name_is_not_allowed() -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "--port", "0", "--allow-host", "*"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "a host that is allowed must be a name" in ended.stderr


def test_a_guard_does_not_allow_other_hosts_without_a_token() -> None:
    with pytest.raises(ValueError, match="token"):
        Guard(FastAPI(), allowed=["https://photos.example.org"])


# ---- 40: too much, too slow, too many


def test_40_a_body_that_is_too_large_is_refused_before_it_comes(album_site: str) -> None:
    with raw(album_site) as connection:
        connection.sendall(
            b"POST /api/v1/search/picture HTTP/1.1\r\nHost: localhost\r\nX-Lookalike-Request: 1\r\n"
            b"Content-Length: 9999999999\r\n\r\n"
        )
        assert said(connection).startswith(b"HTTP/1.1 413")


def test_40_a_body_without_end_is_refused_when_it_is_too_large(album_site: str) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    sent = 0
    with raw(album_site) as connection:
        connection.sendall(
            b"POST /api/v1/search/picture HTTP/1.1\r\nHost: localhost\r\nX-Lookalike-Request: 1\r\n"
            b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with contextlib.suppress(ConnectionError):
            while sent < 200:
                connection.sendall(chunk)
                sent += 1
    assert 64 <= sent < 100  # of 1 MiB, as far as buffers hide that nobody listens any more
    assert ask(album_site, "GET", "/ready")[0] == 200


def test_40_headers_and_addresses_have_a_length(album_site: str) -> None:
    assert ask(album_site, "GET", "/" + "x" * 10_000)[0] == 414
    assert ask(album_site, "GET", "/", {"X": "x" * 40_000})[0] == 431
    assert ask(album_site, "GET", "/", {f"X-{number}": "1" for number in range(150)})[0] == 431


def test_40_who_says_nothing_is_not_waited_for(album_site: str) -> None:
    with raw(album_site) as silent, raw(album_site) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")
        started = time.monotonic()
        assert said(silent).startswith(b"HTTP/1.1 408")
        assert said(slow).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 20


def test_40_many_connections_are_refused_and_leave_no_trace(digits_site: str) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(raw(digits_site)) for _ in range(520)]
        many[-1].settimeout(5)
        assert said(many[-1]).startswith(b"HTTP/1.1 503")
    time.sleep(0.5)
    assert ask(digits_site, "GET", "/ready")[0] == 200


@pytest.mark.parametrize("k", ["0", "-1", "1001", "1e9", "99999999999999999999", "nan", "x"])
def test_40_k_is_bounded(album_site: str, k: str) -> None:
    listed = json.loads(ask(album_site, "GET", f"{PICTURES}?count=1")[2])["pictures"]
    status, _, _ = ask(album_site, "GET", f"{PICTURES}/{listed[0]['id']}/similar?k={k}")
    assert status == 422


# ---- 41: names and words of pictures


EVIL = (
    "<img src=x onerror=window.ran=1>.jpg",
    "<script>window.ran=1<\u2215script>.jpg",
    "{{constructor.constructor('window.ran=1')()}}.jpg",
    "${window.ran=1}`.jpg",
    "=cmd|' -C calc'!A0.jpg",
    "'-window.ran=1-'.jpg",
    '"><svg onload=window.ran=1>.jpg',
    "javascript:window.ran=1.jpg",
)


@pytest.fixture(scope="module")
def evil_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Pictures that are named and described to do harm, not synced before."""
    folder = tmp_path_factory.mktemp("evil") / "<img src=x onerror=window.ran=1>"
    folder.mkdir()
    picture = Image.linear_gradient("L").rotate(30).convert("RGB")
    for number, name in enumerate(EVIL):
        exif = Image.Exif()
        for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298):
            exif[tag] = "<script>window.ran=1</script><img src=x onerror=window.ran=1>"
        picture.resize((300 + number, 280)).save(folder / name, exif=exif)
        (folder / f"copy of {number}").mkdir()
        shutil.copy(folder / name, folder / f"copy of {number}" / name)
    (folder / "script.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran=1"><script>1</script></svg>'
    )
    shutil.copy(folder / "script.svg", folder / "<b onclick=window.ran=1>.png")
    with serving(str(folder)) as address:
        yield address


@pytest.mark.parametrize("path", PAGES)
def test_41_nothing_runs_that_a_picture_is_named(browser: Any, evil_site: str, path: str) -> None:
    listed = json.loads(ask(evil_site, "GET", f"{PICTURES}?count=200")[2])["pictures"]
    assert len(listed) == len(EVIL)
    with opened(browser) as tab:
        for query in ("", f"?id={listed[0]['id']}"):
            tab.goto(evil_site + path + query)
            tab.get_by_role("heading").or_(tab.get_by_role("link")).first.wait_for()
            tab.wait_for_timeout(1500)
            assert tab.evaluate("window.ran") is None
            assert tab.locator("img[src=x], svg[onload], [onerror], [onclick]").count() == 0


def test_41_a_page_of_the_album_shows_the_names_as_text(browser: Any, evil_site: str) -> None:
    with opened(browser) as tab:
        tab.goto(evil_site + "/duplicates")
        tab.get_by_text("onerror=window.ran=1").first.wait_for()


def test_41_pictures_are_no_documents(evil_site: str) -> None:
    listed = json.loads(ask(evil_site, "GET", f"{PICTURES}?count=200")[2])["pictures"]
    for one in listed:
        for what in ("file", "thumbnail"):
            status, headers, body = ask(evil_site, "GET", f"{PICTURES}/{one['id']}/{what}")
            assert status == 200
            assert headers["content-type"] == "image/jpeg"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["content-security-policy"].endswith("; sandbox")
            assert what == "file" or b"<script>" not in body


def test_41_svg_is_no_picture(evil_site: str) -> None:
    body = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.ran=1</script></svg>'
    for kind in ("image/svg+xml", "image/png", "application/octet-stream"):
        headers = MEANT | {"Content-Type": kind}
        status, _, answered = ask(evil_site, "POST", "/api/v1/search/picture", headers, body)
        assert status in (415, 422)
        assert b"<script>" not in answered
        status, headers, answered = ask(evil_site, "POST", "/api/v1/uploads", headers, body)
        assert status in (201, 415, 422)
        if status == 201:  # kept, and looked at when it is searched for
            kept = json.loads(answered)["id"]
            status, headers, _ = ask(evil_site, "GET", f"/api/v1/uploads/{kept}")
            assert "svg" not in headers["content-type"]
            assert "html" not in headers["content-type"]


# ---- 42: errors


def test_42_errors_tell_nothing_of_this_machine(album_site: str, demo_album: Path) -> None:
    for method, path, body in (
        ("GET", "/nothing", None),
        ("GET", "/api/v1/nothing", None),
        ("GET", "/_nicegui/3.18.0/static/nothing", None),
        ("GET", "/_nicegui/3.18.0/libraries/nothing", None),
        ("GET", "/static/nothing", None),
        ("GET", "/static", None),
        ("GET", f"{PICTURES}/0000000000000000", None),
        ("GET", f"{PICTURES}/zzz/file", None),
        ("GET", "/?id=zzz", None),
        ("GET", "/how?id=0000000000000000", None),
        ("DELETE", "/", b""),
        ("POST", "/api/v1/search/picture", b"no picture"),
        ("POST", "/api/v1/search/vector", b"{"),
        ("POST", "/api/v1/search/vector", b'{"vector": ["/etc"], "encoder": "/etc/passwd"}'),
        ("POST", "/_nicegui/client/x/upload/1", b"x"),
        ("POST", "/_nicegui_ws/socket.io/?EIO=4&transport=polling&sid=x", b"x"),
    ):
        headers = MEANT | {"Content-Type": "application/json"}
        status, answered, told = ask(album_site, method, path, headers, body)
        assert status < 500, (path, status)
        text = told.decode(errors="replace")
        for secret in (*SECRETS, str(demo_album), str(demo_album.parent), sys.prefix):
            assert secret not in text, (path, secret)
        assert "server" not in answered


def test_42_a_page_that_fails_does_not_tell_why() -> None:
    """In a process of its own: NiceGUI has one application."""
    program = """
import asyncio, sys
import httpx
from nicegui import ui
from lookalike.web.digits import DigitsCollection
from lookalike.web.server import application
from lookalike.web.site import Site

@ui.page("/fails")
async def fails():
    raise OSError(2, "no such file", "/home/somebody/secret")

@ui.page("/fails-at-once")
def fails_at_once():
    raise OSError(2, "no such file", "/home/somebody/secret")

async def main():
    app = application(Site(DigitsCollection()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in ("/fails", "/fails-at-once"):
                response = await client.get(path)
                print(response.status_code, response.text)
    import os
    sys.stdout.flush()
    os._exit(0)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.count("500 ") == 2, (done.stdout, done.stderr)
    for secret in ("secret", "OSError", "Traceback", "no such file"):
        assert secret not in done.stdout


# ---- policy


@pytest.mark.parametrize("path", [*PAGES, "/nothing"])
def test_every_page_has_a_policy_that_names_nobody_else(album_site: str, path: str) -> None:
    _, headers, body = ask(album_site, "GET", path)
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"https?:|wss?:|\*", headers["content-security-policy"])
    assert "'unsafe-inline'" not in policy["script-src"]
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy["script-src"])
    scripts = re.findall(rb"<script[^>]*>", body)
    inline = [one for one in scripts if b" src=" not in one]
    assert all(f'nonce="{nonce}"'.encode() in one for one in inline)
    assert inline or path == "/nothing"


def test_the_number_of_the_scripts_is_never_the_same(album_site: str) -> None:
    policies = {ask(album_site, "GET", "/")[1]["content-security-policy"] for _ in range(5)}
    assert len(policies) == 5


def test_every_answer_has_the_headers_of_safety(album_site: str) -> None:
    answers = [
        ask(album_site, "GET", "/"),
        ask(album_site, "GET", "/nothing"),
        ask(album_site, "GET", "/api/v1/collection"),
        ask(album_site, "GET", "/openapi.json"),
        ask(album_site, "GET", "/_nicegui/3.18.0/static/nicegui.js"),
        ask(album_site, "GET", "/", {"Host": "evil.example"}),
        ask(album_site, "POST", "/"),
        ask(album_site, "GET", "/" + "x" * 10_000),
    ]
    for status, headers, _ in answers:
        assert headers["x-content-type-options"] == "nosniff", status
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "geolocation=()" in headers["permissions-policy"]
        assert "server" not in headers


def test_a_script_that_gets_into_a_page_does_not_run(browser: Any, album_site: str) -> None:
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.goto(album_site)
    page.wait_for_timeout(500)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = 1";
            document.body.append(script);
            const holder = document.createElement("div");
            holder.innerHTML = "<img src=x onerror='window.ran = 2'>";
            document.body.append(holder);
        }"""
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in one for one in refused)
    page.close()


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_under_their_policy_and_ask_nobody_else(
    browser: Any, album_site: str, path: str
) -> None:
    with opened(browser) as tab:  # fails for what the console says, and for other machines
        tab.goto(album_site + path)
        tab.get_by_role("link").first.wait_for()
        tab.wait_for_timeout(1000)


# ---- ends


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_the_server_at_once_whoever_listens(
    demo_album: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "lookalike", "serve", str(demo_album), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        site = server.stdout.readline().strip().rstrip("/")
        with raw(site) as events, raw(site) as idle, raw(site) as socketed:
            host = b" HTTP/1.1\r\nHost: localhost\r\n"
            events.sendall(b"GET /api/v1/sync/events" + host + b"\r\n")
            assert b"200" in events.recv(1000)
            idle.sendall(
                b"POST /api/v1/search/picture" + host + b"X-Lookalike-Request: 1\r\nContent-Type: "
                b"image/jpeg\r\nContent-Length: 10\r\n\r\nx"
            )
            socketed.sendall(
                b"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket" + host + b"Connection: "
                b"Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b"101" in socketed.recv(1000)
            started = time.monotonic()
            server.send_signal(number)
            assert server.wait(20) == code
            assert time.monotonic() - started < 10  # about one; machines may be busy
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()
