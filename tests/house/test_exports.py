"""``__all__`` says what a module offers, no more and no less."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import lookalike

MODULES = [
    module.name
    for module in pkgutil.walk_packages(lookalike.__path__, "lookalike.")
    if not module.name.endswith(("_core", "__main__")) and not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_all_equals_the_public_names_defined_there(name: str) -> None:
    module = importlib.import_module(name)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name
    }
    declared = set(module.__all__)
    assert defined <= declared | _commands(module), defined - declared
    for key in declared:
        assert hasattr(module, key)
    assert len(declared) == len(module.__all__)


def _commands(module: object) -> set[str]:
    """Functions that the command line registers are reached through it."""
    return {"demo", "info", "lab", "main"} if getattr(module, "app", None) is not None else {"main"}


def test_the_package_offers_exactly_what_it_says() -> None:
    for name in lookalike.__all__:
        assert hasattr(lookalike, name)  # loads it
    public = {
        key
        for key, value in vars(lookalike).items()
        if not key.startswith("_") and (getattr(value, "__module__", None) or "") in MODULES
    }
    assert public | {"__version__"} == set(lookalike.__all__)
    assert set(lookalike.__all__) <= set(dir(lookalike))
    assert not hasattr(lookalike, "index_named_otherwise")


@pytest.mark.parametrize("name", [n for n in lookalike.__all__ if not n.startswith("_")])
def test_every_public_name_is_documented(name: str) -> None:
    assert getattr(lookalike, name).__doc__
