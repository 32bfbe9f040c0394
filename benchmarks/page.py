"""The page Duplicates with 10,000 groups: how long until it is there, and how large it is.

Prints the section "The page" of ``docs/benchmarks.md``. Needs Chromium and Playwright, which the
tests need too. Pictures are made on the spot: small ones, each twice.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import web
from PIL import Image
from playwright.sync_api import sync_playwright

from lookalike.album import Album


def write_pairs(folder: Path, count: int) -> None:
    """Write pictures, each in two folders."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        buffer = io.BytesIO()
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        for place in ("one", "other"):
            path = folder / place / f"{number // 1000:02}" / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(buffer.getvalue())


def seconds_until(tab: Any, address: str, shown: str) -> float:
    """From asking for an address until something of it, and all its pictures, are shown."""
    start = time.perf_counter()
    tab.goto(address)
    tab.locator(shown).first.wait_for()
    tab.wait_for_load_state("networkidle")
    return time.perf_counter() - start - 0.5  # that "networkidle" waits for silence


def measure(folder: Path, count: int) -> None:
    """Open the page as a user would, and print how it went."""
    with web.serving(folder, 0) as (port, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 860})
        site = f"http://127.0.0.1:{port}"
        times = {
            "the album, before": seconds_until(tab, f"{site}/album", ".lk-figures"),
            "the first 20 groups, which are computed then": seconds_until(
                tab, f"{site}/duplicates?level=exact", ".lk-group"
            ),
            "the next 20": seconds_until(
                tab, f"{site}/duplicates?level=exact&first=20", ".lk-group"
            ),
            "the last 20": seconds_until(
                tab, f"{site}/duplicates?level=exact&first={count - 20}", ".lk-group"
            ),
        }
        nodes = tab.evaluate("document.querySelectorAll('*').length")
        before = tab.locator(".lk-group").first.get_attribute("data-group")
        start = time.perf_counter()
        tab.get_by_role("button", name="Keep all").first.click()
        tab.wait_for_selector(f'[data-group="{before}"]', state="detached")
        times["a decision, until its group is gone"] = time.perf_counter() - start
        print(
            f"## The page\n\n{count:,} groups of two pictures each; Chromium and the server on "
            "one machine.\n\n| what | seconds |\n|---|---:|"
        )
        for name, value in times.items():
            print(f"| {name} | {value:.2f} |")
        print(
            f"\nThe page has {nodes:,} elements, however many groups there are. Memory of the "
            f"server: {web.memory_mb(process):,.0f} MB."
        )
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="groups")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder), given.count)
        with Album(folder, encoders=("pdq", "phash")) as album:
            album.sync()
        measure(Path(folder), given.count)


if __name__ == "__main__":
    main()
