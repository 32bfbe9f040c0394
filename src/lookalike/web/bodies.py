"""Bodies: what is served, as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from lookalike.album.matches import path_dict
from lookalike.web.collection import Found, Hit, Item, Searched, text_of

__all__ = [
    "found_body",
    "item_body",
    "json_bytes",
    "json_response",
    "searched_bodies",
    "searched_body",
]

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_MEDIA_TYPE = "application/json"


def json_bytes(body: Any) -> bytes:
    """A body as JSON: infinity and NaN, which JSON does not know, are null."""
    try:
        return orjson.dumps(body, option=_OPTIONS)
    except orjson.JSONEncodeError:  # half of a surrogate pair, as file names may have
        return orjson.dumps(_plain(body), option=_OPTIONS)


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A body as a response."""
    return Response(json_bytes(body), status, headers, _MEDIA_TYPE)


def _plain(value: Any) -> Any:
    """A value whose texts can be written in UTF-8."""
    if isinstance(value, str):
        return _readable(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return value


def _readable(text: str) -> str:
    try:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode(errors="replace").decode()


def item_body(item: Item) -> dict[str, Any]:
    """A picture."""
    return {
        "id": item.id,
        "title": item.title,
        "files": [path_dict(os.fsencode(path)) for path in item.files],
        "width": item.width,
        "height": item.height,
        "size_bytes": item.size_bytes,
        "format": item.format,
        "taken": item.taken,
        "label": item.label,
    }


def _hit_body(hit: Hit) -> dict[str, Any]:
    return {
        "picture": item_body(hit.item),
        "distance": hit.distance,
        "encoder": hit.encoder,
        "nearness": hit.nearness,
        "orientation": hit.orientation,
        "why": hit.why,
    }


def found_body(found: Found) -> dict[str, Any]:
    """The answer of a search."""
    return {
        "hits": [_hit_body(hit) for hit in found.hits],
        "notes": found.notes,
        "microseconds": found.microseconds,
    }


def searched_body(own: Searched) -> dict[str, Any]:
    """How one index was searched."""
    explained = own.explanation.to_dict()
    found = own.explanation.hits
    return {
        "encoder": own.encoder,
        "metric": own.metric,
        "plan": explained["plan"],
        "size": explained["size"],
        "steps": explained["steps"],
        "hits": [{"id": text_of(near), "distance": distance} for near, distance in found],
        "exact": {
            "microseconds": own.exact_microseconds,
            "ids": [text_of(near) for near in own.exact_ids],
        },
        "recall": own.recall,
        "promised": own.promised,
        "similar": own.similar,
    }


def searched_bodies(searches: Sequence[Searched]) -> dict[str, Any]:
    """How all indexes were searched."""
    return {"searches": [searched_body(own) for own in searches]}
