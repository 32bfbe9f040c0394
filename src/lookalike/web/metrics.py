"""Metrics for Prometheus: of one site, not of the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.web.site import Site

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What a site counts."""

    def __init__(self, site: Site) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lookalike_requests",
            "Requests that were answered",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds",
            "From a request to the end of its answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._searches = Counter(
            "lookalike_searches", "Searches, by what was given", ("by",), registry=self._registry
        )
        self._searched = {by: self._searches.labels(by) for by in ("id", "picture", "vector")}
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._registry.register(_State(site))

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended."""
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        known = self._answered.get((route, method, status))
        if known is None:  # there are as many as routes have statuses
            count, times = self._requests.labels(route, method, str(status)), self._seconds
            known = self._answered[route, method, status] = (count, times.labels(route))
        known[0].inc()
        known[1].observe(seconds)

    def searched(self, by: str) -> None:
        """A search has ended well."""
        self._searched[by].inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)


def _route_of(scope: Scope) -> str:
    """The template of a route: addresses themselves are without number."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return str(path) if path else "other"


class _State(Collector):
    """What is true now, looked at when it is asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        site = self._site
        try:
            pictures = len(site.collection)
        except LookalikeError:
            pass  # /ready says what is the matter
        else:
            yield _gauge("lookalike_pictures", "Pictures that are served", pictures)
        yield _gauge(
            "lookalike_work_under_way", "Calls that are at work or wait", site.work.under_way
        )
        if site.collection.kind == "album":
            state = site.syncing.state()
            yield _gauge("lookalike_sync_running", "Whether a sync is running", state.is_running)
            yield _gauge("lookalike_sync_looked", "Files that it has looked at", state.looked)
            yield _gauge("lookalike_sync_read", "Files that it has read", state.read)
            yield _gauge("lookalike_sync_to_read", "Files that it has to read", state.to_read or 0)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
