"""The server: searches by member id over loopback, alone and at half of what it can do.

Prints the section "The server" of ``docs/benchmarks.md``. An album of the 60,000 training pictures
of Fashion-MNIST is written and synced; the server is a program of its own on one core, the client
on the other. At half load requests are sent on a schedule, whether or not others were answered:
a wait counts from when the request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lookalike.album import Album
from lookalike.datasets import fashion_mnist

RECALL, K, CONNECTIONS = 0.95, 10, 8
SAMPLED = 500  # members whose exact neighbours are compared with


class Load(NamedTuple):
    """What a client has seen.

    Attributes
    ----------
    a_second : float
        Answers.
    waits_ms : ndarray
        Of each request.
    wrong : int
        Answers that were none.
    """

    a_second: float
    waits_ms: np.ndarray
    wrong: int


def write_pictures(folder: Path, count: int) -> None:
    """Write pictures of clothes as PNG, a thousand in a folder."""
    for number, image in enumerate(fashion_mnist("train").images[:count]):
        path = folder / f"{number // 1000:02}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


@contextlib.contextmanager
def serving(folder: Path, core: int) -> Iterator[tuple[str, int]]:
    """A server on one core: its host and port."""
    command = [sys.executable, "-m", "lookalike", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        try:
            host, _, port = address.removeprefix("http://").rpartition(":")
            yield host, int(port), server.pid
        finally:
            server.terminate()


class Client:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(head[9:12]), await self._reader.readexactly(length)
