"""Stored indexes on the command line: a process of its own, its exit status and its text."""

import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import lookalike
from lookalike.cli import main
from lookalike.store.folder import Folder
from lookalike.store.manifest import Manifest, Segment
from lookalike.upkeep import Description, describe

COMMAND = [sys.executable, "-c", "from lookalike.cli import main; main()"]
PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(12_000, 32)).astype(np.float32)
QUERIES = VECTORS[:4] + np.float32(0.001)
IDS = np.arange(12_000) * 7 + 3
DESCRIBED = {field.name for field in fields(Description)}

Done = subprocess.CompletedProcess[str]


def plain(**more: str) -> dict[str, str]:
    """An environment whose output does not depend on where the tests run."""
    colours = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"}
    drop = colours | {"COLUMNS", "TTY_COMPATIBLE", "TERM", "GITHUB_ACTIONS"}
    return {name: value for name, value in os.environ.items() if name not in drop} | more


def run(*arguments: object, stdin: bytes = b"") -> Done:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=plain()
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def on_a_terminal(*arguments: object, interrupt_at: bytes = b"") -> tuple[int, bytes]:
    """Run with all streams on a pseudo terminal; interrupt once some text was seen."""
    ours, theirs = pty.openpty()
    # A shell without job control has what it starts in the background ignore interrupts.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [*COMMAND[:2], heed + COMMAND[2], *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain(TERM="xterm-256color"),
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux: the other side was closed
            break
        if not part:
            break
        seen += part
        if interrupt_at and interrupt_at in seen:
            process.send_signal(signal.SIGINT)
            interrupt_at = b""
    os.close(ours)
    return process.wait(), seen


def saved(path: Path, array: npt.ArrayLike) -> Path:
    np.save(path, np.asarray(array))
    return path


def npy(descr: str, shape: str, values: bytes = bytes(64), version: int = 1) -> bytes:
    """A .npy file that says whatever one likes."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + values


def keys_under(heading: str) -> set[str]:
    """The keys of JSON that a section of the documentation lists."""
    level = heading.split(" ", maxsplit=1)[0]
    section = re.split(rf"\n#{{2,{len(level)}}} ", PAGE.split(f"\n{heading}\n")[1])[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with X.npy, Q.npy, q.npy, ids.npy and an index of X with these ids."""
    folder = tmp_path_factory.mktemp("files")
    saved(folder / "X.npy", VECTORS)
    saved(folder / "Q.npy", QUERIES)
    saved(folder / "q.npy", QUERIES[0])
    saved(folder / "ids.npy", IDS)
    done = run("build", folder / "X.npy", folder / "index", "--ids", folder / "ids.npy")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (folder / "built.txt").write_text(done.stdout)
    return folder


@pytest.fixture
def damaged(files: Path, tmp_path: Path) -> Path:
    """The same index, with one byte in the middle of its vectors flipped."""
    path = tmp_path / "damaged"
    shutil.copytree(files / "index", path)
    [rows] = path.glob("segments/*/rows.npy")
    data = bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 1
    rows.write_bytes(data)
    return path


@pytest.fixture
def cut_off(files: Path, tmp_path: Path) -> Path:
    """The same index, whose vectors end early."""
    path = tmp_path / "cut"
    shutil.copytree(files / "index", path)
    [rows] = path.glob("segments/*/rows.npy")
    rows.write_bytes(rows.read_bytes()[:-1])
    return path


# ---- help and usage


@pytest.mark.parametrize("command", ["build", "search", "info", "verify", "repair"])
def test_help_shows_examples_of_the_command_before_its_options(command: str) -> None:
    done = run(command, "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.index(f"  lookalike {command} ") < done.stdout.index("─ Options")
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["build", "X.npy"], "Missing argument"),
        (["build", "X.npy", "out", "--metric", "l3"], "Invalid value for '--metric'"),
        (["build", "X.npy", "out", "--recall", "1.5"], "Invalid value for '--recall'"),
        (["build", "X.npy", "out", "--recall", "nan"], "recall must be in (0, 1]"),
        (["build", "X.npy", "out", "--promise", "kept"], "Invalid value for '--promise'"),
        (["build", "X.npy", "out", "--bits", "8"], "bits and tables must be given together"),
        (["build", "X.npy", "out", "--seed", "-1"], "Invalid value for '--seed'"),
        (["build", "X.npy", "out", "--threads", "0"], "Invalid value for '--threads'"),
        (["search", "index"], "Missing argument"),
        (["search", "index", "Q.npy", "-k", "0"], "Invalid value for '-k'"),
        (["search", "index", "Q.npy", "--radius", "-1"], "Invalid value for '--radius'"),
        (["search", "index", "Q.npy", "-k", "3", "--radius", "1"], "-k and --radius must not be"),
        (["search", "index", "Q.npy", "--json", "--jsonl"], "--json and --jsonl must not be"),
        (["info", "index", "surplus"], "unexpected extra argument"),
        (["verify"], "Missing argument"),
        (["repair"], "Missing argument"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in " ".join(done.stderr.replace("│", " ").split())


def test_bits_and_tables_do_not_go_with_a_guarantee() -> None:
    done = run("build", "X", "out", "--bits", 4, "--tables", 4, "--promise", "guaranteed")
    assert done.returncode == 2
    assert "got promise='guaranteed'" in " ".join(done.stderr.replace("│", " ").split())


# ---- build


def test_build_says_what_was_built(files: Path) -> None:
    text = (files / "built.txt").read_text()
    first, *lines = text.splitlines()
    assert first == f"{files}/index"
    told = dict(re.findall(r"^  (\w[\w ]*?)  +(.*)$", "\n".join(lines), re.MULTILINE))
    assert told["metric"] == "l2"
    assert told["vectors"] == "12,000"
    assert told["items"] == "shape (32,), stored as float32"
    assert told["plan"].startswith(describe(files / "index").engine or "?")
    assert "recall" in told["promise"]
    size = f"{describe(files / 'index').file_bytes:,}"
    assert re.fullmatch(rf"{size} bytes, built in [\d.]+ s", told["on disk"])


def test_a_built_index_is_the_one_that_the_library_builds(files: Path) -> None:
    index = lookalike.Index("l2")
    index.add(VECTORS, IDS)
    ours = lookalike.Index.open(files / "index")
    assert (ours.plan, ours.plan.engine) == (index.plan, "cells")
    assert ours.ids.tolist() == IDS.tolist()
    assert ours.search(QUERIES).ids.tolist() == index.search(QUERIES).ids.tolist()


def test_options_of_build_reach_the_index(files: Path, tmp_path: Path) -> None:
    hashed = ("--metric", "cosine", "--bits", 6, "--tables", 3, "--seed", 9, "--threads", 2)
    assert run("build", files / "X.npy", tmp_path / "a", *hashed).returncode == 0
    described = describe(tmp_path / "a")
    assert (described.metric, described.engine, described.seed) == ("cosine", "tables", 9)
    assert dict(described.parameters) == {"bits": 6, "tables": 3}
    assert described.recall is None
    promised = ("--recall", 0.8, "--promise", "guaranteed")
    assert run("build", files / "X.npy", tmp_path / "b", *promised).returncode == 0
    assert describe(tmp_path / "b").recall == 0.8
    settings = Folder(tmp_path / "b", writing=False).manifest.index["settings"]
    assert settings["promise"] == "guaranteed"


def test_build_as_json_is_what_info_says_and_the_seconds(files: Path, tmp_path: Path) -> None:
    done = run("build", files / "X.npy", tmp_path / "index", "--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    assert told.pop("seconds") > 0
    assert told == json.loads(run("info", tmp_path / "index", "--json").stdout)
    assert keys_under("## lookalike build") == {"seconds"}


def test_a_quiet_build_prints_nothing(files: Path, tmp_path: Path) -> None:
    done = run("build", files / "X.npy", tmp_path / "index", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(lookalike.Index.open(tmp_path / "index")) == 12_000


def test_bits_are_built_from_bool_on_standard_input(tmp_path: Path) -> None:
    bits = saved(tmp_path / "bits.npy", VECTORS > 0).read_bytes()
    done = run("build", "-", tmp_path / "index", "--metric", "hamming", "--json", stdin=bits)
    assert json.loads(done.stdout)["stored_as"] == "packed bits from bool"


def test_an_index_is_replaced_only_when_told_to(files: Path, tmp_path: Path) -> None:
    few = saved(tmp_path / "few.npy", VECTORS[:10])
    assert run("build", few, tmp_path / "index").returncode == 0
    done = run("build", "not read", tmp_path / "index")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "lookalike: an index must be saved to a folder that is not there yet; got "
        f"{tmp_path}/index, where there is one. Choose another, or pass --replace.\n"
    )
    assert describe(tmp_path / "index").vectors == 10
    assert run("build", files / "X.npy", tmp_path / "index", "--replace").returncode == 0
    assert describe(tmp_path / "index").vectors == 12_000


def test_a_damaged_index_is_replaced_when_told_to(files: Path, damaged: Path) -> None:
    for name in ("manifest.json", "manifest.copy.json"):
        (damaged / name).write_text("{}")
    done = run("build", "not read", damaged)
    assert (done.returncode, "pass --replace" in done.stderr) == (1, True)
    done = run("build", files / "Q.npy", damaged, "--replace")
    assert (done.returncode, done.stderr) == (0, "")
    assert run("verify", damaged, "--quiet").returncode == 0
    assert describe(damaged).vectors == 4


def test_an_array_without_a_row_is_told(tmp_path: Path) -> None:
    for shape, complaint in (
        ((0, 8), "must hold an array with at least one row; got shape (0, 8). Check how it was"),
        ((8,), "with a vector in each of n rows; got shape (8,). Save a single vector with shape"),
    ):
        empty = saved(tmp_path / "X.npy", np.empty(shape, np.float32))
        done = run("build", empty, tmp_path / "index")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"lookalike: {empty} must hold an array")
        assert complaint in done.stderr
        assert not (tmp_path / "index").exists()


# What a message says to who uses the library, and not the command line.
PYTHON = re.compile(r"replace=True|\[None\]|[Cc]all \w|\w\(\)|mode \"r|pass \w+=")


def test_messages_speak_of_the_command_line(
    files: Path, damaged: Path, cut_off: Path, tmp_path: Path
) -> None:
    """Python is not what has to be changed."""
    lookalike.Index("l2").save(tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cat.jpg").touch()
    one = saved(tmp_path / "one.npy", VECTORS[0])
    none = saved(tmp_path / "none.npy", VECTORS[:0])
    held = tmp_path / "held"
    shutil.copytree(files / "index", held)
    failures: list[list[object]] = [
        ["build", one, tmp_path / "new"],
        ["build", none, tmp_path / "new"],
        ["build", files / "X.npy", files / "index"],
        ["build", files / "X.npy", tmp_path / "mine"],
        ["build", files / "X.npy", tmp_path / "mine", "--replace"],
        ["build", files / "X.npy", tmp_path / "new", "--ids", files / "Q.npy"],
        ["build", files / "X.npy", held, "--replace"],
        ["build", files / "X.npy", tmp_path / "new", "--metric", "hamming"],
        ["search", tmp_path / "empty", files / "Q.npy"],
        ["search", files / "index", none.with_name("nowhere.npy")],
        ["search", tmp_path / "mine", files / "Q.npy"],
        ["search", cut_off, files / "Q.npy"],
        ["verify", tmp_path / "nowhere"],
        ["repair", tmp_path / "mine"],
        ["repair", held],
        ["info", files / "X.npy"],
    ]
    with lookalike.Index.open(held, "r+"):
        for arguments in failures:
            done = run(*arguments)
            assert done.returncode in (1, 5), arguments
            assert not PYTHON.search(done.stderr), done.stderr
    assert PYTHON.search("Choose another, or pass replace=True.")  # it can fail


def test_what_is_no_index_is_not_replaced(files: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("build", files / "X.npy", tmp_path, "--replace")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lookalike: an index must be saved to a folder that is not there")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_ids_are_checked(files: Path, tmp_path: Path) -> None:
    for ids, complaint in ((IDS[:5], "5"), (IDS * 0, "twice"), (IDS - 10, "-7")):
        own = saved(tmp_path / "ids.npy", ids)
        done = run("build", files / "X.npy", tmp_path / "index", "--ids", own)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.match(r"lookalike: .*\bids?\b", done.stderr), complaint
        assert not (tmp_path / "index").exists()


HOSTILE = {
    "python objects": (npy("'|O'", "(8,)"), "it holds Python objects, which are not loaded"),
    "objects in a record": (npy("[('a', '|O')]", "(8,)"), "it holds Python objects"),
    "a pickle": (b"\x80\x04\x95\x0b.", "it starts otherwise"),
    "an archive": (b"PK\x03\x04" + bytes(60), "it is an archive, like those of numpy.savez"),
    "text": (b"1,2,3\n", "it starts otherwise"),
    "nothing": (b"", "it is empty"),
    "magic alone": (b"\x93NUMPY", "NumPy cannot read it"),
    "cut off": (npy("'<f4'", "(20, 8)"), "NumPy cannot read it"),
    "terabytes": (npy("'<f4'", "(1099511627776, 64)"), "NumPy cannot read it"),
    "overflow": (npy("'<f4'", f"({2**62}, {2**62})"), "NumPy cannot read it"),
    "huge numbers": (npy("'<f4'", f"({10**30}, 8)"), "NumPy cannot read it"),
    "negative": (npy("'<f4'", "(-1, 8)"), "NumPy cannot read it"),
    "a program": (npy("__import__('os').abort()", "(8,)"), "NumPy cannot read it"),
    "brackets": (npy("(" * 4000, "(8,)"), "NumPy cannot read it"),
    "a long header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "NumPy cannot read it"),
    "a later version": (npy("'<f4'", "(2, 8)", version=9), "NumPy cannot read it"),
    "an escape": (npy("'\x1b[31m'", "(2, 8)"), "NumPy cannot read it"),
    "records": (npy("[('a', '<f4')]", "(8,)"), "must hold numbers or booleans"),
    "text in an array": (npy("'<U2'", "(8,)"), "must hold numbers or booleans"),
    "dates": (npy("'<M8[s]'", "(4, 2)"), "must hold numbers or booleans"),
    "no axis": (npy("'<f4'", "()"), "must "),
    "one axis": (npy("'<f4'", "(8,)"), "must "),
    "empty items": (npy("'<f4'", "(8, 0)"), "must "),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_hostile_npy_is_a_failure_with_a_message(
    what: str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process: there are many, and each would take a second to start."""
    data, complaint = HOSTILE[what]
    (tmp_path / "X.npy").write_bytes(data)
    name = str(tmp_path / "X.npy") if source == "file" else "-"
    monkeypatch.setattr(sys, "argv", ["lookalike", "build", name, str(tmp_path / "index")])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (1, "")
    assert told.err.startswith("lookalike: ")
    assert complaint in told.err
    assert told.err.count("\n") == 1
    assert "\x1b" not in told.err
    assert not (tmp_path / "index").exists()


def test_hostile_npy_is_a_failure_in_a_process_too(tmp_path: Path) -> None:
    (tmp_path / "X.npy").write_bytes(HOSTILE["python objects"][0])
    done = run("build", tmp_path / "X.npy", tmp_path / "index")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"lookalike: {tmp_path}/X.npy must hold numbers; it holds Python objects, which are not "
        "loaded, because that could run a program. Convert them before saving, for instance with "
        "numpy.stack(list(array)).\n"
    )


def test_values_that_cannot_be_stored_are_told(tmp_path: Path) -> None:
    done = run("build", saved(tmp_path / "X.npy", np.full((3, 4), np.nan)), tmp_path / "index")
    assert done.returncode == 1
    assert "must be finite; got 12 of 12 values" in done.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nowhere.npy", "there is none. Check the path."),
        ("", "it is a folder. Check the path."),
        ("file/below.npy", "Not a directory"),
    ],
)
def test_a_file_that_is_none_is_told(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("build", tmp_path / name, tmp_path / "index")
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr


def test_a_device_is_not_read(tmp_path: Path) -> None:
    done = run("build", "/dev/zero", tmp_path / "index")
    assert done.returncode == 1
    assert "it is no file" in done.stderr


def test_a_build_on_a_terminal_shows_progress_and_a_piped_one_does_not(
    files: Path, tmp_path: Path
) -> None:
    status, seen = on_a_terminal("build", files / "X.npy", tmp_path / "a")
    assert status == 0
    assert b"planning" in seen
    assert b"writing" in seen
    status, seen = on_a_terminal("build", files / "X.npy", tmp_path / "b", "--quiet")
    assert (status, seen) == (0, b"")
    done = run("build", files / "X.npy", tmp_path / "c")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


def test_an_interrupted_build_exits_with_130_and_leaves_no_index(tmp_path: Path) -> None:
    many = saved(tmp_path / "X.npy", RNG.normal(size=(40_000, 64)).astype(np.float32))
    status, seen = on_a_terminal("build", many, tmp_path / "index", interrupt_at=b"planning")
    assert status == 130
    assert b"Traceback" not in seen
    assert run("info", tmp_path / "index").returncode == 1
    few = saved(tmp_path / "few.npy", VECTORS[:10])
    assert run("build", few, tmp_path / "index").returncode == 0


def test_standard_input_that_is_a_terminal_is_not_waited_for(files: Path) -> None:
    status, seen = on_a_terminal("search", files / "index", "-")
    assert status == 1
    assert b"it is a terminal. Pipe a file into it" in seen


# ---- search


def test_search_prints_a_table_of_a_batch(files: Path) -> None:
    done = run("search", files / "index", files / "Q.npy", "-k", 2)
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["query", "rank", "id", "distance"]
    assert [line.split()[:2] for line in lines] == [
        [str(query), str(rank)] for query in range(4) for rank in (1, 2)
    ]
    assert [int(line.split()[2]) for line in lines[::2]] == IDS[:4].tolist()
    assert len({len(line) for line in (head, *lines)}) == 1


def test_search_of_one_item_numbers_no_queries(files: Path) -> None:
    done = run("search", files / "index", files / "q.npy")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["rank", "id", "distance"]
    assert len(lines) == 10
    assert lines[0].split()[:2] == ["1", "3"]


def test_search_as_json_has_what_the_library_finds(files: Path) -> None:
    done = run("search", files / "index", files / "Q.npy", "-k", 5, "--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    hits = lookalike.Index.open(files / "index").search(QUERIES, 5)
    assert told.pop("seconds") > 0
    results = told.pop("results")
    assert told == {
        "index": f"{files}/index",
        "metric": "l2",
        "k": 5,
        "radius": None,
        "recall": 0.95,
        "queries": 4,
    }
    assert [result["query"] for result in results] == [0, 1, 2, 3]
    assert [result["ids"] for result in results] == hits.ids.tolist()
    assert [result["distances"] for result in results] == hits.distances.tolist()
    assert {result["widened"] for result in results} <= {True, False}
    documented = set(told) | {"seconds", "results"} | set(results[0])
    assert keys_under("## lookalike search") == documented


def test_jsonl_is_the_results_of_json_a_line_each(files: Path) -> None:
    lines = run("search", files / "index", files / "Q.npy", "--jsonl").stdout.splitlines()
    whole = json.loads(run("search", files / "index", files / "Q.npy", "--json").stdout)
    assert [json.loads(line) for line in lines] == whole["results"]


def test_radius_finds_all_within_it(files: Path) -> None:
    done = run("search", files / "index", files / "Q.npy", "--radius", 4.0, "--recall", 1, "--json")
    told = json.loads(done.stdout)
    assert (told["k"], told["radius"], told["recall"]) == (None, 4.0, 1.0)
    for query, result in zip(QUERIES.astype(np.float64), told["results"], strict=True):
        near = np.linalg.norm(VECTORS.astype(np.float64) - query, axis=1) <= 4.0
        assert sorted(result["ids"]) == IDS[near].tolist()
        assert set(result) == {"query", "ids", "distances"}


def test_recall_and_threads_reach_the_search(files: Path, tmp_path: Path) -> None:
    many = VECTORS[:100] * np.float32(0.9)
    search = ("search", files / "index", saved(tmp_path / "many.npy", many), "--jsonl")
    index = lookalike.Index.open(files / "index")
    found = []
    for recall in (0.3, 1.0):
        done = run(*search, "--recall", recall, "--threads", 2)
        found.append([json.loads(line)["ids"] for line in done.stdout.splitlines()])
        assert found[-1] == index.search(many, recall=recall).ids.tolist()
    assert found[0] != found[1]


def test_where_less_is_found_less_is_listed(tmp_path: Path) -> None:
    few = saved(tmp_path / "few.npy", VECTORS[:3])
    run("build", few, tmp_path / "index")
    done = run("search", tmp_path / "index", few, "-k", 5, "--jsonl")
    assert [len(json.loads(line)["ids"]) for line in done.stdout.splitlines()] == [3, 3, 3]
    far = saved(tmp_path / "far.npy", VECTORS[0] + 50)
    done = run("search", tmp_path / "index", far, "--radius", 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "lookalike: nothing was found\n")


def test_queries_come_from_standard_input_and_pipes(files: Path) -> None:
    wanted = run("search", files / "index", files / "Q.npy").stdout
    data = (files / "Q.npy").read_bytes()
    assert run("search", files / "index", "-", stdin=data).stdout == wanted
    assert run("search", files / "index", "/dev/stdin", stdin=data).stdout == wanted


def test_queries_of_another_shape_are_told(files: Path, tmp_path: Path) -> None:
    done = run("search", files / "index", saved(tmp_path / "Q.npy", np.ones((2, 5))))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lookalike: query must have shape (32,) for one item")


def test_a_reader_that_goes_away_is_no_traceback(files: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "search", str(files / "index"), str(files / "X.npy"), "--jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=plain(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize("command", ["search", "info", "verify", "repair"])
def test_where_there_is_no_index_it_is_said(command: str, files: Path) -> None:
    for path, what in ((files / "nowhere", "nothing"), (files / "X.npy", "a file")):
        done = run(command, path, *([files / "Q.npy"] if command == "search" else []))
        assert (done.returncode, done.stdout) == (1, "")
        assert f"got {path}, where there is {what}. Check the path." in done.stderr


def test_an_empty_index_has_nothing_to_find(files: Path, tmp_path: Path) -> None:
    lookalike.Index("l2").save(tmp_path / "empty")
    done = run("search", tmp_path / "empty", files / "Q.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert "got an empty index" in done.stderr
    assert "items        none yet" in run("info", tmp_path / "empty").stdout


# ---- info


def test_info_of_an_index_says_what_is_there(files: Path) -> None:
    done = run("info", files / "index")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{describe(files / 'index')}\n"
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    for word in ("12,000", "shape (32,)", "float32", "fingerprint", "rows", "ids"):
        assert word in done.stdout


def test_info_of_an_index_as_json_has_the_documented_keys(files: Path) -> None:
    done = run("info", files / "index", "--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    assert set(told) == DESCRIBED == keys_under("### An index")
    manifest = Folder(files / "index", writing=False).manifest
    assert (told["path"], told["item_shape"]) == (f"{files}/index", [32])
    assert (told["fingerprint"], told["generation"]) == (manifest.fingerprint, 1)
    assert told["file_bytes"] == sum(
        path.stat().st_size for path in (files / "index").rglob("*.npy")
    )
    parts = told["rows_bytes"] + told["ids_bytes"] + sum(told["plan_bytes"].values())
    assert parts == told["file_bytes"]


def test_info_counts_what_was_added_and_removed_later(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "index", tmp_path / "index")
    with lookalike.Index.open(tmp_path / "index", "r+") as index:
        index.add(VECTORS[:20] + 1)
        index.remove(IDS[:5])
        index.remove(IDS[5:7])
        told = json.loads(run("info", tmp_path / "index", "--json").stdout)
        assert told["vectors"] == len(index) == 12_013
    assert (told["planned_for"], told["removed"], told["segments"]) == (12_000, 7, 4)
    text = run("info", tmp_path / "index").stdout
    assert re.search(r"^  removed +7 rows still stored$", text, re.MULTILINE)
    assert "made for 12,000" in " ".join(text.split())


def test_info_reads_no_array(cut_off: Path, files: Path) -> None:
    shutil.rmtree(cut_off / "segments")
    told = json.loads(run("info", cut_off, "--json").stdout)
    assert told | {"path": ""} == describe(files / "index").to_dict() | {"path": ""}


def rewritten(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the facts of the base, as somebody who knows the digest can."""
    folder = Folder(path, writing=False)
    old = folder.manifest
    [segment] = old.segments
    facts = dict(segment.facts)
    change(facts)
    new = Segment(segment.name, facts, segment.arrays)
    data = Manifest(old.generation, old.next_segment, old.index, (new,)).to_bytes()
    (path / "manifest.json").write_bytes(data)


def test_text_of_strangers_does_not_control_the_terminal(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "index", tmp_path / "index")
    words = {"engine": "\x1b[31mred", "promise": "a\rb", "reason": "", "parameters": {}}
    rewritten(tmp_path / "index", lambda facts: facts.update(described=words))
    done = run("info", tmp_path / "index")
    assert done.returncode == 0
    assert "\\x1b[31mred" in done.stdout
    assert not {"\x1b", "\r"} & set(done.stdout)


@pytest.mark.parametrize(
    "facts",
    [
        {"members": 12_001},
        {"members": -1},
        {"rows": "12000"},
        {"rows": None},
        {"described": []},
        {"described": {"engine": 1, "promise": "", "reason": "", "parameters": {}}},
        {"described": {"engine": "", "promise": "", "reason": "", "parameters": {"k": "v"}}},
    ],
)
def test_facts_that_cannot_be_are_a_corrupt_index(
    facts: dict[str, object], files: Path, tmp_path: Path
) -> None:
    shutil.copytree(files / "index", tmp_path / "index")
    rewritten(tmp_path / "index", lambda own: own.update(facts))
    done = run("info", tmp_path / "index")
    assert (done.returncode, done.stdout) == (5, "")
    assert "it says what cannot be" in done.stderr


# ---- what is corrupt


@pytest.mark.parametrize("command", ["search", "info", "verify"])
def test_a_damaged_manifest_exits_with_5(command: str, files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "index", tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"l2"', b'"l1"'))
    queries = [files / "Q.npy"] if command == "search" else []
    done = run(command, tmp_path / "index", *queries)
    assert done.returncode == 5
    assert "its digest is another one" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_of_an_index_that_was_cut_off_exits_with_5(cut_off: Path, files: Path) -> None:
    done = run("search", cut_off, files / "Q.npy")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.endswith("or see what is lost with: lookalike repair\n")


# ---- verify and repair


def test_verify_of_a_sound_index_says_so(files: Path) -> None:
    done = run("verify", files / "index")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    told = json.loads(run("verify", files / "index", "--json").stdout)
    assert set(told) == keys_under("## lookalike verify")
    assert told["problems"] == []
    assert told["checked_bytes"] >= describe(files / "index").file_bytes
    quiet = run("verify", files / "index", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_verify_finds_a_flipped_bit_and_exits_with_5(damaged: Path) -> None:
    done = run("verify", damaged)
    assert done.returncode == 5
    assert "rows" in done.stdout
    assert "Traceback" not in done.stderr
    told = run("verify", damaged, "--json")
    assert told.returncode == 5
    [problem] = json.loads(told.stdout)["problems"]
    assert "rows" in problem
    quiet = run("verify", damaged, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (5, "", "")


def test_repair_says_what_was_lost_and_leaves_a_sound_index(damaged: Path, files: Path) -> None:
    done = run("repair", damaged)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert run("verify", damaged).returncode == 0
    found = json.loads(run("search", damaged, files / "Q.npy", "--json").stdout)
    assert [result["ids"][0] for result in found["results"]] == IDS[:4].tolist()
    assert run("repair", damaged).stdout.endswith("nothing to repair\n")
    assert run("repair", damaged, "--quiet").stdout == ""


def test_repair_as_json_has_the_documented_keys(damaged: Path) -> None:
    done = run("repair", damaged, "--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    assert set(told) == keys_under("## lookalike repair")
    assert 0 < told["lost_vectors"] == len(told["lost_ids"]) <= 256
    assert told["set_aside"] == []
    assert set(told["lost_ids"]) < set(IDS.tolist())
    assert told["vectors"] == 12_000 - told["lost_vectors"]


def test_what_cannot_be_repaired_exits_with_5(damaged: Path) -> None:
    for name in ("manifest.json", "manifest.copy.json"):
        (damaged / name).write_text("{}")
    done = run("repair", damaged)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        f"lookalike: {damaged}: manifest.copy.json cannot be repaired; it does not end with a "
        "digest. Copy the index again.\n"
    )


def test_an_index_that_is_being_changed_is_not_repaired(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "index", tmp_path / "index")
    with lookalike.Index.open(tmp_path / "index", "r+"):
        done = run("repair", tmp_path / "index")
    assert (done.returncode, done.stdout) == (1, "")
    assert "must be free to be opened for changes; process" in done.stderr
    assert done.stderr.count("\n") == 1


def test_exit_codes_are_documented() -> None:
    assert "5 index corrupt" in run("--help").stdout
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "130"]
