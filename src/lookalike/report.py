"""Reports: one HTML file that holds everything it shows.

A page is text, tables and figures. It loads nothing (no scripts, no fonts, no pictures from
elsewhere), follows the light or dark setting of the reader's system, and fits a phone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lookalike.errors import WouldOverwrite

__all__ = ["check_free", "figure", "page", "prose", "put", "section", "table", "write_page"]

_MARK = '<meta name="generator" content="lookalike">'
_POLICY = (  # whatever text of strangers might become, nothing is loaded and no script runs
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
)
_STYLE = """
:root { color-scheme: light dark; --ground: #fdfdfb; --panel: #f4f5f7; --ink: #1f2430;
  --muted: #5f6778; --faint: #dde1e9; --accent: #2563c9; --series-0: #2563c9;
  --series-1: #c2570c; --series-2: #0f8a5f; --series-3: #a83279; --series-4: #7256c7; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181e; --panel: #1d2129;
  --ink: #e6e9ef; --muted: #9aa3b5; --faint: #343b48; --accent: #7fb0ff; --series-0: #7fb0ff;
  --series-1: #f59a55; --series-2: #4fcf9f; --series-3: #ef86c4; --series-4: #b5a1f7; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem; }
p { margin: .6rem 0; max-width: 42rem; }
.subtitle { color: var(--muted); margin-top: 0; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums;
  width: 100%; }
th, td { padding: .38rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); }
th { font-weight: 600; color: var(--muted); vertical-align: bottom; font-size: .82rem;
  line-height: 1.25; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; padding-left: .4rem;
  position: sticky; left: 0; background: var(--ground); }
tr.marked td { background: var(--panel); font-weight: 600; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; max-width: 36rem; height: auto; }
figure svg text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif !important; }
figcaption, .note { color: var(--muted); font-size: .88rem; max-width: 42rem; }
@media (max-width: 30rem) { main { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.5rem; }
  table { font-size: .84rem; } th, td { padding: .35rem .45rem; } }
@media print { :root { --ground: #fff; } h2 { break-after: avoid; }
  figure { break-inside: avoid; } }
"""


def prose(*paragraphs: str, note: bool = False) -> str:
    """Return paragraphs of plain text; ``note`` sets them small."""
    kind = ' class="note"' if note else ""
    return "\n".join(f"<p{kind}>{escape(text)}</p>" for text in paragraphs)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, marked: Sequence[int] = ()) -> str:
    """Return a table whose first column names the rows.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences of str
        Each as long as ``head``.
    marked : sequence of int
        Numbers of the rows to stand out.
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = []
    for number, row in enumerate(rows):
        kind = ' class="marked"' if number in marked else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr{kind}>{cells}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def figure(svg: str, *, describes: str, caption: str) -> str:
    """Return a figure with its caption.

    Parameters
    ----------
    svg : str
        An ``<svg>`` element of our own making (see ``plots.to_svg``): it goes in unescaped.
    describes : str
        What the figure shows, for readers who cannot see it.
    caption : str
    """
    labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(describes)}"', 1)
    return f"<figure>\n{labelled}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def section(heading: str, *parts: str) -> str:
    """Return a section of parts that the functions above made."""
    return "\n".join([f"<section>\n<h2>{escape(heading)}</h2>", *parts, "</section>"])


def page(title: str, subtitle: str, *parts: str, style: str = "") -> str:
    """Return the whole page.

    Parameters
    ----------
    title, subtitle : str
    *parts : str
        Made by the functions above.
    style : str
        Style sheet of our own making for these parts: it goes in unescaped.
    """
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_MARK}\n{_POLICY}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n"
        "</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="subtitle">{escape(subtitle)}</p>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def check_free(path: Path) -> None:
    """Refuse a path that holds anything but an earlier report of ours.

    Raises
    ------
    WouldOverwrite
        When a file there was not written by lookalike, or one is in the place of a folder.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise WouldOverwrite(
            f"the report must go to a folder, new or not; got {folder}, which is a file. "
            "Move it away, or choose another folder."
        )
    if path.exists() and not (path.is_file() and _MARK.encode() in path.read_bytes()[:1024]):
        raise WouldOverwrite(
            f"the report must go to a new file or replace an earlier report; got {path}, which "
            "is something else. Move it away, or choose another folder."
        )


def write_page(path: Path, text: str) -> None:
    """Write a page, replacing an earlier report of ours and nothing else.

    The folder is made when it is missing. The file is written beside its place and then
    renamed, so an interruption leaves the earlier report whole.

    Raises
    ------
    WouldOverwrite
        When the file in the way is not a report of ours. Nothing was written.
    """
    check_free(path)
    put(path, text)


def put(path: Path, text: str) -> None:
    """Write a text, whole or not at all, in the place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sibling = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        sibling.write_text(text, encoding="utf-8", newline="")
        sibling.replace(path)
    finally:
        sibling.unlink(missing_ok=True)
