"""``python -m lookalike`` is the command line."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; an interrupt while its modules load is one like any other."""
    try:
        from lookalike import cli  # noqa: PLC0415

        cli.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
