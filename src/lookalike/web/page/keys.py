"""The keys of a page, in a small list that opens with a question mark."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from lookalike.web.page.parts import button, tag

__all__ = ["keys_dialog"]


def keys_dialog(keys: Mapping[str, str]) -> ui.dialog:
    """A list of keys that can be opened.

    Parameters
    ----------
    keys : mapping of str to str
        What each does, by its name.
    """
    with ui.dialog() as dialog, tag("div", classes="lk-dialog lk-narrow"):
        dialog.props["aria-label"] = "Keys"
        tag("h2", "Keys")
        with tag("dl", classes="lk-keys"):
            for key, does in keys.items():
                with tag("div"):
                    with tag("dt"):
                        tag("kbd", key)
                    tag("dd", does)
        button("Close", dialog.close)
    return dialog
