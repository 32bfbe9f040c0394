"""The shortcut: searches by member id that are asked for plainly are answered at once.

They are what programs ask for by the thousand, and the way through the framework costs several
times what the search does. Only what can be read without a doubt is answered here, exactly as the
route of :mod:`lookalike.web.api.searches` does, which describes it; all else, and whatever could
be wrong, goes there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.errors import LookalikeError
from lookalike.web.api.asked import DEFAULT_K
from lookalike.web.bodies import found_body, json_bytes
from lookalike.web.collection import Query
from lookalike.web.problems import answer, problem_of, request_id_of
from lookalike.web.site import Site

__all__ = ["SIMILAR", "Shortcut"]

SIMILAR: Final = "/pictures/{id}/similar"
_PATH = re.compile(r"/api/v1/pictures/([0-7][0-9a-f]{15})/similar")
_COUNTED = SimpleNamespace(path_format="/api/v1" + SIMILAR)  # as which metrics count it
_READ: Mapping[bytes, tuple[re.Pattern[bytes], Callable[[bytes], Any]]] = {
    b"k": (re.compile(rb"[1-9][0-9]{0,5}"), int),
    b"recall": (re.compile(rb"0\.[0-9]{0,8}[1-9]"), float),
    b"encoder": (re.compile(rb"[a-z][a-z0-9]{0,31}"), bytes.decode),
}


@functools.lru_cache(256)
def _plain(query: bytes) -> dict[str, Any] | None:
    """What is asked for, by the names of :class:`Query`; None unless all of it is plain."""
    asked: dict[str, Any] = {}
    for part in query.split(b"&") if query else ():
        name, _, value = part.partition(b"=")
        pattern, read = _READ.get(name, (None, None))
        if pattern is None or read is None or not pattern.fullmatch(value):
            return None
        if name.decode() in asked:
            return None
        asked[name.decode()] = read(value)
    return asked


class Shortcut:
    """Stands around an application, within what gives requests their ids and counts them.

    Parameters
    ----------
    app : ASGI application
        Which answers the same, and all else.
    site : Site
    hidden : sequence of str
        As for :func:`~lookalike.web.problems.answer`.
    """

    def __init__(self, app: ASGIApp, site: Site, hidden: Sequence[str] = ()) -> None:
        self._app, self._site, self._hidden = app, site, hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a search, or let it through."""
        query = self._query(scope)
        if query is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _COUNTED
        try:
            body = await self._found(query)
        except LookalikeError as error:
            told = answer(problem_of(error), request_id_of(scope), self._hidden)
            await told(scope, receive, send)
            return
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _query(self, scope: Scope) -> Query | None:
        """The search that a request asks for, if it does so plainly."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        found = _PATH.fullmatch(scope["path"])
        asked = _plain(scope["query_string"]) if found is not None else None
        if found is None or asked is None:
            return None
        most = self._site.limits.k
        k = asked.get("k", min(DEFAULT_K, most))
        if k > most:
            return None
        return Query(id=found[1], k=k, recall=asked.get("recall"), encoder=asked.get("encoder"))

    async def _found(self, query: Query) -> bytes:
        """The body of the answer."""
        kind = query.k, query.recall, query.encoder
        body = await self._site.work.run_each(kind, self._answers, query)
        self._site.metrics.searched("id")
        return body

    def _answers(self, queries: Sequence[Query]) -> list[bytes]:
        found = self._site.collection.search_each(queries)
        return [json_bytes(found_body(own)) for own in found]
