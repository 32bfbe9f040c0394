"""Plans that were made for those who ask the server: remembered for a while, by id."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import NamedTuple

from lookalike.album.plan import Plan
from lookalike.web.collection import Unknown

__all__ = ["Planned", "Plans"]

_MOST = 32  # that are remembered


class Planned(NamedTuple):
    """A plan that was made here, and its id."""

    id: str
    plan: Plan


class Plans:
    """The last plans that were made. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def remember(self, plan: Plan) -> Planned:
        """Give a plan an id."""
        made = Planned(secrets.token_hex(8), plan)
        with self._lock:
            self._plans[made.id] = plan
            while len(self._plans) > _MOST:
                self._plans.popitem(last=False)
        return made

    def named(self, id: str) -> Plan:
        """The plan of an id.

        Raises
        ------
        Unknown
            When it is not remembered any more.
        """
        with self._lock:
            if id not in self._plans:
                raise Unknown(
                    f"a plan must be one that was made here; got {id[:40]!r}, which is not "
                    "remembered any more. Make it anew."
                )
            return self._plans[id]
