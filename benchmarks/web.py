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
def serving(folder: Path, core: int) -> Iterator[tuple[int, int]]:
    """A server on one core: its port, and the number of its process."""
    command = [sys.executable, "-m", "lookalike", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        ["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        try:
            yield int(address.rpartition(":")[2]), server.pid
        finally:
            server.terminate()


class Client:
    """One connection, one request at a time."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host, self._reader, self._writer = f"127.0.0.1:{port}", reader, writer

    @classmethod
    async def open(cls, port: int) -> Client:
        """Connect."""
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(head[9:12]), await self._reader.readexactly(length)


def similar(id: str) -> str:
    """The address of a search by member id."""
    return f"/api/v1/pictures/{id}/similar?k={K}&recall={RECALL}"


async def flat_out(port: int, ids: Sequence[str], seconds: float) -> Load:
    """Several connections, each of which asks again as soon as it was answered."""
    waits: list[float] = []
    wrong = 0
    until = time.perf_counter() + seconds

    async def ask(own: Sequence[str]) -> None:
        nonlocal wrong
        client = await Client.open(port)
        for number in own:
            sent = time.perf_counter()
            if sent > until:
                return
            status, _ = await client.get(similar(number))
            waits.append(time.perf_counter() - sent)
            wrong += status != 200

    started = time.perf_counter()
    await asyncio.gather(*(ask(ids[part::CONNECTIONS]) for part in range(CONNECTIONS)))
    took = time.perf_counter() - started
    return Load(len(waits) / took, np.array(waits) * 1e3, wrong)


async def on_schedule(port: int, ids: Sequence[str], a_second: float, seconds: float) -> Load:
    """Requests at a fixed rate; each waits from when it was due."""
    clients: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(4 * CONNECTIONS):
        clients.put_nowait(await Client.open(port))
    waits: list[float] = []
    wrong = 0

    async def ask(id: str, due: float) -> None:
        nonlocal wrong
        client = await clients.get()
        status, _ = await client.get(similar(id))
        waits.append(time.perf_counter() - due)
        wrong += status != 200
        clients.put_nowait(client)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(a_second * seconds)):
            due = started + number / a_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(ask(ids[number % len(ids)], due))
    took = time.perf_counter() - started
    return Load(len(waits) / took, np.array(waits) * 1e3, wrong)


async def reached(port: int, album: Album, ids: Sequence[str]) -> float:
    """Recall of the answers, beside a comparison with every picture."""
    index = album.index("pixels")
    everything, found = np.ones(len(index), bool), []
    index.search(index.vectors(index.ids[:1]), K, where=everything)  # the first takes seconds
    client = await Client.open(port)
    for name in ids:
        _, body = await client.get(similar(name))
        distances = np.array([hit["distance"] for hit in json.loads(body)["hits"]])
        own = int(name, 16)
        vector = index.vectors([own])[0]
        exact = index.search(vector, K + 1, where=everything)
        last = exact.distances[exact.ids != own][K - 1]
        found.append(np.count_nonzero(distances <= last) / K)
    return float(np.mean(found))


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(own.split()[1]) for own in lines if own.startswith("VmRSS")) / 1024


def processor_s(process: int) -> float:
    """Seconds that a process has used: what it takes, however busy the machine is."""
    used = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, seconds: float, soak_s: float) -> None:
    """Serve an album, and print what a client sees."""
    album = Album(folder)
    (rows,) = (album.catalog.ask("SELECT id FROM contents ORDER BY id"),)
    ids = [f"{own:016x}" for (own,) in rows]
    ids = [ids[own] for own in np.random.default_rng(0).permutation(len(ids))]
    *_, last = sorted(os.sched_getaffinity(0))
    with serving(folder, last) as (port, process):
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {last} or {last})
        asyncio.run(flat_out(port, ids, 3.0))  # the index is calibrated by its first search
        before = processor_s(process)
        most = asyncio.run(flat_out(port, ids, seconds))
        used_us = (processor_s(process) - before) / len(most.waits_ms) * 1e6
        half = asyncio.run(on_schedule(port, ids, most.a_second / 2, seconds))
        recall = asyncio.run(reached(port, album, ids[:SAMPLED]))
        print(
            f"## The server\n\n{len(ids):,} pictures of 28 x 28, encoder pixels (L1, 1,024 "
            f"numbers), {K} results,\nrecall {RECALL} asked for, {recall:.4f} reached by {SAMPLED} "
            "answers. Server and client on one core each,\nover loopback.\n\n"
            "| load | requests a second | wait, ms: median | 99 % | 99.9 % | wrong answers |\n"
            "|---|---:|---:|---:|---:|---:|"
        )
        print(_row(f"{CONNECTIONS} connections, flat out", most))
        print(_row("on a schedule, half of that", half))
        print(f"\nThe server uses {used_us:,.0f} us of a processor for one search.")
        if soak_s:
            _soak(port, process, ids, most.a_second / 2, soak_s)


def _row(name: str, load: Load) -> str:
    median, slow, slowest = np.percentile(load.waits_ms, [50, 99, 99.9])
    return (
        f"| {name} | {load.a_second:,.0f} | {median:.1f} | {slow:.1f} | {slowest:.1f} "
        f"| {load.wrong} |"
    )


def _soak(port: int, process: int, ids: Sequence[str], a_second: float, seconds: float) -> None:
    """Ask for minutes: nothing is lost, and memory does not grow."""
    before = memory_mb(process)
    load = asyncio.run(on_schedule(port, ids, a_second, seconds))
    after = memory_mb(process)
    print(_row(f"the same for {seconds:,.0f} s", load))
    print(
        f"\nMemory of the server {before:,.0f} MB before the {seconds:,.0f} s, {after:,.0f} after."
    )
    assert load.wrong == 0, "some answers were none"
    assert len(load.waits_ms) == int(a_second * seconds), "answers were lost"
    assert after < before + 50, "memory grows"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60_000, help="pictures")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds at half load, at the end")
    parser.add_argument("--album", type=Path, help="one that is there already")
    given = parser.parse_args()
    if given.album is not None:
        measure(given.album, given.seconds, given.soak)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), given.count)
        Album(folder, encoders=("pixels",)).sync()
        measure(Path(folder), given.seconds, given.soak)


if __name__ == "__main__":
    main()
