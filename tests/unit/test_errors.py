"""Errors: one base, and a built-in parent for code that knows nothing of lookalike."""

from __future__ import annotations

import pytest

from lookalike import errors


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (errors.InvalidInput, ValueError),
        (errors.NotSupported, NotImplementedError),
        (errors.MissingExtra, ImportError),
        (errors.UnreadableFile, OSError),
        (errors.CorruptStore, OSError),
        (errors.NewerFormat, OSError),
        (errors.WouldOverwrite, FileExistsError),
        (errors.NotWritten, OSError),
        (errors.Locked, BlockingIOError),
        (errors.ReadOnly, PermissionError),
    ],
)
def test_every_error_is_caught_by_ours_and_by_its_builtin(
    ours: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(ours, errors.LookalikeError)
    assert issubclass(ours, builtin)


def test_the_table_of_errors_names_each_with_its_builtin() -> None:
    told = errors.__doc__ or ""
    for name in errors.__all__:
        assert name in told
        for base in getattr(errors, name).__bases__:
            if base not in (errors.LookalikeError, errors.UnreadableFile, Exception):
                assert f"({base.__name__})" in told


def test_the_base_is_no_builtin_that_would_catch_more() -> None:
    assert errors.LookalikeError.__bases__ == (Exception,)
