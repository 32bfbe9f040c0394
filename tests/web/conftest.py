"""Servers that run as users start them, and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lookalike import Album
from lookalike.demo.pictures import write_pictures
from lookalike.web.album import AlbumCollection
from lookalike.web.site import Site

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_START_S = 60
SCREENS = Path(os.environ.get("LOOKALIKE_SCREENS", "build/screens"))


def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; in a thread of its own: that of a browser has a loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@contextlib.contextmanager
def serving(*arguments: str, before: str = "pass") -> Iterator[str]:
    """A server, as a program of its own; its address, without a slash at the end.

    It runs some code first.
    """
    code = f"{before}\nfrom lookalike.__main__ import main\nmain()"
    command = [sys.executable, "-c", code, "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            assert address.startswith("http://"), f"no address: {address!r}"
            yield address.rstrip("/")
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                raise


# Lets the first file of an act go, and each later one wait for as long as there is a gate.
_GATED = """
import os, time
from pathlib import Path
from lookalike.album import acting, undoing

Path(os.environ["GATE"]).with_name("server.pid").write_text(str(os.getpid()))

def gated(function):
    calls = []
    def own(*arguments):
        calls.append(1)
        while len(calls) > 1 and Path(os.environ["GATE"]).exists():
            time.sleep(0.01)
        return function(*arguments)
    return own

acting.trash.move_to_trash = gated(acting.trash.move_to_trash)
undoing.move = gated(undoing.move)
"""


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While it is there, a gated server moves one file and then waits."""
    own = tmp_path / "gate"
    own.touch()
    monkeypatch.setenv("GATE", str(own))
    return own


@pytest.fixture
def gated_site(
    own_album: Path, gate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """A gated server with an album that may be changed, and a trash of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with serving(str(own_album), before=_GATED) as address:
        yield address
        gate.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def demo_album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album of the demonstration: 52 files, never changed by a test."""
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    write_pictures(folder)
    with Album(folder, encoders=("pdq", "phash")) as album:
        album.sync()
    return folder


@pytest.fixture
def own_album(demo_album: Path, tmp_path: Path) -> Path:
    """A copy of it, for tests that change it."""
    return Path(shutil.copytree(demo_album, tmp_path / "pictures"))


@pytest.fixture(scope="module")
def site(demo_album: Path) -> Iterator[Site]:
    """What a server has of the album of the demonstration, in this process."""
    site = Site(AlbumCollection(Album(demo_album)))
    yield site
    site.close()


@pytest.fixture(scope="session")
def album_site(demo_album: Path) -> Iterator[str]:
    """Address of a server with the album of the demonstration."""
    with serving(str(demo_album)) as address:
        yield address


@pytest.fixture(scope="session")
def digits_site() -> Iterator[str]:
    """Address of a server with the digits."""
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    if _CHROMIUM is None:
        if os.environ.get("LOOKALIKE_CI"):
            pytest.fail("Chromium is not installed, and CI must have it")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab of 1280 x 800, in which nothing may go wrong and no request leaves the machine."""
    with opened(browser) as page:
        yield page


@contextlib.contextmanager
def opened(
    browser: Any, *, width: int = 1280, height: int = 800, dark: bool = False
) -> Iterator[Any]:
    """A tab; errors of scripts and requests to other machines fail the test."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            wrong.append(request.url)
            if not request.url.startswith(
                ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
            )
            else None
        ),
    )
    try:
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def check_accessible(tab: Any) -> None:
    """Fail for what axe finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = [
        (own["id"], [node["html"][:200] for node in own["nodes"]][:3])
        for own in Axe().run(tab).response["violations"]
        if own["impact"] in ("serious", "critical")
    ]
    assert not found, found


@pytest.fixture(scope="session")
def screen() -> Callable[[Any, str], None]:
    """Keep a picture of a tab, by a name."""

    def keep(page: Any, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENS / f"{name}.png", full_page=True)

    return keep
