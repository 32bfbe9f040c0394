"""The guard: stands around page and API, and lets nothing through that others have arranged.

What every program has to know that talks to it:

- **Changes** (every method but GET, HEAD and OPTIONS) must carry the header
  ``X-Lookalike-Request: 1``, or the ``Origin`` of the page itself, which browsers add on their own,
  or ``Authorization: Bearer TOKEN``. It suffices: a page of somebody else can make a browser send
  forms, and those cannot have headers of their own; a script may add one only after the browser
  has asked for permission (CORS), which is never given.
- **Origin**, where there is one, must be the address that was asked, in every request and for the
  websocket; ``Sec-Fetch-Site`` must not be another site, except to follow a link to a page.
- **Host** must be a name of this machine, or one that is allowed: names that somebody else makes
  point here are refused (see names.py).
- **A token**, when the server has one, must come as ``Authorization: Bearer``, or as the cookie
  that ``/?token=TOKEN`` sets.
- **Scripts in pages**: files that are served, or those of NiceGUI's template, which carry the
  number of the response (see nonces.py). ``<script>`` and ``onclick=`` elsewhere do not run.

A plain request costs some microseconds: its headers are looked through once, nothing is parsed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.limits import LIMITS, Limits
from lookalike.web.names import Names, Place
from lookalike.web.nonces import NONCE, Nonce

__all__ = ["HEADERS", "Guard", "policy"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
_LOOKED_AT = frozenset(
    {
        b"authorization",
        b"content-length",
        b"cookie",
        b"host",
        b"origin",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"x-forwarded-prefix",
        b"x-lookalike-request",
    }
)
_Asked = dict[bytes, bytes]
_equal = hmac.compare_digest

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        b"magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    ),
)
_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_FORM_ONLY = _NOTHING.replace(b"form-action 'none'", b"form-action 'self'")
_DATA = (*HEADERS, (b"content-security-policy", _NOTHING + b"; sandbox"))  # opened by themselves


def policy(nonce: str) -> bytes:
    """The Content-Security-Policy of a page: see docs/adr/0011.

    Parameters
    ----------
    nonce : str
        Of this response: inline scripts that have it may run.
    """
    return (
        "default-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).encode()


class _Refusal(Exception):
    """Why a request goes no further."""

    def __init__(self, status: int, title: str, detail: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers


def _read(scope: Scope) -> _Asked:
    """The headers that are looked at; one that the application must not see is taken out."""
    asked: _Asked = {}
    for name, value in scope["headers"]:
        if name not in _LOOKED_AT:
            continue
        if name not in asked:
            asked[name] = value
        elif name == b"cookie":
            asked[name] += b"; " + value
        else:
            raise _Refusal(
                400,
                "A header came twice",
                f"a request must have one header {name.decode()}; got two. Leave one out.",
            )
    if b"x-forwarded-prefix" in asked:  # NiceGUI would write it into the page
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"x-forwarded-prefix"]
    return asked


class Guard:
    """Stands around an application.

    Parameters
    ----------
    app : ASGI application
    limits : Limits
    host : str
        At which the server listens.
    token : str, optional
        Without it nobody gets in who is not asked for it.
    allowed : sequence of str
        Origins at which a reverse proxy serves the same, as :func:`~lookalike.web.names.origin_of`
        writes them. A proxy is on this machine, and whom it lets in is not: there must be a token.

    Raises
    ------
    ValueError
        When origins are allowed without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits = LIMITS,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        if allowed and token is None:
            raise ValueError("other hosts must not be allowed without a token")
        self.app = app
        self._limits = limits
        self._names = Names(host, allowed)
        self._token = None if token is None else token.encode()
        self._cookie_value = _cookie_of(token) if token is not None else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            asked = self._check(scope)
        except _Refusal as refusal:
            await _refuse(scope, send, refusal)
            return
        if kind == "websocket":
            await self.app(scope, receive, send)
            return
        nonce = Nonce()
        NONCE.set(nonce)
        guarded = _Sender(send, nonce)
        if asked is not None:
            receive = _Body(receive, guarded, self._limits, asked).receive
        await self.app(scope, receive, guarded)

    # ---- what comes

    def _check(self, scope: Scope) -> int | None:
        """Refuse a request, or say how long its body is: -1 is not known, None is without."""
        asked = _read(scope)
        host, origin = asked.get(b"host"), asked.get(b"origin")
        place = self._names.place(host)
        if host is None or place is None:
            raise _other_name()
        if place.is_secure:  # what browsers see, whatever way the proxy comes
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        if origin is not None or asked.get(b"sec-fetch-site", b"none") not in _OWN_SITES:
            _check_origin(scope, place, asked)
        if self._token is not None:
            self._check_token(scope, host, place, asked)
        if scope["type"] == "websocket":
            return None
        if scope["method"] not in _SAFE_METHODS:
            self._check_meant(asked)
        if b"transfer-encoding" in asked:
            return -1
        length = asked.get(b"content-length")
        return None if length is None else self._check_length(length)

    def _check_meant(self, asked: _Asked) -> None:
        """Refuse changes that forms of others can make; who has come here with a token is known."""
        known = self._token is not None and b"authorization" in asked
        if not (known or asked.get(b"x-lookalike-request") or b"origin" in asked):
            raise _Refusal(
                403,
                "A change must say that it is meant",
                "a change must carry the header X-Lookalike-Request: 1, which pages of others "
                "cannot add; this request has none. Add it.",
            )

    def _check_length(self, length: bytes) -> int:
        size = int(length) if length.isdigit() and len(length) < 20 else -1
        if size > self._limits.body_bytes or len(length) >= 20:
            raise _too_large(self._limits)
        return size

    # ---- the token

    def _check_token(self, scope: Scope, host: bytes, place: Place, asked: _Asked) -> None:
        assert self._token is not None
        bearer = asked.get(b"authorization")
        if bearer is not None:  # a wrong one is not made good by a cookie: changes rely on it
            if bearer[:7].lower() == b"bearer " and _equal(bearer[7:].strip(), self._token):
                return
        elif _equal(_cookie_in(asked.get(b"cookie", b""), _cookie_name(host)), self._cookie_value):
            return
        if b"token=" in scope.get("query_string", b"") and scope["type"] == "http":
            given = parse_qs(scope["query_string"], max_num_fields=8).get(b"token", [b""])[0]
            if scope["method"] == "GET" and _equal(given, self._token):
                raise _Refusal(200, "", "", (b"set-cookie", self._cookie(host, place)))
        raise _Refusal(
            401,
            "A token is needed",
            "a request must carry the token that the server has printed, as Authorization: Bearer "
            "TOKEN or by opening /?token=TOKEN once; this one has none, or another.",
            (b"www-authenticate", b"Bearer"),
        )

    def _cookie(self, host: bytes, place: Place) -> bytes:
        own = _cookie_name(host) + b"=" + self._cookie_value
        return own + b"; Path=/; HttpOnly; SameSite=Strict" + b"; Secure" * place.is_secure


def _cookie_of(token: str) -> bytes:
    """What the cookie holds: not the token, and the same after a restart with the same one."""
    return hmac.digest(token.encode(), b"cookie of lookalike", "sha256").hex().encode()


def _cookie_name(host: bytes) -> bytes:
    """Cookies know no ports: servers side by side must not overwrite each other's."""
    return b"lookalike-" + hashlib.sha256(host).hexdigest()[:8].encode()


def _cookie_in(cookies: bytes, name: bytes) -> bytes:
    for one in cookies.split(b";"):
        key, _, value = one.strip().partition(b"=")
        if key == name:
            return value
    return b""


def _check_origin(scope: Scope, place: Place, asked: _Asked) -> None:
    """Refuse what pages of others have made a browser send; to follow a link is allowed."""
    origin, site = asked.get(b"origin"), asked.get(b"sec-fetch-site")
    if origin is not None and origin.lower() not in place.origins:
        raise _other_origin()
    followed = (
        asked.get(b"sec-fetch-mode") == b"navigate"
        and scope.get("method") in ("GET", "HEAD")
        and origin is None
    )
    if site is not None and site not in _OWN_SITES and not followed:
        raise _other_origin()


def _other_name() -> _Refusal:
    """Whoever makes a name of theirs point here would be the same origin as the page."""
    return _Refusal(
        421,
        "This server has another name",
        "the header Host must be a name of this machine, as localhost, or one that is allowed; got "
        "another. Use the address that the server has printed, or start it with --allow-host.",
    )


def _other_origin() -> _Refusal:
    return _Refusal(
        403,
        "Another page has sent this",
        "a request must come from the page itself, or from no page; this one comes from a page of "
        "another origin. Open the page at the address that the server has printed.",
    )


def _too_large(limits: Limits) -> _Refusal:
    return _Refusal(
        413,
        "Too large",
        f"the body of a request must have at most {limits.body_bytes:,} bytes; this one has more. "
        "Send less.",
        (b"connection", b"close"),
    )


# ---- what is answered


class _Sender:
    """Adds the headers of safety to a response; after a refusal, drops what still comes."""

    __slots__ = ("_nonce", "_send", "refused", "started")

    def __init__(self, send: Send, nonce: Nonce) -> None:
        self._send, self._nonce = send, nonce
        self.started = self.refused = False

    async def __call__(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = self._safe(message.get("headers", ()))
        await self._send(message)

    def _safe(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        kept, page = [], False
        for one in headers:
            name = one[0].lower()
            if name == b"content-type":
                page = one[1][:9].lower() == b"text/html"
            elif name in _OURS or name.startswith(b"access-control-"):
                continue
            kept.append(one)
        if page:
            kept += HEADERS
            kept.append((b"content-security-policy", policy(self._nonce.text)))
        else:
            kept += _DATA
        return kept


_OURS = frozenset({name for name, _ in HEADERS} | {b"content-security-policy", b"server"})


class _Body:
    """Counts the bytes of a body, and its seconds."""

    __slots__ = ("_ends", "_left", "_limits", "_receive", "_send", "_whole")

    def __init__(self, receive: Receive, send: _Sender, limits: Limits, length: int) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        self._left = limits.body_bytes
        self._whole = length == 0
        self._ends = time.monotonic() + limits.body_s

    async def receive(self) -> Message:
        """The next part, if it is small enough and comes early enough."""
        if self._send.refused:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._ends - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            return await self._refused(_too_slow(self._limits))
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        if self._left < 0:
            return await self._refused(_too_large(self._limits))
        return message

    async def _refused(self, refusal: _Refusal) -> Message:
        """Answer at once; the application is told that nobody is there any more."""
        if not self._send.started:
            for message in _messages(refusal):
                await self._send(message)
        self._send.refused = True
        return {"type": "http.disconnect"}


def _too_slow(limits: Limits) -> _Refusal:
    return _Refusal(
        408,
        "Too slow",
        f"the body of a request must have come after {limits.body_s:g} s; this one has not. Send "
        "less, or faster.",
        (b"connection", b"close"),
    )


def _messages(refusal: _Refusal) -> tuple[Message, Message]:
    """A refusal as problem (RFC 9457)."""
    problem = {
        "type": f"urn:problem-type:lookalike:{refusal.title.lower().replace(' ', '-')}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
    }
    return _answer(refusal, json.dumps(problem).encode(), b"application/problem+json")


def _answer(refusal: _Refusal, body: bytes, kind: bytes) -> tuple[Message, Message]:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    return (
        {"type": "http.response.start", "status": refusal.status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


async def _refuse(scope: Scope, send: Send, refusal: _Refusal) -> None:
    """Answer in the place of the application."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.title})
        return
    if refusal.status in _PAGES and not scope["path"].startswith("/api/"):
        messages = _answer(refusal, _PAGES[refusal.status], b"text/html; charset=utf-8")
    else:
        messages = _messages(refusal)
    start, body = messages
    start["headers"] += [*HEADERS, (b"content-security-policy", _FORM_ONLY)]
    await send(start)
    await send(body)


# A redirect would lose the cookie when the address was opened from the page of a mail: browsers
# keep cookies that are strict out of what another site has begun. A page that goes on by itself
# begins anew, and its address, with the token, does not stay in the history.
_PAGES = {
    200: b'<!doctype html><html lang="en"><meta charset="utf-8"><title>lookalike</title>'
    b'<meta http-equiv="refresh" content="0;url=/"><a href="/">Go on</a></html>',
    401: b'<!doctype html><html lang="en"><meta charset="utf-8">'
    b'<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
    b'content="light dark"><title>lookalike</title><h1>A token is needed</h1>'
    b"<p>It stands in the address that <code>lookalike serve</code> has printed.</p>"
    b'<form action="/"><label>Token <input type="password" name="token" autofocus '
    b'autocomplete="off"></label> <button>Open</button></form></html>',
}
