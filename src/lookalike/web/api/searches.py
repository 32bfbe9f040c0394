"""Routes: searches, and how they go."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.errors import InvalidInput
from lookalike.web.api.asked import (
    PICTURE_BODY,
    asked_encoder,
    asked_id,
    asked_k,
    asked_recall,
    picture_of,
)
from lookalike.web.api.schemas import FoundBody, SearchesBody, VectorBody
from lookalike.web.api.shortcut import SIMILAR
from lookalike.web.bodies import found_body, json_response, searched_bodies
from lookalike.web.collection import Query
from lookalike.web.site import Site

__all__ = ["add"]


def add(router: APIRouter, site: Site) -> None:
    """Add these routes."""
    work, own, most = site.work, site.collection, site.limits.k

    async def searched(query: Query, by: str) -> Response:
        found = await work.run(own.search, query)
        site.metrics.searched(by)
        return json_response(found_body(found))

    async def how(query: Query) -> Response:
        return json_response(searched_bodies(await work.run(own.how, query)))

    @router.get(SIMILAR, response_model=FoundBody)
    async def similar(
        id: str = asked_id(),
        k: int = asked_k(most),
        encoder: str | None = asked_encoder(),
        flips: bool = False,
        rotations: bool = False,
        recall: float | None = asked_recall(),
    ) -> Response:
        """The pictures that look most like one of the collection."""
        query = Query(id=id, k=k, encoder=encoder, flips=flips, rotations=rotations, recall=recall)
        return await searched(query, "id")

    @router.post("/search/picture", response_model=FoundBody, openapi_extra=PICTURE_BODY)
    async def search_picture(
        request: Request,
        k: int = asked_k(most),
        encoder: str | None = asked_encoder(),
        flips: bool = False,
        rotations: bool = False,
        recall: float | None = asked_recall(),
    ) -> Response:
        """The pictures that look most like one that is sent."""
        data = await picture_of(request)
        query = Query(
            picture=data, k=k, encoder=encoder, flips=flips, rotations=rotations, recall=recall
        )
        return await searched(query, "picture")

    @router.post("/search/vector", response_model=FoundBody)
    async def search_vector(body: VectorBody) -> Response:
        """The pictures whose vectors are nearest to one that is sent."""
        if body.k > most:
            raise InvalidInput(f"k must be from 1 to {most:,}; got {body.k:,}. Ask for fewer.")
        vector = np.asarray(body.vector, np.float64)
        query = Query(vector=vector, k=body.k, encoder=body.encoder, recall=body.recall)
        return await searched(query, "vector")

    @router.get("/pictures/{id}/how", response_model=SearchesBody)
    async def how_by_id(
        id: str = asked_id(),
        k: int = asked_k(most),
        encoder: str | None = asked_encoder(),
        recall: float | None = asked_recall(),
    ) -> Response:
        """How that search goes in each index, beside a comparison with every vector."""
        return await how(Query(id=id, k=k, encoder=encoder, recall=recall))

    @router.post("/how/picture", response_model=SearchesBody, openapi_extra=PICTURE_BODY)
    async def how_by_picture(
        request: Request,
        k: int = asked_k(most),
        encoder: str | None = asked_encoder(),
        recall: float | None = asked_recall(),
    ) -> Response:
        """How a search for a picture that is sent goes."""
        data = await picture_of(request)
        return await how(Query(picture=data, k=k, encoder=encoder, recall=recall))
