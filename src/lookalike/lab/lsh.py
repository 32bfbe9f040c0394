"""LSH for the handwritten digits: k bits x m hash functions.

The images are read from ``images.npy`` in the working directory: whole values from 0 to 16,
shape (1797, 8, 8). Images 0 to 1499 are indexed, the rest is for testing.

    from lsh import lsh

    me = lsh(20, 5)                      # 5 hash functions of 20 bits each
    me.candidates(me.data[1500])         # the images that share a bucket with image 1500

or, from a shell, ``python lsh.py -k 20 -m 5``.

The buckets live in the compiled tables of the lookalike library; `hashes` builds the
dictionaries that the handout describes when somebody looks at them.
"""

from __future__ import annotations

import argparse
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.engines.rows import Rows
from lookalike.engines.tables import TablesEngine
from lookalike.errors import InvalidInput, LookalikeError, UnreadableFile
from lookalike.hashing.bit_sampling import threshold_functions
from lookalike.native import Measure

__all__ = ["lsh"]

IMAGES = "images.npy"
INDEXED = 1500  # images 0 .. 1499 are indexed
LARGEST = 16  # value of a pixel


class lsh:
    """An index of the digits with m hash functions of k bits.

    Parameters
    ----------
    k : int
        Bits in a hash code.
    m : int
        Number of hash functions, each with a table of its own.
    seed : int
        Of the choice of bits. The course uses 12345.

    Attributes
    ----------
    data : ndarray of float64, shape (1797, 8, 8)
        All images.
    pixels, maxval, imlen : int
        64 pixels of at most 16: an image is a string of 1,024 bits.
    hashbits : ndarray of int, shape (m, k)
        Row i holds the numbers of the bits that make hash code i.
    hashes : list of m dicts
        Code -> numbers of the images that have it, in order.

    Raises
    ------
    InvalidInput
        When k or m is not a whole number of at least 1, or an image is no digit.
    UnreadableFile
        When ``images.npy`` is missing, damaged, or would run code when loaded.
    """

    def __init__(self, k: int, m: int, seed: int = 12345) -> None:
        self.k = arrays.positive_integer(k, "k")
        self.m = arrays.positive_integer(m, "m")
        self.data = _load_images()
        self.pixels = 64
        self.maxval = LARGEST
        self.imlen = self.pixels * self.maxval
        # A generator of its own, so that NumPy's global one is left alone.
        self.hashbits = np.random.RandomState(seed).randint(self.imlen, size=(m, k))
        self.hash_all_images()

    def hashcode(self, im: npt.ArrayLike, i: int) -> str:
        """Return hash code i of an image: a string of k characters, each 0 or 1.

        Bit x of an image belongs to pixel ``x // 16`` and is 1 when ``x % 16`` is at most the
        pixel's value.
        """
        pixels = self._pixels(im)
        return "".join(
            "1" if x % self.maxval <= pixels[x // self.maxval] else "0"
            for x in self.hashbits[i].tolist()
        )

    def hash_all_images(self) -> None:
        """Put images 0 to 1499 into the buckets of all m tables."""
        self.__dict__.pop("hashes", None)
        # The library tests "pixel > threshold"; here the rule is "x % 16 <= pixel".
        functions = threshold_functions(
            self.hashbits // self.maxval,
            self.hashbits % self.maxval - 1,
            dimension=self.pixels,
            value_range=self.maxval,
        )
        rows = Rows(self.pixels, Measure.absolute_differences, self.maxval)
        indexed = np.ascontiguousarray(self.data[:INDEXED])
        try:
            rows.append(indexed)
        except (TypeError, ValueError):  # the full check says what is wrong, or converts
            anew = f"Write {IMAGES} anew with: lookalike lab DIR"
            rows.append(_whole_pixels(indexed, "lsh.data", anew))
        self.engine = TablesEngine(rows, functions)

    @cached_property
    def hashes(self) -> list[dict[str, list[int]]]:
        """The m tables as dictionaries from a code to the images that have it."""
        tables: list[dict[str, list[int]]] = []
        for i in range(self.m):
            buckets: dict[str, list[int]] = {}
            for number, code in enumerate(self._codes(i)):
                buckets.setdefault(code, []).append(number)
            tables.append(buckets)
        return tables

    def candidates(self, im: npt.ArrayLike) -> set[int]:
        """Return the numbers of the images that share a bucket with this one."""
        found = self.engine.candidates_of_one(im) if isinstance(im, np.ndarray) else None
        if found is None:  # not an array of whole numbers as it is: check, and convert
            found = self.engine.candidates(self._pixels(im), 1)[1]
        return set(found.tolist())

    def _pixels(self, im: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        image = arrays.as_array(im, "im")
        if image.size != self.pixels:
            raise InvalidInput(
                f"im must be one image of shape (8, 8) or (64,); got shape {image.shape}. "
                "Take one of lsh.data."
            )
        return _whole_pixels(image, "im", "Take one of lsh.data.").ravel()

    def _codes(self, i: int) -> list[str]:
        """Hash code i of every indexed image."""
        values = self.data[:INDEXED].reshape(-1, self.pixels)[:, self.hashbits[i] // self.maxval]
        bits = self.hashbits[i] % self.maxval <= values
        return [row.tobytes().decode() for row in np.where(bits, b"1", b"0")]


def _whole_pixels(values: npt.ArrayLike, what: str, remedy: str) -> npt.NDArray[np.uint8]:
    pixels = arrays.as_array(values, what)
    wrong = ~np.isin(pixels, np.arange(LARGEST + 1))  # phrased so that NaN fails as well
    if wrong.any():
        raise InvalidInput(
            f"{what} must hold whole numbers from 0 to {LARGEST}; got {wrong.sum()} of "
            f"{pixels.size} values that are not, the first {pixels[wrong][0]}. {remedy}"
        )
    return pixels.astype(np.uint8)


def _load_images() -> npt.NDArray[Any]:
    try:
        with Path(IMAGES).open("rb") as file:
            images = np.load(file, allow_pickle=False)  # a pickle could run anything
    except FileNotFoundError:
        raise UnreadableFile(
            f"lsh reads {IMAGES} in the working directory; it expected the digits there and found "
            "no such file. Change to the lab folder, or write one with: lookalike lab DIR"
        ) from None
    except Exception as damage:  # also TokenError, BadZipFile, MemoryError: by where the damage is
        raise UnreadableFile(
            f"lsh reads {IMAGES}, which must be a plain NumPy array of numbers; got a file that "
            f"cannot be loaded as one ({damage}). Write it anew with: lookalike lab DIR"
        ) from None
    shape = getattr(images, "shape", ())  # an archive of arrays has none
    if shape[1:] != (8, 8) or len(images) < INDEXED:
        got = f"shape {shape}" if shape else f"{type(images).__name__}"
        raise UnreadableFile(
            f"lsh reads {IMAGES}, which must hold at least {INDEXED} images, shape (n, 8, 8); got "
            f"{got}. Write it anew with: lookalike lab DIR"
        )
    return images  # type: ignore[no-any-return]


def main() -> None:
    """Index the digits, and print how many candidates the first ten test images have."""
    parser = argparse.ArgumentParser(description="LSH for the handwritten digits")
    parser.add_argument("-k", type=int, default=20, help="bits in a hash code")
    parser.add_argument("-m", type=int, default=5, help="hash functions")
    options = parser.parse_args()
    print(f"k = {options.k}, m = {options.m}")
    start = time.perf_counter()
    try:
        me = lsh(options.k, options.m)
    except LookalikeError as error:
        raise SystemExit(f"lsh.py: {error}") from None
    for number in range(INDEXED, INDEXED + 10):
        found = me.candidates(me.data[number])
        print("there are %4d candidates for image %4d" % (len(found), number))
    print(f"elapsed time: {time.perf_counter() - start:.4f} s")


if __name__ == "__main__":
    main()
