"""The command ``serve``: what it refuses, and how it says so."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from lookalike.cli import main

pytest.importorskip("nicegui")


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lookalike", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_that_is_taken_is_named_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = serve("--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert port in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_is_not_of_this_machine_is_refused() -> None:
    for host in ("192.0.2.1", "no.such.name.invalid"):
        done = serve("--host", host, "--port", "0")
        assert (done.returncode, done.stdout) == (1, "")
        assert host in done.stderr
        assert "--host" in done.stderr


def test_a_token_that_is_easily_guessed_is_refused() -> None:
    for token in ("", "short", "with spaces and more", "x" * 300):
        done = serve("--token", token, "--port", "0")
        assert (done.returncode, done.stdout) == (1, "")
        assert "16" in done.stderr


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    done = serve(str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing" in done.stderr


def test_files_of_an_album_without_its_pictures_are_a_usage_error(tmp_path: Path) -> None:
    done = serve("--album", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "DIR" in done.stderr


def test_ports_are_those_that_there_are() -> None:
    assert serve("--port", "65536").returncode == 2


@pytest.mark.parametrize("module", ["fastapi", "nicegui", "uvicorn"])
def test_without_its_packages_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == module else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(sys, "argv", ["lookalike", "serve"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "lookalike[web]" in capsys.readouterr().err
