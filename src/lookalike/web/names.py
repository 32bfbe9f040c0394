"""Names: by which a server may be asked, and the origins of the pages that it serves there.

Whoever owns a name may let it point at this machine, and pages of that name are then, to a browser,
the same origin as ours (DNS rebinding): only names of this machine are answered, and those that
who has started the server has allowed. These are for a reverse proxy, which keeps the name that
it was asked by. What a proxy says beside (``X-Forwarded-...``) is not believed: anybody can.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from lookalike.errors import InvalidInput

__all__ = ["Names", "Place", "origin_of"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST = 300
_KNOWN = 64  # spellings that are kept
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*"
)
_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """What is known of one Host that may be asked for.

    Attributes
    ----------
    origins : frozenset of bytes
        Of our pages there, in lower case.
    is_secure : bool
        Whether browsers come there by https alone.
    """

    origins: frozenset[bytes]
    is_secure: bool


class Names:
    """By which a server may be asked.

    Parameters
    ----------
    host : str
        At which it listens.
    allowed : iterable of str
        Origins beside, as :func:`origin_of` writes them.
    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        own = {_plain(host), *_LOCAL}
        self._any = _is_any(host)
        if self._any:
            name = socket.gethostname().lower()
            own |= {name, f"{name}.local"}
        self._own = frozenset(own)
        self._allowed: dict[str, set[bytes]] = {}
        for origin in allowed:
            name = urlsplit(origin).hostname or ""
            self._allowed.setdefault(name, set()).add(origin.encode())
        self._known: dict[bytes, Place] = {}

    def place(self, host: bytes | None) -> Place | None:
        """Where a request with this Host is; None where it may not be."""
        if host is None or len(host) > _LONGEST:
            return None
        place = self._known.get(host)
        if place is None:
            place = self._found(host)
            if place is not None and len(self._known) < _KNOWN:
                self._known[host] = place
        return place

    def _found(self, host: bytes) -> Place | None:
        text = host.decode("latin-1")
        name = _plain(text[: text.rfind("]") + 1] if text[:1] == "[" else text.partition(":")[0])
        origins = set(self._allowed.get(name, ()))
        is_secure = bool(origins) and all(own.startswith(b"https:") for own in origins)
        if name in self._own or (self._any and _is_address(name)):
            origins |= {b"http://" + host.lower(), b"https://" + host.lower()}
            is_secure = False
        return Place(frozenset(origins), is_secure) if origins else None


def origin_of(text: str) -> str:
    """The origin of pages at a name that is allowed.

    Parameters
    ----------
    text : str
        "https://photos.example.org", with a port if it is not that of the scheme; a name alone is
        meant with https.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        name, port = _plain(parts.hostname or ""), parts.port
    except ValueError:
        raise _no_origin(text) from None
    is_name = _NAME.fullmatch(name) or _is_address(name)
    rest = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    is_plain = text.isprintable()  # what is left out of addresses in silence: line ends
    if parts.scheme not in _PORTS or not is_name or rest or not is_plain:
        raise _no_origin(text)
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}" + (
        "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    )


def _no_origin(text: str) -> InvalidInput:
    return InvalidInput(
        "a host that is allowed must be a name as browsers write it, or an address without a path; "
        f"got {text[:100]!r}. Pass for example photos.example.org, http://nas.lan or "
        "https://photos.example.org:8443."
    )


def _plain(name: str) -> str:
    return name.strip("[]").lower().rstrip(".")


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(_plain(host)).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
