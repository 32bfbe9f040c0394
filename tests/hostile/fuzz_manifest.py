"""Guided fuzzing of manifests whose digests are right.

``PYTHONPATH=. python tests/hostile/fuzz_manifest.py -max_total_time=60``, after ``pip install
atheris``. What it finds is printed, and fails; the arguments are those of libFuzzer.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main() -> None:
    """Fuzz until the time is over."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["lookalike.store", "lookalike.layout", "json"]):
        importlib.import_module("lookalike.store.manifest")
    from tests.hostile.forging import sealed
    from tests.hostile.test_store_fuzz import BEFORE, check_manifest

    def fuzz(data: bytes) -> None:
        """Splice bytes into a manifest that is known, and make its digest right."""
        provider = atheris.FuzzedDataProvider(data)
        text = BEFORE
        for _ in range(provider.ConsumeIntInRange(0, 3)):
            at = provider.ConsumeIntInRange(0, len(text))
            end = at + provider.ConsumeIntInRange(0, 40)
            piece = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 40))
            text = text[:at] + piece + text[end:]
        check_manifest(sealed(text + provider.ConsumeBytes(provider.remaining_bytes())))

    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
