"""The command line as a user has it: a process of its own, its exit status and its text."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike

COMMAND = [sys.executable, "-c", "from lookalike.cli import main; main()"]
METHOD_KEYS = {
    "name",
    "engine",
    "bits",
    "tables",
    "candidates",
    "expected_candidates",
    "nearest_found",
    "unanswered",
    "mean_distance",
    "microseconds_batch",
    "microseconds_single",
    "speedup",
}


def plain(**more: str) -> dict[str, str]:
    """An environment whose output does not depend on where the tests run."""
    drop = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TERM")
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    ci = {name for name in kept if name in ("GITHUB_ACTIONS", "PY_COLORS")}
    return {name: value for name, value in kept.items() if name not in ci} | more


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=plain(),
    )


@pytest.fixture(scope="module")
def table_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("table")
    return run("demo", cwd=folder), folder


@pytest.fixture(scope="module")
def json_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("json") / "new" / "folder"
    return run("demo", "--json", "--seed", "3", "--out", str(folder)), folder


# ---- the whole


def test_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"lookalike {lookalike.__version__}\n",
        "",
    )


@pytest.mark.parametrize("command", [[], ["demo"], ["info"], ["lab"]])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_examples_before_options(command: list[str], flag: str) -> None:
    done = run(*command, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert -1 < done.stdout.index("Example") < done.stdout.index("Options")
    assert f"lookalike {command[0] if command else 'demo'}" in done.stdout


def test_help_of_the_whole_names_every_command_and_the_exit_codes() -> None:
    text = run("--help").stdout
    commands = text[text.index("Commands") :]
    assert re.findall(r"^│ (\w+) ", commands, re.MULTILINE) == [
        "demo",
        "sync",
        "search",
        "duplicates",
        "explain",
        "decide",
        "calibrate",
        "apply",
        "undo",
        "serve",
        "build",
        "info",
        "verify",
        "repair",
        "lab",
    ]
    said = " ".join(text.split())
    assert "Exit codes: 0 fine, 1 failure, 2 usage, 3 duplicates found (with" in said
    assert "4 some files could not be read, 5 index corrupt, 130 interrupted." in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["demos"], "No such command 'demos'"),
        (["demo", "--seed", "-1"], "Invalid value for '--seed'"),
        (["demo", "--seed", "one"], "Invalid value for '--seed'"),
        (["demo", "--frobnicate"], "No such option: --frobnicate"),
        (["demo", "surplus"], "unexpected extra argument"),
        (["lab"], "Missing argument"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


# ---- info


def test_info_prints_version_level_and_extras() -> None:
    done = run("info")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"lookalike            {re.escape(lookalike.__version__)}\n"
        rf"Python               {re.escape(sys.version.split()[0])}\n"
        rf"CPU level            {lookalike.cpu_level()}\n"
        r"levels built         scalar \(usable\)(, \w+ \((usable|not here)\))*\n"
        r"extra embed          installed\n"
        r"extra embed-default  (installed|missing: pip install 'lookalike\[embed-default\]')\n"
        r"extra frames         installed\n"
        r"extra heif           installed\n"
        r"extra lab            installed\n"
        r"extra pictures       installed\n"
        r"extra plots          installed\n",
        done.stdout,
    )


def test_info_says_how_to_install_a_missing_extra() -> None:
    program = "import sys; sys.modules['matplotlib'] = None\n" + COMMAND[2]
    done = subprocess.run(
        [sys.executable, "-c", program, "info"],
        capture_output=True,
        text=True,
        check=True,
        env=plain(),
    )
    assert done.stdout.endswith(
        "extra lab            missing: pip install 'lookalike[lab]'\n"
        "extra pictures       installed\n"
        "extra plots          missing: pip install 'lookalike[plots]'\n"
    )


def test_info_as_json_has_the_documented_keys() -> None:
    done = run("info", "--json")
    facts = json.loads(done.stdout)
    assert set(facts) == {"version", "python", "cpu_level", "cpu_levels", "extras"}
    assert facts["version"] == lookalike.__version__
    assert facts["cpu_levels"][facts["cpu_level"]] is True
    extras = facts["extras"]
    assert extras.pop("embed-default") in (True, False)  # no part of "all"
    assert list(extras) == ["embed", "frames", "heif", "lab", "pictures", "plots"]
    assert all(extras.values())


# ---- demo


def test_demo_prints_one_row_for_each_method(
    table_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = table_run
    assert (done.returncode, done.stderr) == (0, "")
    cells = r"\s+[\d,]+\s+[\d.]+%\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+ x$"
    rows = re.findall(rf"^(\S.*?){cells}", done.stdout, re.MULTILINE)
    assert [row.removesuffix(" *") for row in rows] == [
        "k = 5, m = 5",
        "k = 10, m = 5",
        "k = 20, m = 5",
        "k = 20, m = 15",
        "k = 40, m = 15",
        "k = 24, m = 20",
        "exact search",
        "NumPy, tuned",
        "NumPy",
    ]
    assert [row for row in rows if row.endswith(" *")] == ["k = 24, m = 20 *"]
    assert re.search(r"^exact search +1,500 +100\.0% +79\.7 ", done.stdout, re.MULTILINE)
    assert re.search(r"^NumPy +1,500 .* 1\.0 x$", done.stdout, re.MULTILINE)


def test_demo_says_what_the_figures_mean_and_where_the_report_is(
    table_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = table_run
    text = " ".join(done.stdout.split())
    assert "Exact search finds every nearest image in" in text
    assert "The fastest hash tables that find at least 90% of the nearest, k = " in text
    assert done.stdout.endswith("\nReport: lookalike-demo/report.html\n")
    report = (folder / "lookalike-demo" / "report.html").read_text(encoding="utf-8")
    assert report.startswith("<!DOCTYPE html>")
    assert [entry.name for entry in (folder / "lookalike-demo").iterdir()] == ["report.html"]


def test_a_piped_demo_has_neither_colours_nor_a_progress_bar(
    table_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = table_run
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_demo_as_json_is_one_object_with_the_documented_keys(
    json_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = json_run
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    figures = json.loads(done.stdout)
    assert list(figures) == [
        "dataset",
        "metric",
        "stored",
        "queries",
        "seed",
        "repeats",
        "cpu_level",
        "wanted",
        "methods",
        "sweep",
        "summary",
        "report",
    ]
    assert (figures["stored"], figures["queries"], figures["seed"]) == (1500, 297, 3)
    assert set(figures["wanted"]) == {"recall", "distance", "bits", "tables"}
    assert all(set(method) == METHOD_KEYS for method in figures["methods"])
    assert all(
        set(cost) == {"bits", "tables", "expected", "measured", "microseconds"}
        for cost in figures["sweep"]
    )
    assert figures["report"] == str(folder / "report.html")
    assert (folder / "report.html").is_file()


def test_json_keys_are_those_of_the_documentation(
    json_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    figures = json.loads(json_run[0].stdout)
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = re.split(r"^#{2,3} (?=lookalike|An index)", page, flags=re.MULTILINE)
    page = "".join(
        part for part in sections if part.startswith(("lookalike demo", "lookalike info"))
    )
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    keys = set(figures) | METHOD_KEYS | set(figures["wanted"]) | set(figures["sweep"][0])
    keys |= {"version", "python", "cpu_level", "cpu_levels", "extras"}
    assert documented == keys


def test_a_quiet_demo_prints_nothing_and_replaces_its_own_report(
    table_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    _, folder = table_run
    report = folder / "lookalike-demo" / "report.html"
    before = report.read_text(encoding="utf-8")
    done = run("demo", "--quiet", "--seed", "1", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "Seed 1," in report.read_text(encoding="utf-8") != before


def test_demo_leaves_a_file_of_somebody_else_alone(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    done = run("demo", "--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "lookalike: the report must go to a new file or replace an earlier report; got "
        f"{tmp_path}/report.html, which is something else. Move it away, or choose another "
        "folder.\n"
    )
    assert (tmp_path / "report.html").read_text() == "mine"


def test_a_file_in_the_way_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    program = "import sys; sys.modules['sklearn.datasets'] = None\n" + COMMAND[2]
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=plain(),
    )
    assert done.stderr.startswith("lookalike: the report must go to a new file")


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run("demo", "--out", str(tmp_path / "file" / "below"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"lookalike: the report must go to a folder, new or not; got {tmp_path}/file, which is "
        "a file. Move it away, or choose another folder.\n"
    )


def test_an_error_of_the_system_is_a_failure_with_its_message(tmp_path: Path) -> None:
    done = run("demo", "--out", str(tmp_path / ("long" * 100)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lookalike: [Errno 36] File name too long: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("sklearn.datasets", "scikit-learn", "lab"), ("matplotlib", "matplotlib", "plots")],
)
def test_a_missing_extra_is_a_failure_that_says_what_to_install(
    module: str, package: str, extra: str, tmp_path: Path
) -> None:
    program = f"import sys; sys.modules[{module!r}] = None\n" + COMMAND[2]
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env=plain(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs {package}, which is not installed" in done.stderr
    assert done.stderr.endswith(f"install it with: pip install 'lookalike[{extra}]'\n")
    assert not (tmp_path / "out").exists()


def test_a_missing_matplotlib_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    program = "import sys; sys.modules['matplotlib'] = sys.modules['sklearn.datasets'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", program + COMMAND[2], "demo", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=plain(),
    )
    assert done.stderr.startswith("lookalike: a figure needs matplotlib")


def on_a_terminal(
    *arguments: str, cwd: Path, interrupt_at: bytes = b"", **environment: str
) -> tuple[int, bytes]:
    """Run with all streams on a pseudo terminal; interrupt once some text was seen."""
    ours, theirs = pty.openpty()
    # A shell without job control has what it starts in the background ignore interrupts.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [*COMMAND[:2], heed + COMMAND[2], *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env=plain(TERM="xterm-256color", **environment),
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


def test_an_interrupted_demo_exits_with_130_and_writes_nothing(tmp_path: Path) -> None:
    status, seen = on_a_terminal("demo", cwd=tmp_path, interrupt_at=b"timing")
    assert status == 130
    assert b"Traceback" not in seen
    assert list(tmp_path.iterdir()) == []


COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")


def test_a_demo_on_a_terminal_shows_coloured_progress(tmp_path: Path) -> None:
    _, seen = on_a_terminal("demo", cwd=tmp_path, interrupt_at=b"drawing hash functions")
    assert b"timing" in seen
    assert COLOUR.search(seen)


def test_no_color_is_respected(tmp_path: Path) -> None:
    _, seen = on_a_terminal("demo", cwd=tmp_path, interrupt_at=b"timing", NO_COLOR="1")
    assert b"timing" in seen
    assert not COLOUR.search(seen)


needs_fashion_mnist = pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir() and not os.environ.get("LOOKALIKE_CI"),
    reason="dataset-fashion-mnist (apt-get) is not installed",
)


@needs_fashion_mnist
def test_the_demo_on_pictures_reaches_every_recall_it_was_asked_for() -> None:
    done = run("demo", "--data", "fashion-mnist", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["dataset"] == "fashion-mnist"
    assert (told["stored"], told["queries"], told["k"]) == (60_000, 2000, 10)
    assert [row["asked"] for row in told["rows"]] == [0.8, 0.9, 0.95, 0.99, 1.0]
    for row in told["rows"]:
        # A standard error of 2,000 queries is below .005 at .8 and falls from there.
        assert row["reached"] >= row["asked"] - 0.002 - 0.02 * (1 - row["asked"]) * 3.5
        assert row["plan"].startswith("exact" if row["asked"] == 1.0 else "cells")


def test_data_that_is_not_installed_is_said_to_be_and_what_else_there_is() -> None:
    missing = subprocess.run(
        [*COMMAND, "demo", "--data", "fashion-mnist"],
        capture_output=True,
        text=True,
        check=False,
        env=plain(LOOKALIKE_FASHION_MNIST="/nowhere"),
    )
    assert missing.returncode == 1
    assert "dataset-fashion-mnist" in missing.stderr
    other = run("demo", "--data", "cats")
    assert other.returncode == 2
    assert "fashion-mnist" in other.stderr
