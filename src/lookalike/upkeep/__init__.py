"""The upkeep of an index on a disk: what is there, whether it is as it was written, mending it."""

from __future__ import annotations

from lookalike.upkeep.description import Description, describe
from lookalike.upkeep.repair import Repaired, repair
from lookalike.upkeep.verification import Verified, verify

__all__ = ["Description", "Repaired", "Verified", "describe", "repair", "verify"]
