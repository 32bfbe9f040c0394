"""Take the pictures that the documents show of page and report: a real server, a real browser.

Needs Chromium and Playwright, which the tests need too.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from lookalike.demo.pictures import write_pictures

FOLDER = Path(__file__).parent
SIZE = {"width": 1280, "height": 860}


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "lookalike", "serve", *arguments, "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip().rstrip("/")
        finally:
            server.send_signal(signal.SIGINT)


def search(tab: Any, site: str) -> None:
    tab.goto(site)
    tab.locator("a:has(img)").first.click()
    tab.locator(".lk-tile img").nth(5).wait_for()


def duplicates(tab: Any, site: str) -> None:
    tab.goto(f"{site}/duplicates?level=similar")
    tab.locator(".lk-group img").nth(8).wait_for()


def lab(tab: Any, site: str) -> None:
    tab.goto(f"{site}/lab")
    tab.locator("svg, canvas").first.wait_for()


def report(folder: Path, album: Path) -> Path:
    """The page that the command line writes of an album's duplicates; the server has synced it."""
    path = folder / "duplicates.html"
    command = [sys.executable, "-m", "lookalike", "duplicates", album.name, "--level", "similar"]
    subprocess.run([*command, "--report", path, "--quiet"], check=True, cwd=album.parent)
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        album = Path(folder) / "pictures"
        write_pictures(album)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for shot, arguments in ((search, (str(album),)), (duplicates, (str(album),)), (lab, ())):
            with serving(*arguments) as site:
                tab = browser.new_page(viewport=SIZE, color_scheme="light")
                shot(tab, site)
                tab.wait_for_load_state("networkidle")
                tab.wait_for_timeout(1500)  # until nothing moves any more
                tab.screenshot(path=FOLDER / f"{shot.__name__}.png")
                print(f"took {shot.__name__}.png")
                tab.close()
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(report(Path(folder), album).as_uri())
        tab.screenshot(path=FOLDER / "report.png")
        print("took report.png")
        browser.close()


if __name__ == "__main__":
    main()
