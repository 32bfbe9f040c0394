"""Worker processes that read and encode pictures, on all cores.

A picture that crashes its decoder, hangs it, or takes all memory costs itself and a worker, which
another one replaces. Workers are programs of their own (:mod:`lookalike.pictures.worker`), started
when there is something to do; they inherit no open file and die with this process.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Self

from lookalike.errors import InvalidInput, LookalikeError
from lookalike.pictures.encoders import encoder_named
from lookalike.pictures.jobs import Code, Job, Outcome, Status
from lookalike.pictures.process import Worker
from lookalike.pictures.read import LIMITS, Limits
from lookalike.pictures.wire import (
    READY,
    Breach,
    Form,
    facts_in,
    frame_in,
    most_bytes,
    must,
    outcome_in,
    stamp_in,
)
from lookalike.pictures.worker import ready_encoders

__all__ = ["Code", "Job", "Outcome", "Pool"]

_FAILED_STARTS = 3  # in a row
_START_S = 60.0
_TICK_S = 1.0
_GONE_S = 5.0
_MEMORY_BYTES = 4 << 30


class Pool:
    """Worker processes that read and encode pictures.

    Parameters
    ----------
    encoders : sequence of str
        Specifications, as :func:`lookalike.pictures.encoders.encoder_named` takes them.
    workers : int, optional
        The most processes; by default as many as there are cores that this process may use.
    timeout_s : float
        What a file may take, in seconds; then its worker is killed.
    limits : Limits
        What a picture may have.
    memory_bytes : int
        What a worker may take.

    Raises
    ------
    InvalidInput
        When there is no encoder of a name.

    Notes
    -----
    To be used by one thread at a time, and closed: it is a context manager.
    """

    def __init__(
        self,
        encoders: Sequence[str],
        *,
        workers: int | None = None,
        timeout_s: float = 60.0,
        limits: Limits = LIMITS,
        memory_bytes: int = _MEMORY_BYTES,
    ) -> None:
        if not (workers is None or workers >= 1):
            raise InvalidInput(f"workers must be 1 or more, or None for all cores; got {workers}")
        if not 0.0 < timeout_s < math.inf:
            raise InvalidInput(f"timeout_s must be above 0, in seconds; got {timeout_s}")
        self._forms = {name: Form.of(encoder_named(name)) for name in encoders}
        self._is_checked = False
        self._most_workers = workers or len(os.sched_getaffinity(0))
        self._timeout_s = timeout_s
        self._begin = _first_message(list(self._forms), limits, memory_bytes)
        self._workers: list[Worker] = []
        self._ended: list[subprocess.Popen[bytes]] = []  # killed, and perhaps not gone yet
        self._again: deque[Job] = deque()  # of workers that were lost, behind what lost them
        self._numbers = itertools.count()
        self._failed_starts = 0
        self._running = False
        self._clock_s = 0.0
        self._looked_s = time.monotonic()
        self._end = weakref.finalize(self, _end_all, self._workers, self._ended, os.getpid())

    def outcomes(self, jobs: Iterable[Job]) -> Generator[Outcome]:
        """Read and encode files.

        Parameters
        ----------
        jobs : iterable of Job
            Pulled one by one, no more than two for each worker ahead of the outcomes.

        Yields
        ------
        Outcome
            Exactly one of each job, as they are ready: in no order.

        Raises
        ------
        MissingExtra
            When reading or an encoder needs a package that is not installed.
        LookalikeError
            When no worker can be started.
        """
        if self._running or not self._end.alive:
            state = "at work already" if self._running else "closed"
            raise InvalidInput(f"a pool must be open and idle to be given jobs; it is {state}")
        self._running = True
        pull = iter(jobs)
        try:
            self._hand_out(pull)
            self._check()
            while any(worker.jobs for worker in self._workers):
                done = self._listen()
                self._hand_out(pull)  # before the caller has its turn: workers never wait for it
                yield from done
        finally:
            self._abandon()
            self._running = False

    def _check(self) -> None:
        """Raise what an encoder lacks, which workers could only tell as text.

        They start meanwhile: both take as long as it takes to load the encoders' packages.
        """
        if self._workers and not self._is_checked:
            ready_encoders(list(self._forms))
            self._is_checked = True
            self._looked_s = time.monotonic()  # no decoder is to blame for that time

    def close(self) -> None:
        """End all workers, whatever they do."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hand_out(self, pull: Iterator[Job]) -> None:
        """Give workers what they have room for; start them as there are jobs for them."""
        while len(self._workers) < self._most_workers or self._least_busy().has_room:
            job = self._again.popleft() if self._again else next(pull, None)
            if job is None:
                return
            self._worker_for_next().give(next(self._numbers), job, self._clock_s)

    def _least_busy(self) -> Worker:
        return min(self._workers, key=lambda worker: len(worker.jobs))

    def _worker_for_next(self) -> Worker:
        full = len(self._workers) >= self._most_workers
        if self._workers and (full or not self._least_busy().jobs):
            return self._least_busy()
        try:
            self._workers.append(Worker(self._begin, self._clock_s))
        except OSError as error:
            if not self._workers:
                raise _cannot_start(str(error)) from error
            self._most_workers = len(self._workers)  # as many as there may be
            return self._least_busy()
        return self._workers[-1]

    def _listen(self) -> list[Outcome]:
        """Wait until something happens, and see to it."""
        ready = self._wait()
        done: list[Outcome] = []
        for worker in list(self._workers):
            if worker in ready:
                done += self._hear(worker)
            if worker in self._workers and self._left_s(worker) <= 0:
                status: Status = (
                    "lost" if worker.read else "refused"
                )  # by its decoder, or by a disk
                done += self._lose(worker, status, f"takes longer than {self._timeout_s:g} s")
        return done

    def _wait(self) -> set[Worker]:
        with selectors.PollSelector() as selector:
            for worker in self._workers:
                selector.register(worker.channel, worker.awaits, worker)
            wait_s = min(_TICK_S, *map(self._left_s, self._workers))
            ready = {key.data for key, _ in selector.select(max(wait_s, 0.0))}
        now_s = time.monotonic()
        # Where the caller takes long over an outcome, or all was suspended, no decoder is to blame.
        self._clock_s += min(now_s - self._looked_s, _TICK_S)
        self._looked_s = now_s
        return ready

    def _left_s(self, worker: Worker) -> float:
        """What remains to a worker for what it does."""
        if worker.is_ready and not worker.jobs:
            return math.inf
        may_take_s = self._timeout_s if worker.is_ready else _START_S
        return worker.since_s + may_take_s - self._clock_s

    def _hear(self, worker: Worker) -> list[Outcome]:
        done: list[Outcome] = []
        try:
            is_open = worker.exchange()
            while (body := frame_in(worker.received, most_bytes(self._forms))) is not None:
                done += self._understand(worker, body)
        except Breach as breach:
            return done + self._lose(worker, "lost", f"the decoder gave {breach}")
        return done if is_open else done + self._lose(worker, *worker.ending())

    def _understand(self, worker: Worker, body: bytes) -> list[Outcome]:
        """Check an answer, and take from it what can be."""
        facts, vectors = facts_in(body)
        if not worker.is_ready:
            must(facts == READY, "start", facts)
            worker.is_ready, worker.since_s, self._failed_starts = True, self._clock_s, 0
            return []
        must(worker.jobs and facts.get("job") == worker.jobs[0].number, "job", facts.get("job"))
        job = worker.jobs[0].job
        if "status" not in facts:
            must(not worker.read, "order", "a file that was read twice")
            worker.read = stamp_in(facts)
            must(worker.read, "digest", None)
            worker.tell(is_known=worker.read["digest"] in job.known)
            return []
        outcome = outcome_in(facts, vectors, job, self._forms)
        if outcome.status == "known":
            must(job.digest_only or worker.may_know, "status", "known")
        worker.next(self._clock_s)
        return [outcome]

    def _lose(self, worker: Worker, status: Status, reason: str) -> list[Outcome]:
        """End a worker: what it was at is lost, what waited behind goes to others."""
        self._workers.remove(worker)
        jobs = [given.job for given in worker.jobs]
        said = worker.end(self._ended)
        if not worker.is_ready:
            self._again.extend(jobs)
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise _cannot_start(said or reason)
            return []
        self._again.extend(jobs[1:])
        return [Outcome(job, status, reason, **worker.read) for job in jobs[:1]]

    def _abandon(self) -> None:
        """Forget what was not answered: the caller wants no more, or all is answered."""
        self._again.clear()
        for worker in [worker for worker in self._workers if worker.jobs]:
            self._workers.remove(worker)
            worker.end(self._ended)


def _end_all(workers: list[Worker], ended: list[subprocess.Popen[bytes]], owner: int) -> None:
    """Kill them all, and wait until they are gone."""
    if os.getpid() != owner:
        return  # a fork: they are its parent's
    for worker in workers:
        worker.end(ended)
    workers.clear()
    until_s = time.monotonic() + _GONE_S
    for process in ended:
        # One that waits for a disk that does not answer goes when the disk does.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until_s - time.monotonic()))


def _first_message(encoders: list[str], limits: Limits, memory_bytes: int) -> bytes:
    message = {"encoders": encoders, "limits": asdict(limits), "memory_bytes": memory_bytes}
    return json.dumps(message).encode()


def _cannot_start(why: str) -> LookalikeError:
    return LookalikeError(
        f"pictures are read by worker processes, which must start; none did: {why}. "
        f"Does {sys.executable} -c 'import lookalike' run?"
    )
