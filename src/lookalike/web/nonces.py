"""Nonces: which inline scripts of a page are those of its template.

The number is written into the template's own ``<script>`` tags before anything else is filled in. A
script that gets into a page by another way does not have it, and does not run.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import Any

__all__ = ["NONCE", "Nonce", "number_scripts"]

_SCRIPT = re.compile(r"<script(?=[\s>])")
_TEMPLATE = "index.html"


class Nonce:
    """The number of one response, drawn when somebody asks for it."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = ""

    @property
    def text(self) -> str:
        """The number; the same each time."""
        if not self._text:
            self._text = secrets.token_urlsafe(16)
        return self._text


NONCE: ContextVar[Nonce] = ContextVar("NONCE")


def number_scripts() -> None:
    """Let the template of NiceGUI's pages write the number of the response into its scripts."""
    from jinja2 import FunctionLoader  # noqa: PLC0415  # with NiceGUI, which is slow to load
    from nicegui.client import templates  # noqa: PLC0415

    environment: Any = templates.env
    found = environment.loader.get_source(environment, _TEMPLATE)[0]
    numbered = _SCRIPT.sub('<script nonce="{{ nonce() }}"', found)
    environment.globals["nonce"] = lambda: NONCE.get(Nonce()).text
    environment.loader = FunctionLoader({_TEMPLATE: numbered}.get)
    if environment.cache is not None:
        environment.cache.clear()
