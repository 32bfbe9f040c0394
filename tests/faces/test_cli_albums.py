"""The commands for albums: exit codes, text, JSON, and names that are meant to do harm."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.album.conftest import jpeg, put, scene

from lookalike.album import Album
from lookalike.cli import main

COMMAND = [sys.executable, "-c", "from lookalike.cli import main; main()"]
PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = ("sync", "search", "duplicates", "explain", "decide", "calibrate", "apply", "undo")
HOSTILE = (
    b"<img src=x onerror=alert(1)>.jpg",
    b"=cmd|' -C calc'!A0.jpg",
    b"\x1b[2Jclear.jpg",
    b"line\n1. 9 files forged.jpg",
    b"latin \xe9.jpg",
)
ALONE = "alone\n1. 9 files forged.jpg"
UNREADABLE = b"bad\nlookalike: all is well \xe9.jpg"

Done = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def _own_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "send2trash"]:
        monkeypatch.delitem(sys.modules, name)


def run(*arguments: object, stdin: bytes = b"") -> Done:
    """Run in this process: there are many, and each would take a second to start."""
    argv = ["lookalike", *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", argv),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        patch.object(warnings, "showwarning", warnings.showwarning),
        patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(argv, code, out.getvalue(), err.getvalue())


def plain(**more: str) -> dict[str, str]:
    """An environment whose output does not depend on where the tests run."""
    drop = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in (*drop, "TERM", "GITHUB_ACTIONS")
    } | more


def in_a_process(*arguments: object, **environment: str) -> Done:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, env=plain(**environment)
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def told(*arguments: object, code: int = 0, stdin: bytes = b"") -> Any:
    """What a command prints as JSON."""
    done = run(*arguments, "--json", stdin=stdin)
    assert (done.returncode, done.stdout.count("\n")) == (code, 1), done.stderr
    return json.loads(done.stdout)


def keys_under(heading: str) -> set[str]:
    """The keys of JSON that a section of the documentation lists."""
    level = heading.split(" ", maxsplit=1)[0]
    section = re.split(rf"\n#{{2,{len(level)}}} ", PAGE.split(f"\n{heading}\n")[1])[0]
    first_cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(first_cells)))


def pictures_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.jpg")}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures, one of them twice, and smaller in another folder. Nobody changes it."""
    folder = tmp_path_factory.mktemp("shared") / "photos"
    for number in range(4):
        put(folder / f"{number}.jpg", scene(number))
    (folder / "copies").mkdir()
    (folder / "copies" / "0.jpg").write_bytes((folder / "0.jpg").read_bytes())
    put(folder / "small" / "0.jpg", scene(0)[::2, ::2], 70)
    done = run("sync", folder, "--encoder", "pdq", "--encoder", "phash", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def album(shared: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(shared, tmp_path / "photos"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album of names that are meant to do harm: all but three files have the same bytes."""
    folder = tmp_path_factory.mktemp("hostile") / "photos"
    for name in HOSTILE:
        put(folder / os.fsdecode(name), scene(7))
    put(folder / "z.jpg", scene(7), 60)
    put(folder / ALONE, scene(8))
    (folder / os.fsdecode(UNREADABLE)).write_bytes(b"no picture")
    done = run("sync", folder, "--encoder", "pdq", "--workers", "1")
    (folder.parent / "synced.txt").write_text(f"{done.returncode}\n{done.stdout}")
    return folder


# ---- help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_of_the_command_before_its_options(command: str) -> None:
    done = run(command, "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.index(f"  lookalike {command} ") < done.stdout.index("─ Options")
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["duplicates", "--radius", "pdq"], "--radius must be ENCODER=R"),
        (["duplicates", "--radius", "pdq=-1"], "--radius must be ENCODER=R"),
        (["duplicates", "--radius", "pdq=nan"], "--radius must be ENCODER=R"),
        (["duplicates", "--radius", "pdq=1", "--level", "near"], "--level and --radius must not"),
        (["duplicates", "--json", "--jsonl"], "must not be given together"),
        (["duplicates", "--level", "exactly"], "Invalid value for '--level'"),
        (["duplicates", "--csv", "a", "--plan", "b/../a"], "must be different files"),
        (["duplicates", "--keep", "preferred"], "--keep preferred and --prefer must be given"),
        (["duplicates", "--keep", "oldest", "--prefer", "a"], "--keep preferred and --prefer must"),
        (["duplicates", "--across", "a"], "requires 2 arguments"),
        (["search", "0.jpg", "--radius", "3"], "--radius and --recall are for indexes"),
        (["search", "0.jpg", "--json", "--jsonl"], "must not be given together"),
        (["search"], "Missing argument"),
        (["decide", "--keep", "--apart", "0.jpg"], "one of --apart, --keep and --forget"),
        (["decide", "--keep"], "one of --apart, --keep and --forget"),
        (["decide", "0.jpg"], "one of --apart, --keep and --forget"),
        (["decide", "--list", "0.jpg"], "one of --apart, --keep and --forget"),
        (["undo", "--act", "0"], "Invalid value for '--act'"),
        (["calibrate"], "Missing argument"),
        (["sync", "--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_wrong_options_are_wrong_usage(arguments: list[str], complaint: str, shared: Path) -> None:
    done = run(arguments[0], shared, *arguments[1:])
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in " ".join(done.stderr.replace("│", " ").split())


def test_options_of_albums_are_refused_for_an_index(shared: Path) -> None:
    index = shared / ".lookalike" / "pdq.index"
    for options in (["--flips"], ["-0"], ["--encoder", "pdq"], ["--album", "x"]):
        done = run("search", index, "Q.npy", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "are for albums" in " ".join(done.stderr.replace("│", " ").split())
    several = run("search", index, "Q.npy", "R.npy")
    assert (several.returncode, "one file of vectors" in several.stderr) == (2, True)


def test_a_folder_that_was_not_synced_is_told_how(tmp_path: Path) -> None:
    put(tmp_path / "my photos" / "1.jpg", scene(1))
    folder = tmp_path / "my photos"
    neither = (
        "lookalike: a folder must be an index, or an album that was synced; got "
        f"{folder}, which is neither. If it has pictures, run: lookalike sync '{folder}'\n"
    )
    for command in (["search", "1.jpg"], ["info"], ["verify"]):
        done = run(command[0], folder, *command[1:])
        assert (done.returncode, done.stdout, done.stderr) == (1, "", neither)
    for command in (["duplicates"], ["explain", "a", "b"], ["undo"], ["decide"]):
        done = run(command[0], folder, *command[1:])
        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            f"lookalike: an album must have been synced before it is asked; got {folder}, which "
            f"was not. Run: lookalike sync '{folder}'\n",
        )
    elsewhere = run("duplicates", folder, "--album", tmp_path / "home")
    assert elsewhere.stderr.endswith(f"lookalike sync '{folder}' --album {tmp_path}/home\n")
    assert sorted(path.name for path in folder.iterdir()) == ["1.jpg"]


def test_commands_and_options_are_completed() -> None:
    done = in_a_process(
        COMP_WORDS="lookalike du", COMP_CWORD="1", _LOOKALIKE_COMPLETE="complete_bash"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "duplicates")
    script = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lookalike --show-completion; true"],
        capture_output=True,
        text=True,
        env=plain(),
    )
    assert "_LOOKALIKE_COMPLETE=complete_bash" in script.stdout


# ---- sync


def test_sync_tells_what_it_found_and_exits_with_4_when_something_was_unreadable(
    album: Path,
) -> None:
    (album / "bad.png").write_bytes(b"no picture")
    done = run("sync", album, "--workers", "1")
    assert (done.returncode, done.stderr) == (4, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "7 files: 1 new, 0 changed, 0 moved, 0 deleted, 6 as before"
    assert re.fullmatch(r"0 pictures encoded in [\d.]+ s", lines[1])
    assert lines[2] == "1 unreadable:"
    assert lines[3].startswith("  bad.png: its bytes are of none of the formats that are read")
    quiet = run("sync", album, "--workers", "1", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (4, "", "")


def test_sync_as_json_has_the_documented_keys(hostile: Path) -> None:
    facts = told("sync", hostile, "--workers", "1", code=4)
    assert set(facts) == keys_under("## lookalike sync")
    assert (facts["files"], facts["unchanged"]) == (8, 8)
    [unreadable] = facts["unreadable"]
    assert set(unreadable) == {"path", "path_hex", "reason"}
    assert bytes.fromhex(unreadable["path_hex"]) == UNREADABLE


def test_the_first_sync_has_the_usual_encoders(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "1.jpg", scene(1))
    assert run("sync", tmp_path / "photos", "--workers", "1").returncode == 0
    assert set(told("info", tmp_path / "photos")["encoders"]) >= {"pdq", "phash"}


def test_an_album_may_have_its_files_elsewhere(tmp_path: Path) -> None:
    photos, home = tmp_path / "photos", tmp_path / "home"
    for number in range(2):
        put(photos / f"{number}.jpg", scene(1), 90 - number)
    at = ("--album", home)
    assert run("sync", photos, "--encoder", "pdq", "--workers", "1", *at).returncode == 0
    assert sorted(path.name for path in photos.iterdir()) == ["0.jpg", "1.jpg"]
    assert run("search", photos, "0.jpg", *at).stdout.startswith("  0.")
    assert len(told("duplicates", photos, *at)["groups"]) == 1
    assert told("info", photos, *at)["home"] == str(home)
    assert run("verify", photos, *at).returncode == 0
    plan = tmp_path / "plan.json"
    assert run("duplicates", photos, "--plan", plan, *at).returncode == 0
    assert run("apply", plan, *at).stderr == (
        f"lookalike: nothing was done; to do it: lookalike apply {plan} --yes --album {home}\n"
    )


def on_a_terminal(
    *arguments: object, interrupt_at: bytes = b"", term: str = "xterm-256color"
) -> tuple[int, bytes]:
    """Run with all streams on a pseudo terminal; interrupt once some text was seen."""
    ours, theirs = pty.openpty()
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [*COMMAND[:2], heed + COMMAND[2], *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain(TERM=term, COLUMNS="120"),
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux: the other side was closed
        while part := os.read(ours, 4096):
            seen += part
            if interrupt_at and interrupt_at in seen:
                process.send_signal(signal.SIGINT)
                interrupt_at = b""
    os.close(ours)
    return process.wait(), seen


def test_an_interrupted_sync_exits_with_130_and_goes_on_later(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(150):
        put(folder / f"{number}.jpg", scene(number % 5), 95, comment=str(number))
    first = ("sync", folder, "--encoder", "pdq", "--encoder", "phash", "--workers", "1")
    status, seen = on_a_terminal(*first, interrupt_at=b"reading and encoding")
    assert status == 130
    assert b"Traceback" not in seen
    assert b"/150" in seen
    status, seen = on_a_terminal("sync", folder, "--workers", "1")
    assert status == 0
    assert re.search(rb"reading and encoding.*/1\d\d.*\d/s.*\d:\d\d", seen)
    assert b"150 files: " in seen
    assert told("info", folder)["encoders"]["phash"]["vectors"] == 150


def test_a_dumb_terminal_gets_no_bar(album: Path) -> None:
    put(album / "new.jpg", scene(60))
    status, seen = on_a_terminal("sync", album, "--workers", "1", term="dumb")
    assert status == 0
    assert b"\x1b" not in seen
    assert seen.startswith(b"7 files: 1 new")


def test_patterns_that_match_nothing_are_told_and_empty_ones_take_them_back(album: Path) -> None:
    sync = ("sync", album, "--workers", "1")
    none = run(*sync, "--include", "*.png")
    assert (none.returncode, none.stdout) == (1, "")
    assert "no file matches include='*.png', and there were 6. Give other" in none.stderr
    assert told(*sync, "--exclude", "small", "--include", "?.jpg")["files"] == 5
    assert told("info", album)["rules"]["exclude"] == ["small"]
    assert told(*sync, "--exclude", "", "--include", "")["files"] == 6
    rules = told("info", album)["rules"]
    assert (rules["include"], rules["exclude"]) == ([], [])


# ---- search and explain


def test_search_of_an_album_prints_the_nearest_and_why(shared: Path) -> None:
    done = run("search", shared, shared / "0.jpg", "-k", "2")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "  0.00  copies/0.jpg  (the same bytes)"
    assert re.fullmatch(r"  0\.\d\d  small/0\.jpg  \(p\w+: \d+ of \d+ bits agree\)", second)


def test_search_reads_lists_from_standard_input(hostile: Path) -> None:
    lines = run("search", hostile, "-", "--jsonl", stdin=b"z.jpg\r\n\nlatin \xe9.jpg")
    results = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [own["query"]["path"] for own in results] == ["z.jpg", "latin \ufffd.jpg"]
    names = b"\0".join(HOSTILE) + b"\0"
    done = run("search", hostile, "-", "-0", "-k", "9", "--jsonl", stdin=names)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [query_of(own) for own in results] == list(HOSTILE)
    assert all(len(own["matches"]) == 6 for own in results)
    assert run("search", hostile, "-", stdin=b"").returncode == 0


def query_of(result: dict[str, Any]) -> bytes:
    query = result["query"]
    return bytes.fromhex(query["path_hex"]) if "path_hex" in query else query["path"].encode()


def test_search_of_an_album_as_json_has_the_documented_keys(shared: Path, tmp_path: Path) -> None:
    put(tmp_path / "mirrored.jpg", scene(2)[:, ::-1])
    found = told("search", shared, tmp_path / "mirrored.jpg", "-k", "1", "--flips")
    result, match = found["results"][0], found["results"][0]["matches"][0]
    assert (match["path"], match["orientation"]) == ("2.jpg", "mirrored")
    assert {*found, *result, *match} - {"path"} == keys_under("### search")
    assert (found["k"], result["error"]) == (1, None)


def test_a_picture_that_cannot_be_read_stops_no_other(shared: Path) -> None:
    done = run("search", shared, "nowhere.jpg", "0.jpg", "-k", "1")
    assert done.returncode == 4
    assert "nowhere.jpg must be a picture that can be read" in done.stderr
    assert done.stdout == "0.jpg\n  0.00  copies/0.jpg  (the same bytes)\n"
    results = told("search", shared, "nowhere.jpg", "0.jpg", "-k", "1", code=4)["results"]
    assert results[0]["error"].startswith("nowhere.jpg must be a picture")
    assert [len(own["matches"]) for own in results] == [0, 1]
    assert run("search", shared, "nowhere.jpg").returncode == 1


def test_what_is_not_there_is_a_matter_of_the_path(shared: Path) -> None:
    for arguments in (("search", shared, "nowhere.jpg"), ("explain", shared, "0.jpg", "no.jpg")):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.endswith("o such file, here or in the album. Check the path.\n")


def test_an_unreadable_picture_of_the_album_cannot_be_searched_for(album: Path) -> None:
    (album / "bad.jpg").write_bytes(b"no picture")
    assert run("sync", album, "--workers", "1").returncode == 4
    [result] = told("search", album, "bad.jpg", code=1)["results"]
    assert result["matches"] == []
    assert "bad.jpg must be a picture that can be read" in result["error"]
    assert run("search", album, "bad.jpg", "0.jpg").returncode == 4


def test_a_picture_that_is_there_is_the_one_that_is_meant(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "0.jpg", scene(3), 60)
    monkeypatch.chdir(tmp_path)
    assert run("search", shared, "0.jpg", "-k", "1").stdout.split()[1] == "3.jpg"
    done = run("decide", shared, "--apart", "0.jpg", "1.jpg")
    assert done.returncode == 1
    assert f"another file, {tmp_path}/0.jpg, beside the one of the album, {shared}/0" in done.stderr


def test_a_search_of_a_damaged_album_is_no_picture_that_cannot_be_read(album: Path) -> None:
    (album / ".lookalike" / "pdq.index" / "manifest.json").write_text("{}")
    (album / ".lookalike" / "pdq.index" / "manifest.copy.json").write_text("{}")
    done = run("search", album, "0.jpg", "1.jpg")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.count("\n") == 1


def test_explain_says_what_each_encoder_says(shared: Path) -> None:
    done = run("explain", shared, "0.jpg", "1.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("0.jpg\n1.jpg\n  together they are: different\n  pdq ")
    facts = told("explain", shared, "0.jpg", "copies/0.jpg")
    assert (facts["level"], facts["same_bytes"]) == ("exact", True)
    assert [own["encoder"] for own in facts["encoders"]] == ["pdq", "phash"]
    assert set(facts) | set(facts["encoders"][0]) == keys_under("## lookalike explain")


# ---- duplicates


def test_duplicates_are_listed_and_found_ones_can_fail(shared: Path) -> None:
    done = run("duplicates", shared, "--fail-if-found")
    assert (done.returncode, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"1\. 3 files, [\d.]+ kB to be freed; .+", lines[0])
    assert [line.split("  (")[0].split() for line in lines[1:4]] == [
        ["keeper", "0.jpg"],
        ["may", "go", "copies/0.jpg"],
        ["may", "go", "small/0.jpg"],
    ]
    assert re.fullmatch(r"1 groups of 3 files; 2 may go, [\d.]+ kB", lines[-1])
    quiet = run("duplicates", shared, "--fail-if-found", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (3, "", "")


def test_without_duplicates_nothing_is_printed_and_nothing_fails(shared: Path) -> None:
    options = ("--radius", "pdq=0", "--across", "small", "copies", "--fail-if-found")
    done = run("duplicates", shared, *options)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "lookalike: nothing is there twice\n"


def test_options_of_duplicates_reach_the_album(shared: Path) -> None:
    exact = told("duplicates", shared, "--level", "exact")
    assert ([len(own["members"]) for own in exact["groups"]], exact["thresholds"]) == ([2], {})
    wide = told("duplicates", shared, "--radius", "phash=10", "--radius", "pdq=50")
    assert (wide["level"], wide["thresholds"]) == (None, {"phash": 10, "pdq": 50})
    for options in (["--prefer", "small"], ["--reference", shared / "small"]):
        [group] = told("duplicates", shared, *options)["groups"]
        assert group["keeper"]["path"] == "small/0.jpg"
    unknown = run("duplicates", shared, "--reference", "smal")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Is it misspelt" in unknown.stderr


def test_duplicates_as_json_have_the_documented_keys(shared: Path) -> None:
    facts = told("duplicates", shared)
    [group] = facts["groups"]
    member = next(own for own in group["members"] if own["link"])
    assert (facts["files"], facts["may_go"], facts["level"]) == (3, 2, "near")
    keys = {*facts, *group, *member, *member["link"], *group["weakest_link"]}
    assert keys == keys_under("## lookalike duplicates") | {"path"}
    lines = run("duplicates", shared, "--jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [group]


def test_the_files_that_duplicates_writes_are_told(shared: Path, tmp_path: Path) -> None:
    page, table, plan = (tmp_path / name for name in ("a.html", "a.csv", "a.json"))
    done = run("duplicates", shared, "--report", page, "--csv", table, "--plan", plan)
    assert done.returncode == 0
    assert done.stderr == "".join(f"lookalike: wrote {path}\n" for path in (page, table, plan))
    assert page.read_text().count("data:image/jpeg;base64,") == 3
    assert "near: pdq up to" in page.read_text()
    assert len(json.loads(plan.read_text())["removals"]) == 2
    facts = told("duplicates", shared, "--report", page, "--csv", table)
    assert (facts["report"], facts["csv"], facts["plan"]) == (str(page), str(table), None)


def test_a_file_of_somebody_else_is_left_alone_before_anything_is_compared(
    shared: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    with patch.object(Album, "duplicates", side_effect=AssertionError("too late")):
        for option in ("--report", "--csv", "--plan"):
            done = run("duplicates", shared, option, mine)
            assert (done.returncode, done.stdout) == (1, "")
            assert f"got {mine}, which" in done.stderr
            away = run("duplicates", shared, option, tmp_path / "no" / "folder")
            assert (away.returncode, "Make its folder first" in away.stderr) == (1, True)
    assert mine.read_text() == "mine"


def test_an_encoder_that_the_album_has_not_is_told_with_those_that_it_has(shared: Path) -> None:
    done = run("duplicates", shared, "--radius", "nope=3")
    assert (done.returncode, done.stdout) == (1, "")
    assert "one of this album: pdq, phash; got 'nope'" in done.stderr


# ---- decide and calibrate


def test_decisions_are_made_listed_and_taken_back(album: Path) -> None:
    done = run("decide", album, "--apart", "0.jpg", "small/0.jpg")
    assert (done.returncode, done.stdout) == (0, "2 pictures are no duplicates\n")
    listed = told("decide", album)["decisions"]
    assert [own["kind"] for own in listed] == ["apart"]
    assert set(listed[0]) | set(listed[0]["contents"][0]) | {"decisions"} == keys_under(
        "## lookalike decide"
    )
    groups = told("duplicates", album)["groups"]
    assert [len(group["members"]) for group in groups] == [2]
    text = run("decide", album, "--list").stdout
    assert re.fullmatch(r"apart  (0.jpg \| small/0.jpg|small/0.jpg \| 0.jpg)\n", text)
    assert run("decide", album, "--forget", "0.jpg", "small/0.jpg").returncode == 0
    empty = run("decide", album)
    assert (empty.stdout, empty.stderr) == ("", "lookalike: nothing was decided\n")
    again = run("decide", album, "--forget", "0.jpg")
    assert (again.returncode, "nothing was" in again.stderr) == (1, True)
    assert run("decide", album, "--keep", "nowhere.jpg").returncode == 1


def test_one_picture_forgets_all_that_it_is_part_of_and_several_what_is_theirs(
    album: Path,
) -> None:
    for pair in (("0.jpg", "1.jpg"), ("0.jpg", "2.jpg"), ("1.jpg", "3.jpg")):
        run("decide", album, "--apart", *pair)
    run("decide", album, "--keep", "-", "-0", stdin=b"0.jpg\x001.jpg\x002.jpg\0")
    run("decide", album, "--forget", "0.jpg", "1.jpg")  # the pair, and what was kept with both
    assert [own["kind"] for own in told("decide", album)["decisions"]] == ["apart", "apart"]
    run("decide", album, "--forget", "1.jpg")
    assert len(told("decide", album)["decisions"]) == 1
    run("decide", album, "--apart", "0.jpg", "1.jpg", "2.jpg")
    run("decide", album, "--forget", "0.jpg", "1.jpg", "2.jpg")
    assert told("decide", album)["decisions"] == []


def test_thresholds_are_calibrated_by_pairs(album: Path) -> None:
    pairs = b"0.jpg,small/0.jpg,yes\r\n\r\n0.jpg,1.jpg,no\n2.jpg,3.jpg,No\n"
    done = run("calibrate", album, "-", "--level", "similar", stdin=pairs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("thresholds for 'similar', from 1 pairs that are the same:\n")
    facts = told("calibrate", album, "-", stdin=pairs)
    own, share = facts["encoders"][0], facts["precision"]
    assert {*facts, *own, *share} == keys_under("## lookalike calibrate")


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (b"0.jpg,1.jpg,perhaps\n", "got '0.jpg,1.jpg,perhaps' in line 1"),
        (b"0.jpg,1.jpg,no\n0.jpg,1.jpg\n", "in line 2"),
        (b'"0.jpg,1.jpg,no\n', "pairs must be comma-separated values"),
        (b"0.jpg,nowhere.jpg,no\n", "a picture must be one of the album"),
        (b"0.jpg,copies/0.jpg,yes\n", "must differ in their bytes"),
        (b"", "calibrate must be given pairs"),
    ],
)
def test_pairs_that_say_nothing_are_told(pairs: bytes, complaint: str, shared: Path) -> None:
    done = run("calibrate", shared, "-", stdin=pairs)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr


# ---- apply and undo


def test_a_plan_is_applied_only_when_told_and_undone(album: Path) -> None:
    plan = album.parent / "plan.json"
    assert run("duplicates", album, "--plan", plan).returncode == 0
    before = pictures_in(album)
    dry = run("apply", plan)
    assert dry.returncode == 0
    assert re.match(r"2 files would go, [\d,]+ bytes\n  copies/0.jpg  \(equal bytes; ", dry.stdout)
    assert dry.stderr == f"lookalike: nothing was done; to do it: lookalike apply {plan} --yes\n"
    assert pictures_in(album) == before
    facts = told("apply", plan, "--yes", "--to", album.parent / "away")
    assert set(facts) == keys_under("## lookalike apply")
    assert (facts["dry_run"], len(facts["done"])) == (False, 2)
    assert len(pictures_in(album)) == len(before) - 2
    undone = run("undo", album, "--dry-run")
    assert undone.stdout == "2 files of act 1 would be back\n"
    assert len(pictures_in(album)) == len(before) - 2
    facts = told("undo", album)
    assert set(facts) == keys_under("## lookalike undo") - {"acts"}
    assert pictures_in(album) == before


def test_apply_and_undo_show_how_far_they_are(album: Path) -> None:
    plan = album.parent / "plan.json"
    run("duplicates", album, "--plan", plan)
    away = album.parent / "away"
    for does, command in (
        (b"checking", ("apply", plan, "--to", away)),
        (b"moving", ("apply", plan, "--yes", "--to", away)),
        (b"checking", ("undo", album, "--dry-run")),
        (b"bringing back", ("undo", album)),
    ):
        status, seen = on_a_terminal(*command)
        assert status == 0
        assert re.search(does + rb".*2/2", seen), command


def test_what_went_to_the_trash_comes_back(album: Path) -> None:
    plan = album.parent / "plan.json"
    run("duplicates", album, "--plan", plan)
    before = pictures_in(album)
    trashed = run("apply", plan, "--yes", "--quiet")
    assert (trashed.returncode, trashed.stdout, trashed.stderr) == (0, "", "")
    assert len(pictures_in(album)) == len(before) - 2
    listed = run("undo", album, "--list").stdout
    assert re.match(r"act 1 of \S+, 2 files\n  done: copies/0.jpg, trash", listed)
    assert [len(act["deeds"]) for act in told("undo", album, "--list")["acts"]] == [2]
    assert run("undo", album).stdout == "2 files of act 1 are back\n"
    assert pictures_in(album) == before
    again = run("undo", album)
    assert (again.returncode, again.stdout) == (1, "")


def test_a_plan_whose_files_have_changed_is_refused_file_by_file(album: Path) -> None:
    plan = album.parent / "plan.json"
    run("duplicates", album, "--plan", plan)
    put(album / "small" / "0.jpg", scene(50))
    done = run("apply", plan, "--yes", "--to", album.parent / "away")
    assert done.returncode == 1
    assert re.search(r"^1 stay:\n  small/0.jpg: ", done.stdout, re.MULTILINE)
    assert (album / "small" / "0.jpg").exists()
    assert not (album / "copies" / "0.jpg").exists()


def test_a_plan_of_an_album_whose_files_are_elsewhere_asks_where(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "photos" / f"{number}.jpg", scene(1), 90 - number)
    at = ("--album", tmp_path / "home")
    assert run("sync", tmp_path / "photos", "--encoder", "pdq", "--workers", "1", *at).stderr == ""
    plan = tmp_path / "plan.json"
    assert run("duplicates", tmp_path / "photos", "--plan", plan, *at).returncode == 0
    done = run("apply", plan)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("If its own files are elsewhere, say where: --album HOME\n")
    assert run("apply", plan, *at).returncode == 0


def test_what_is_no_plan_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("[]")
    for name in ("plan.json", "nowhere.json"):
        done = run("apply", tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("lookalike: a plan must be ")


# ---- info and verify


def test_info_and_verify_know_albums(album: Path) -> None:
    facts = told("info", album)
    assert (facts["kind"], facts["files"], facts["contents"]) == ("album", 6, 5)
    assert set(facts["encoders"]) == {"pdq", "phash"}
    assert {*facts, *facts["encoders"]["pdq"]} == keys_under("### info")
    assert run("info", album).stdout.startswith(f"album {album}\n  pictures     6 in 6 files, 5 ")
    verified = told("verify", album)
    assert set(verified) == keys_under("### verify")
    assert (verified["files"], verified["vectors"], verified["problems"]) == (6, 10, [])
    rows = next((album / ".lookalike" / "pdq.index").rglob("rows.npy"))
    data = bytearray(rows.read_bytes())
    data[-5] ^= 1
    rows.unlink()
    rows.write_bytes(data)
    assert told("verify", album, code=5)["problems"]


def test_a_damaged_catalogue_is_a_corrupt_album(album: Path) -> None:
    (album / ".lookalike" / "catalog.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (album / ".lookalike" / name).unlink(missing_ok=True)
    done = run("duplicates", album)
    assert done.returncode == 5
    assert "catalog.sqlite must be as it was written" in done.stderr


# ---- names that are meant to do harm


def test_names_forge_no_line_and_control_no_terminal(hostile: Path, tmp_path: Path) -> None:
    """Cases 26 and 41."""
    plan = tmp_path / "plan.json"
    texts = [(hostile.parent / "synced.txt").read_text()]
    for arguments in (
        ["duplicates", hostile, "--plan", plan],
        ["apply", plan],
        ["apply", plan, "--to", tmp_path / "away", "--yes"],
        ["apply", plan],  # which are all refused now
        ["undo", hostile, "--list"],
        ["undo", hostile],
        ["search", hostile, "z.jpg", os.fsdecode(HOSTILE[3])],
        ["explain", hostile, *map(os.fsdecode, HOSTILE[2:4])],
        ["decide", hostile, "--apart", ALONE, "z.jpg"],
        ["decide", hostile, "--list"],
        ["decide", hostile, "--forget", ALONE],
        ["search", hostile, "nowhere\nlookalike: all is well.jpg"],
    ):
        done = run(*arguments)
        assert done.returncode in (0, 1), done.stderr
        texts += [done.stdout, done.stderr]
    text = "".join(texts)
    assert texts[0].startswith("4\n")
    assert "\x1b" not in text
    assert "\udce9" not in text
    assert not re.search(r"^(1\. 9 files forged|lookalike: all is well)", text, re.MULTILINE)
    assert "line\\n1. 9 files forged.jpg" in text
    assert "bad\\nlookalike: all is well \\udce9.jpg: " in texts[0]
    assert text.count(" stay:\n") == 1


def test_names_do_no_harm_in_a_report_or_a_spreadsheet(hostile: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "x.html", tmp_path / "x.csv"
    done = run("duplicates", hostile, "--report", page, "--csv", table)
    assert done.returncode == 0, done.stderr
    assert "<img src=x" not in page.read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page.read_text()
    assert "<script" not in page.read_text()
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert not [row for row in rows if row["path"][0] in "=+-@"]


def test_names_are_in_json_to_the_byte(hostile: Path) -> None:
    [group] = told("duplicates", hostile)["groups"]
    names = {
        bytes.fromhex(own["path_hex"]) if "path_hex" in own else own["path"].encode()
        for own in group["members"]
    }
    assert names == {*HOSTILE, b"z.jpg"}
    compared = told("explain", hostile, *map(os.fsdecode, HOSTILE[3:]))
    assert compared["one"] == {"path": HOSTILE[3].decode()}
    assert compared["other"]["path_hex"] == HOSTILE[4].hex()


def test_a_picture_that_is_gone_has_its_reason_in_the_report(album: Path) -> None:
    page = album.parent / "duplicates.html"
    (album / "small" / "0.jpg").write_bytes(jpeg(scene(0))[:300])
    assert run("duplicates", album, "--report", page).returncode == 0
    assert "cannot be shown: its decoder says" in page.read_text()


def test_the_demonstration_of_albums_runs(tmp_path: Path) -> None:
    facts = told("demo", "--pictures", "--out", tmp_path / "demo")
    assert facts["sync"]["files"] == 55
    assert [own["path"] for own in facts["sync"]["unreadable"]] == ["camera/damaged.jpg"]
    assert {len(group["members"]) for group in facts["duplicates"]} >= {7}
    assert Path(facts["report"]).is_file()
    again = run("demo", "--pictures", "--out", tmp_path / "demo")
    assert again.returncode == 1
    assert "pictures must be written to a folder that is not there yet" in again.stderr


def test_an_interrupt_while_modules_load_is_one_like_any_other() -> None:
    code = (
        "import runpy, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "runpy.run_module('lookalike', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
