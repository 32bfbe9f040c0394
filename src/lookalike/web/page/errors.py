"""Pages for what is not there, or goes wrong: they say so, and nothing of this machine."""

from __future__ import annotations

import sys
import traceback

import nicegui
from fastapi import Request
from starlette.responses import HTMLResponse, Response

__all__ = ["add_error_pages"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; margin: 15vh auto; padding: 0 1.5rem }}
main {{ max-width: 34rem; margin: auto }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<p><a href="/">Back to the search</a></p>
</main>
</body>
</html>
"""
_MISSING = _PAGE.format(
    title="There is nothing here", text="This address leads to no page. It may be mistyped."
)
_WRONG = _PAGE.format(
    title="Something went wrong",
    text="This page met a mistake of ours. What happened stands where the server was started.",
)


def add_error_pages() -> None:
    """Show these in the place of NiceGUI's, which tell what the error says."""

    @nicegui.app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return HTMLResponse(_MISSING, 404)

    @nicegui.app.exception_handler(Exception)
    async def wrong(request: Request, error: Exception) -> Response:  # noqa: ARG001
        traceback.print_exception(error, file=sys.stderr)
        return HTMLResponse(_WRONG, 500)
