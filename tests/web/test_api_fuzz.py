"""Requests that nobody would think of, made of the description of the API: none breaks it."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lookalike import Album
from lookalike.web.album import AlbumCollection
from lookalike.web.digits import DigitsCollection
from lookalike.web.server import application
from lookalike.web.site import Site

_EXAMPLES = 3
_HEADERS = {"X-Lookalike-Request": "1"}
_ENDLESS = {"/api/v1/sync/events"}  # told of by tests of its own
# The description cannot know which encoders an album has, or which bytes are a picture.
_EXCLUDED = [positive_data_acceptance]
load_all_checks()


def _served(site: Site) -> Iterator[Any]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = application(site, page=False)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield schemathesis.openapi.from_url(f"{address}/openapi.json")
        finally:
            server.should_exit = True
            thread.join()
            site.close()


@pytest.fixture(scope="module")
def album_schema(demo_album: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    own = shutil.copytree(demo_album, tmp_path_factory.mktemp("fuzzed") / "pictures")
    yield from _served(Site(AlbumCollection(Album(own))))


@pytest.fixture(scope="module")
def digits_schema() -> Iterator[Any]:
    yield from _served(Site(DigitsCollection()))


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("what", ["album_schema", "digits_schema"])
def test_no_request_breaks_the_api(
    what: str, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    schema = request.getfixturevalue(what)
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in _ENDLESS and (mode.is_positive or _can_be_wrong(operation)):
            asked.add(operation.path)
            _ask(operation, mode)
    assert len(asked) > 8


def _can_be_wrong(operation: Any) -> bool:
    """Whether a request may have anything that could be wrong."""
    return bool(list(operation.iter_parameters()) or list(operation.body))


def _ask(operation: Any, mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(headers=_HEADERS, excluded_checks=_EXCLUDED)

    ask()
