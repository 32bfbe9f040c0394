"""The lab's `lsh` in plain Python, written from its description alone.

The reference that the tests compare with and the benchmark measures against. It shares no code
with the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

INDEXED = 1500


class PlainLsh:
    """k bits x m hash functions over images of 8 x 8 pixels from 0 to 16.

    ``lists=True`` takes the numbers out of NumPy before the loops, which a Python programmer who
    measures would do: the same code then runs about three times as fast.
    """

    def __init__(self, path: str, k: int, m: int, *, lists: bool = False) -> None:
        self.data = np.load(path, allow_pickle=False)
        self.lists = lists
        hashbits = np.random.RandomState(12345).randint(1024, size=(m, k))
        self.hashbits: Any = hashbits.tolist() if lists else hashbits
        self.hashes: list[dict[str, list[int]]] = [{} for _ in range(m)]
        for number in range(INDEXED):
            pixels = self._pixels(self.data[number])
            for i in range(m):
                self.hashes[i].setdefault(self._code(pixels, i), []).append(number)

    def candidates(self, image: npt.NDArray[np.float64]) -> set[int]:
        """The union of the image's m buckets."""
        pixels = self._pixels(image)
        found: set[int] = set()
        for i, table in enumerate(self.hashes):
            found.update(table.get(self._code(pixels, i), []))
        return found

    def _pixels(self, image: npt.NDArray[np.float64]) -> Sequence[float]:
        flat = image.flatten()
        return flat.tolist() if self.lists else flat  # type: ignore[return-value]

    def _code(self, pixels: Sequence[float], i: int) -> str:
        """Bit x belongs to pixel x // 16 and is 1 exactly when x % 16 <= its value."""
        code = ""
        for x in self.hashbits[i]:
            code += "1" if x % 16 <= pixels[x // 16] else "0"
        return code
