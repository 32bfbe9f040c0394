"""Workers are real processes, and the pictures make them do what decoders do at their worst."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xxhash

from lookalike.errors import InvalidInput, LookalikeError
from lookalike.pictures import wire
from lookalike.pictures.pool import Code, Job, Outcome, Pool
from lookalike.pictures.read import Limits

pytestmark = pytest.mark.skipif(
    find_spec("PIL") is None and not os.environ.get("LOOKALIKE_CI"),
    reason="needs the extra 'pictures'",
)

# An encoder that does what the first pixel of a picture says; its vector tells which process did.
ODD = """
import os, signal, socket, time
import numpy as np
from lookalike.pictures.encoders import Encoded
from lookalike.pictures.wire import answer, frame

def open_files():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:
            pass  # of the listing itself
    return found

def channel():
    return socket.socket(fileno=next(k for k, v in open_files().items() if "socket:" in v))

class Odd:
    name, version, metric, dimension, options = "odd", 1, "l2", 2, {}
    near, similar = 1.0, 2.0

    def __init__(self, where=""):
        if where and os.environ.get("OMP_NUM_THREADS") == "1":
            raise RuntimeError("not in a worker")

    def encode(self, pictures):
        deed = int(pictures[0][0, 0, 0])
        vector, usable = np.array([[os.getpid(), deed]], np.float32), np.array([True])
        if 0 < deed < 65:
            os.kill(os.getpid(), deed)
        elif deed == 100:
            time.sleep(600)
        elif deed == 101:
            bytearray(3 << 30)
        elif deed == 102:
            os._exit(3)
        elif deed == 103:
            os.write(1, b"hello" * 10000)
            os.write(2, b"hello" * 10000)
        elif deed == 104:
            channel().sendall(b"\\xff" * 100_000)
        elif deed == 105:
            raise ValueError("a bug of an encoder")
        elif deed == 106:
            vector[0, 1] = np.nan
        elif deed == 107:
            vector = vector[:, :1]
        elif deed == 108:
            files = open_files()
            secret = any("kept-to-itself" in where for where in files.values())
            usable[0] = not secret and {files[i] for i in range(3)} == {"/dev/null"}
        elif deed == 109:
            channel().close()
            time.sleep(600)
        elif deed == 110:
            time.sleep(0.3)
        elif deed == 112:
            while True:
                channel().sendall(frame(answer({"job": 0, "digest": "0" * 32, "stamp": [0] * 4})))
        elif deed == 113:
            own = {"job": 0, "status": "known", "digest": "0" * 32, "stamp": [0] * 4}
            channel().sendall(frame(answer(own)))
            time.sleep(600)
        elif deed == 111:
            usable[0] = os.environ["OMP_NUM_THREADS"] == "1"
        return Encoded(vector, usable)
"""
ODD_NAME = "odd"
FINE, SLEEPS, EATS, EXITS, PRINTS, BABBLES = 0, 100, 101, 102, 103, 104
RAISES, NOT_FINITE, TOO_SHORT, LISTS_FILES, HANGS_UP, DOZES, ALONE, REPEATS, CLAIMS = range(
    105, 114
)


@pytest.fixture(autouse=True)
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put it on the path of this process by hand: workers must find it too."""
    home = tmp_path / "put: on the path"
    home.mkdir()
    (home / "odd_encoder.py").write_text(ODD)
    (home / "odd_encoder-1.dist-info").mkdir()
    (home / "odd_encoder-1.dist-info" / "entry_points.txt").write_text(
        "[lookalike.encoders]\nodd = odd_encoder:Odd\n"
    )
    monkeypatch.syspath_prepend(str(home))
    yield
    sys.modules.pop("odd_encoder", None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def picture(path: Path, deed: int = FINE) -> Path:
    """A picture of its own content, whose first pixel says what shall happen."""
    from PIL import Image

    pixels = np.frombuffer(xxhash.xxh3_128_digest(os.fsencode(path)) * 12, np.uint8)
    pixels = pixels.reshape(8, 8, 3).copy()
    pixels[0, 0, 0] = deed
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
    return path


def many(folder: Path, n: int) -> list[Job]:
    return [Job(picture(folder / f"fine {i}.png")) for i in range(n)]


def by_name(outcomes: Iterator[Outcome]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        assert outcome.job.path.name not in found
        found[outcome.job.path.name] = outcome
    return found


def run(jobs: list[Job], **options: Any) -> dict[str, Outcome]:
    options = {"workers": 2, **options}
    with Pool([ODD_NAME], **options) as pool:
        return by_name(pool.outcomes(jobs))


def one(path: Path, **options: Any) -> Outcome:
    return run([Job(path)], **options)[path.name]


def process_of(outcome: Outcome) -> int:
    return int(outcome.codes[ODD_NAME].vector[0])


def is_there(process: int) -> bool:
    """Whether a process runs: one that has ended and was not asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(processes: list[int]) -> list[int]:
    until = time.monotonic() + 20
    while any(map(is_there, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    return [process for process in processes if is_there(process)]


def test_a_picture_comes_back_with_all_that_is_known_of_it(pictures: Path) -> None:
    path = picture(pictures / "a.png")
    outcome = one(path)
    status = path.stat()
    assert outcome.status == "encoded"
    assert outcome.reason is None
    assert outcome.digest == xxhash.xxh3_128_hexdigest(path.read_bytes())
    stamp = (outcome.size, outcome.mtime_ns, outcome.ctime_ns, outcome.inode)
    assert stamp == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    assert (outcome.width, outcome.height, outcome.format) == (8, 8, "png")
    assert list(outcome.codes) == [ODD_NAME]
    assert outcome.codes[ODD_NAME].usable
    assert outcome.codes[ODD_NAME].vector.dtype == np.float32


@pytest.mark.parametrize("seed", range(2))
def test_every_job_has_exactly_one_outcome_whatever_the_files_are(
    seed: int, pictures: Path
) -> None:
    expected = {}
    whole = picture(pictures / "whole").read_bytes()
    draw = random.Random(seed)
    kinds = ["fine", "truncated", "empty", "missing", "folder", "fifo", "link", "text", "crash"]
    for i, kind in enumerate(draw.choices(kinds, [30, 5, 5, 5, 5, 5, 5, 5, 1], k=120)):
        path = pictures / f"{i}.png"
        expected[path.name] = "unreadable"
        if kind == "fine":
            expected[picture(path).name] = "encoded"
        elif kind == "truncated":
            path.write_bytes(whole[: draw.randrange(1, 60)])
        elif kind in ("empty", "text"):
            path.write_text("no picture" * (kind == "text"))
        elif kind == "missing":
            expected[path.name] = "gone"
        elif kind == "folder":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to("whole")
        else:
            expected[picture(path, signal.SIGSEGV).name] = "lost"
    found = run([Job(pictures / name) for name in expected])
    assert {name: outcome.status for name, outcome in found.items()} == expected
    assert all(bool(o.reason) == (o.status in ("unreadable", "lost")) for o in found.values())


def test_names_may_have_any_bytes(pictures: Path) -> None:
    names = [b"\xff\xfe.png", b"two\nlines.png", "\u202egnp.exe".encode(), b"x" * 251 + b".png"]
    paths = [picture(pictures / os.fsdecode(name)) for name in names]
    found = run([Job(path) for path in paths])
    assert {os.fsencode(name) for name in found} == set(names)
    assert {outcome.status for outcome in found.values()} == {"encoded"}


def test_a_relative_path_is_of_the_caller(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(pictures / "a.png")
    with Pool([ODD_NAME], workers=1) as pool:
        assert next(pool.outcomes([Job(Path("a.png"))])).status == "gone"
        monkeypatch.chdir(pictures)  # the worker stays where it was
        assert next(pool.outcomes([Job(Path("a.png"))])).status == "encoded"


def test_what_is_not_a_plain_file_is_not_opened(pictures: Path) -> None:
    (pictures / "folder").mkdir()
    os.mkfifo(pictures / "fifo")
    (pictures / "link").symlink_to(picture(pictures / "a.png"))
    (pictures / "loop").symlink_to(pictures / "loop")
    with contextlib.chdir(pictures), socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    special = [pictures / name for name in ("folder", "fifo", "link", "loop", "socket")]
    found = run([Job(path) for path in [*special, Path("/dev/zero")]])
    assert len(found) == 6
    assert {(o.status, o.reason) for o in found.values()} == {("unreadable", "not a plain file")}


def test_a_file_in_what_is_no_folder_is_gone(pictures: Path) -> None:
    assert one(picture(pictures / "a.png") / "b.png").status == "gone"


def test_an_error_of_the_disk_is_to_be_tried_again() -> None:
    outcome = one(Path("/proc/self/mem"))  # nothing is at address 0
    assert (outcome.status, outcome.reason) == ("refused", "Input/output error")


def test_a_name_that_no_disk_takes_is_refused() -> None:
    found = run([Job(Path("/tmp/" + "x" * 5000)), Job(Path("/tmp/\0"))])
    assert [outcome.status for outcome in found.values()] == ["refused", "refused"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_to_be_tried_again(pictures: Path) -> None:
    picture(pictures / "a.png").chmod(0)
    outcome = one(pictures / "a.png")
    assert (outcome.status, outcome.reason) == ("refused", "Permission denied")


def test_a_file_that_is_too_big_is_not_read(pictures: Path) -> None:
    path = picture(pictures / "a.png")
    os.truncate(path, 1 << 40)
    outcome = one(path, limits=Limits(file_bytes=1000), timeout_s=5.0)
    assert outcome.status == "unreadable"
    assert outcome.reason == "has 1,099,511,627,776 bytes, where 1,000 are the most"
    assert outcome.digest is None


def test_a_file_that_changes_while_it_is_read_is_to_be_tried_again(pictures: Path) -> None:
    path = picture(pictures / "a.png")
    os.truncate(path, 50_000_000)
    enough = threading.Event()

    def change() -> None:
        while not enough.is_set():
            os.utime(path)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        outcome = one(path)
    finally:
        enough.set()
        changing.join()
    assert (outcome.status, outcome.reason) == ("refused", "changes while it is read")
    assert (outcome.digest, outcome.size) == (None, 0)
    assert one(path).status == "encoded"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGBUS])
def test_a_picture_that_crashes_its_decoder_costs_itself_alone(
    number: signal.Signals, pictures: Path
) -> None:
    path = picture(pictures / "bad.png", number)
    jobs = many(pictures, 20)
    jobs.insert(7, Job(path))
    found = run(jobs)
    bad = found.pop("bad.png")
    assert (bad.status, bad.reason) == ("lost", f"the decoder crashed (signal {number:d})")
    assert bad.digest == xxhash.xxh3_128_hexdigest(path.read_bytes())
    assert bad.size == path.stat().st_size
    assert Counter(outcome.status for outcome in found.values()) == {"encoded": 20}


def test_nothing_but_crashes_comes_to_an_end(pictures: Path) -> None:
    jobs = [Job(picture(pictures / f"{i}.png", signal.SIGSEGV)) for i in range(8)]
    assert {outcome.status for outcome in run(jobs).values()} == {"lost"}


def test_a_decoder_that_exits_costs_itself_alone(pictures: Path) -> None:
    found = run([Job(picture(pictures / "bad.png", EXITS)), *many(pictures, 6)])
    assert found.pop("bad.png").reason == "the decoder ended (exit status 3)"
    assert {outcome.status for outcome in found.values()} == {"encoded"}


def test_a_worker_that_was_stopped_from_outside_is_no_fault_of_its_picture(pictures: Path) -> None:
    outcome = one(picture(pictures / "a.png", signal.SIGTERM))
    assert (outcome.status, outcome.reason) == ("refused", "its worker was stopped (signal 15)")


def test_workers_leave_an_interrupt_to_the_pool(pictures: Path) -> None:
    assert one(picture(pictures / "a.png", signal.SIGINT)).status == "encoded"


@pytest.mark.parametrize("deed", [SLEEPS, signal.SIGSTOP])
def test_a_picture_that_takes_too_long_is_to_be_tried_again(deed: int, pictures: Path) -> None:
    found = run([Job(picture(pictures / "bad.png", deed)), *many(pictures, 10)], timeout_s=0.7)
    bad = found.pop("bad.png")
    assert (bad.status, bad.reason) == ("lost", "takes longer than 0.7 s")
    assert bad.digest is not None
    assert Counter(outcome.status for outcome in found.values()) == {"encoded": 10}


def test_the_time_that_the_caller_takes_is_not_the_decoders(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=1, timeout_s=1.3) as pool:
        outcomes = pool.outcomes([*many(pictures, 2), Job(picture(pictures / "a.png", DOZES))])
        assert next(outcomes).status == "encoded"
        pid = pool._workers[0].process.pid
        os.kill(pid, signal.SIGSTOP)  # as a terminal does with all of them
        time.sleep(1.6)
        os.kill(pid, signal.SIGCONT)
        assert [outcome.status for outcome in outcomes] == ["encoded", "encoded"]


def test_a_picture_that_takes_too_much_memory_costs_itself_alone(pictures: Path) -> None:
    jobs = [Job(picture(pictures / "bad.png", EATS)), *many(pictures, 3)]
    found = run(jobs, workers=1, memory_bytes=1 << 30)
    bad = found.pop("bad.png")
    assert (bad.status, bad.reason) == ("unreadable", "takes more memory than 1 GiB")
    assert {outcome.status for outcome in found.values()} == {"encoded"}


def test_what_a_decoder_prints_does_not_disturb(
    pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert one(picture(pictures / "a.png", PRINTS)).status == "encoded"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("deed", "said"),
    [(BABBLES, "of 4,294,967,295 bytes"), (REPEATS, "read twice"), (CLAIMS, "status")],
)
def test_a_decoder_that_babbles_is_stopped(deed: int, said: str, pictures: Path) -> None:
    found = run([Job(picture(pictures / "bad.png", deed)), *many(pictures, 6)])
    bad = found.pop("bad.png")
    assert bad.status == "lost"
    assert str(bad.reason).startswith("the decoder gave an answer")
    assert said in str(bad.reason)
    assert {outcome.status for outcome in found.values()} == {"encoded"}


def test_a_decoder_that_hangs_up_is_stopped(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=1) as pool:
        jobs = [*many(pictures, 1), Job(picture(pictures / "bad.png", HANGS_UP))]
        found = by_name(pool.outcomes(jobs))
        assert found["bad.png"].reason == "the decoder stopped to answer"
        assert wait_until_gone([process_of(found["fine 0.png"])]) == []


@pytest.mark.parametrize(
    ("deed", "said"),
    [(RAISES, "a bug of an encoder"), (NOT_FINITE, "not finite"), (TOO_SHORT, "(1,)")],
)
def test_an_encoder_that_fails_is_no_fault_of_the_file(
    deed: int, said: str, pictures: Path
) -> None:
    outcome = one(picture(pictures / "a.png", deed))
    assert outcome.status == "refused"
    assert str(outcome.reason).startswith("odd failed on it")
    assert said in str(outcome.reason)
    assert outcome.digest is not None


def test_known_contents_are_not_encoded_again(pictures: Path) -> None:
    paths = [picture(pictures / f"{i}.png", signal.SIGSEGV) for i in range(3)]
    digests = [xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in paths]
    jobs = [
        Job(paths[0], known=frozenset(digests)),
        Job(paths[1], digest_only=True),
        Job(paths[2], known=frozenset(digests[:2])),
    ]
    found = run(jobs)
    assert [found[path.name].status for path in paths] == ["known", "known", "lost"]
    assert [found[path.name].digest for path in paths] == digests


def test_what_is_known_is_asked_when_a_content_was_read_and_not_before(pictures: Path) -> None:
    path = picture(pictures / "a.png", ALONE)
    known: set[str] = set()
    with Pool([ODD_NAME], workers=1) as pool:
        outcomes = pool.outcomes(Job(path, known=known) for _ in range(6))
        first = next(outcomes)
        known.add(str(first.digest))
        assert first.status == "encoded"
        assert [outcome.status for outcome in outcomes][-3:] == ["known"] * 3


def test_jobs_are_pulled_as_they_are_needed(pictures: Path) -> None:
    jobs = many(pictures, 40)
    pulled = 0

    def pull() -> Iterator[Job]:
        nonlocal pulled
        for i in range(2000):
            pulled += 1
            yield jobs[i % 40]

    done, most = 0, 0
    with Pool([ODD_NAME], workers=2) as pool:
        for _ in pool.outcomes(pull()):
            most = max(most, pulled - done)
            done += 1
    assert done == pulled == 2000
    assert most <= 2 * 2 * 2 + 1  # two for each worker, and as many that are being handed over


def test_there_are_no_more_workers_than_jobs(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=8) as pool:
        assert len(list(pool.outcomes([]))) == len(pool._workers) == 0
        assert len(list(pool.outcomes(many(pictures, 1)))) == len(pool._workers) == 1
        assert len(list(pool.outcomes(many(pictures, 1)))) == len(pool._workers) == 1


def test_a_pool_serves_again_and_a_caller_may_lose_interest(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=2) as pool:
        for _ in range(2):
            outcomes = pool.outcomes(many(pictures, 30))
            next(outcomes)
            outcomes.close()
        assert len(by_name(pool.outcomes(many(pictures, 30)))) == 30


def test_two_runs_at_a_time_and_a_closed_pool_are_refused(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=1) as pool:
        outcomes = pool.outcomes(many(pictures, 3))
        next(outcomes)
        with pytest.raises(InvalidInput, match="at work already"):
            next(pool.outcomes([]))
        outcomes.close()
    with pytest.raises(InvalidInput, match="it is closed"):
        next(pool.outcomes([]))


def test_an_error_of_the_jobs_leaves_the_pool_as_it_was(pictures: Path) -> None:
    def broken() -> Iterator[Job]:
        yield from many(pictures, 3)
        raise RuntimeError("the walk failed")

    with Pool([ODD_NAME], workers=2) as pool:
        with pytest.raises(RuntimeError, match="the walk failed"):
            list(pool.outcomes(broken()))
        assert len(by_name(pool.outcomes(many(pictures, 5)))) == 5


def test_closing_ends_all_workers_at_once(pictures: Path) -> None:
    with Pool([ODD_NAME], workers=2) as pool:
        jobs = [*many(pictures, 2), *(Job(picture(pictures / f"{i}", SLEEPS)) for i in range(4))]
        outcomes = pool.outcomes(jobs)
        found = [next(outcomes) for _ in range(2)]
    assert not any(map(is_there, map(process_of, found)))


def test_a_pool_that_was_forgotten_ends_its_workers(pictures: Path) -> None:
    pool = Pool([ODD_NAME], workers=1)
    (outcome,) = pool.outcomes(many(pictures, 1))
    assert is_there(process_of(outcome))
    del pool
    assert wait_until_gone([process_of(outcome)]) == []


def test_workers_inherit_no_file_and_use_one_core(pictures: Path) -> None:
    jobs = [Job(picture(pictures / "a.png", LISTS_FILES)), Job(picture(pictures / "b.png", ALONE))]
    with (pictures / "kept-to-itself").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        found = run(jobs)
    assert [outcome.codes[ODD_NAME].usable for outcome in found.values()] == [True, True]


def test_workers_that_cannot_start_are_an_error_and_not_tried_for_ever(pictures: Path) -> None:
    with (
        Pool(["odd:nowhere"], workers=2) as pool,
        pytest.raises(LookalikeError, match="none did: RuntimeError: not in a worker"),
    ):
        list(pool.outcomes(many(pictures, 5)))


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"timeout_s": 0.0}, {"timeout_s": float("nan")}]
)
def test_a_pool_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        Pool([], **options)


STAMP = [10, 20, 30, 40]
FORMS = {
    "bits": wire.Form(np.dtype(np.uint8), 32),
    "floats": wire.Form(np.dtype(np.float32), 3),
}
CODES = [Code(np.arange(32, dtype=np.uint8), True), Code(np.ones(3, np.float32), False)]
FACTS = {"job": 7, "status": "encoded", "digest": "a" * 32, "stamp": STAMP, "width": 3, "height": 4}
FACTS |= {"format": "png", "taken": None, "sharpness": 1.5}


def heard(body: bytes) -> Outcome:
    """What a pool takes from the body of a frame."""
    facts, vectors = wire.facts_in(body)
    return wire.outcome_in(facts, vectors, Job(Path("a")), FORMS)


def test_an_answer_says_what_was_answered() -> None:
    received = bytearray(wire.frame(wire.answer(FACTS, CODES)) + b"\x05\0")
    body = wire.frame_in(received, wire.most_bytes(FORMS))
    assert body is not None
    assert received == b"\x05\0"
    assert wire.frame_in(received, 100) is None
    outcome = heard(body)
    assert (outcome.digest, outcome.size, outcome.inode) == ("a" * 32, 10, 40)
    assert (outcome.width, outcome.height, outcome.sharpness) == (3, 4, 1.5)
    assert [code.usable for code in outcome.codes.values()] == [True, False]
    for code, sent in zip(outcome.codes.values(), CODES, strict=True):
        np.testing.assert_array_equal(code.vector, sent.vector)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"},
        {"status": ["encoded"]},
        {"status": None},
        {"reason": 5},
        {"digest": "A" * 32},
        {"digest": "a" * 31},
        {"digest": "a" * 32 + "\n"},
        {"digest": None},
        {"digest": None, "stamp": None},
        {"stamp": [1, 2, 3]},
        {"stamp": [1, 2, 3, 2**63]},
        {"stamp": [1, 2, 3, 1.5]},
        {"stamp": [1, 2, 3, True]},
        {"width": 0},
        {"width": 1.0},
        {"height": 2**31},
        {"height": None},
        {"format": "x" * 501},
        {"format": 3},
        {"taken": "\x1b[2J"},
        {"sharpness": float("nan")},
        {"sharpness": float("inf")},
        {"sharpness": "1"},
        {"usable": [True]},
        {"usable": [True, 1]},
        {"usable": {"bits": True}},
        {"usable": [True] * 3},
    ],
)
def test_an_answer_that_cannot_be_is_a_breach(change: dict[str, object]) -> None:
    header = json.dumps({**FACTS, "usable": [True, True], **change}).encode()
    vectors = b"".join(code.vector.tobytes() for code in CODES)
    with pytest.raises(wire.Breach):
        heard(wire.LENGTH.pack(len(header)) + header + vectors)


@pytest.mark.parametrize(
    "codes",
    [
        [],
        CODES[:1],
        CODES[::-1][:1],
        [*CODES, CODES[0]],
        [CODES[0], Code(np.full(3, np.nan, np.float32), True)],
        [CODES[0], Code(np.ones(4, np.float32), True)],
        [CODES[0], Code(np.ones(3, np.float64), True)],
    ],
)
def test_vectors_that_no_encoder_makes_are_a_breach(codes: list[Code]) -> None:
    with pytest.raises(wire.Breach):
        heard(wire.answer(FACTS, codes))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff{}",
        wire.LENGTH.pack(60_000) + b"[" * 60_000,
        wire.LENGTH.pack(2) + b"[]",
        wire.LENGTH.pack(5_000) + b"9" * 5_000,
        wire.LENGTH.pack(4) + b"\xff\xfe{}",
    ],
)
def test_what_is_no_answer_is_a_breach(body: bytes) -> None:
    with pytest.raises(wire.Breach):
        heard(body)


def test_a_damaged_answer_is_an_answer_or_a_breach() -> None:
    draw = random.Random(0)
    whole = wire.answer(FACTS, CODES)
    breaches = 0
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        try:
            outcome = heard(bytes(body[: draw.choice([len(body), draw.randrange(len(body))])]))
        except wire.Breach:
            breaches += 1
        else:
            assert len(outcome.codes) in (0, 2)
    assert breaches > 1000


def test_what_is_shown_of_an_answer_is_short_and_in_one_line() -> None:
    text = wire.shown("\x1b[2J\n\u202e" + "x" * 10_000)
    assert text.startswith("\ufffd[2J\ufffd\ufffdxx")
    assert len(text) == 500


@pytest.mark.parametrize(
    ("metric", "dimension", "dtype", "length"),
    [("hamming", 256, np.uint8, 32), ("hamming", 9, np.uint8, 2), ("l1", 9, np.uint8, 9),
     ("l2", 9, np.float32, 9), ("cosine", 9, np.float32, 9)],
)  # fmt: skip
def test_the_metric_of_an_encoder_says_what_its_vectors_are(
    metric: str, dimension: int, dtype: type, length: int
) -> None:
    encoder: Any = SimpleNamespace(metric=metric, dimension=dimension)
    assert wire.Form.of(encoder) == (np.dtype(dtype), length)


# No `if __name__ == "__main__"`: workers must not run it again.
SCRIPT = """
import os, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # also when all this runs behind a shell
sys.path.insert(0, os.environ["ODD"])
from lookalike.pictures.pool import Job, Pool
with Pool(["odd"], workers=2) as pool:
    for outcome in pool.outcomes(Job(Path(path)) for path in sys.argv[1:]):
        print(int(outcome.codes["odd"].vector[0]), flush=True)
"""


@contextlib.contextmanager
def script(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A script whose two workers are at pictures that take for ever, and their ids."""
    paths = [job.path for job in many(folder, 2)]
    paths += [picture(folder / f"bad {i}", SLEEPS) for i in range(4)]
    (folder / "script.py").write_text(SCRIPT)
    program = subprocess.Popen(
        [sys.executable, folder / "script.py", *paths],
        env={**os.environ, "ODD": sys.path[0]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert program.stdout is not None
        workers = [int(program.stdout.readline()) for _ in range(2)]
        yield program, workers
    finally:
        program.kill()
        program.communicate()


def interrupted(program: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, again if Python was where it swallows one; what it says then."""
    for _ in range(3):
        os.killpg(program.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.communicate(timeout=10)[1]
    raise AssertionError("it does not end")


def test_an_interrupt_at_the_terminal_leaves_no_worker(pictures: Path) -> None:
    with script(pictures) as (program, workers):
        assert len(set(workers)) == 2
        assert all(map(is_there, workers))
        said = interrupted(program)
        assert not any(map(is_there, workers))
        assert program.returncode == -signal.SIGINT
        assert said.count("Traceback") == 1  # the parent's own


def test_workers_die_with_their_parent(pictures: Path) -> None:
    with script(pictures) as (program, workers):
        program.kill()
        program.communicate()
        assert wait_until_gone(workers) == []
