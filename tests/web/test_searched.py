"""How a search goes, beside a comparison with every vector: of every kind of index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.index import Index
from lookalike.web.searched import searched

RNG = np.random.default_rng(8)
CENTRES = RNG.integers(40, 200, (40, 16))
BYTES = np.clip(CENTRES[RNG.integers(0, 40, 9_000)] + RNG.normal(0, 12, (9_000, 16)), 0, 255)
BYTES = BYTES.astype(np.uint8)
KINDS: dict[str, dict[str, Any]] = {
    "exact": {"metric": "l1", "recall": 1.0},
    "cells": {"metric": "l2", "recall": 0.9},
    "tables": {"metric": "l1", "bits": 48, "tables": 1},
    "multi_index": {"metric": "hamming"},
}


@pytest.mark.parametrize("engine", KINDS)
def test_what_comparing_with_all_finds_is_what_is_nearest(engine: str) -> None:
    index = Index(**KINDS[engine])
    index.add(BYTES)
    assert index.plan.engine == engine
    own = searched("encoder", index, BYTES[3], 12, None, 10.0)
    if engine == "multi_index":
        distances = np.bitwise_count(BYTES ^ BYTES[3]).sum(1).astype(float)
    else:
        differences = np.abs(BYTES.astype(float) - BYTES[3])
        distances = differences.sum(1) if engine != "cells" else np.sqrt((differences**2).sum(1))
    order = np.lexsort((np.arange(len(BYTES)), distances))[:12]
    assert own.exact_ids == tuple(order.tolist())
    assert own.exact_distances == pytest.approx(distances[order])
    assert own.exact_microseconds > 0
    within = own.explanation.hits.distances <= own.exact_distances[-1]
    assert own.recall == np.count_nonzero(within) / 12
