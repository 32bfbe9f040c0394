"""The frame of the page."""

from __future__ import annotations

from typing import Any


def test_the_page_says_what_is_served(tab: Any, album_site: str) -> None:
    tab.goto(album_site)
    tab.get_by_text("pictures").first.wait_for()
