"""What each encoder sees: pictures whose edits are known, found or not, and wrong pairs.

Prints ``docs/encoders.md``. Sources are tiles of photographs that packages bring along
(scikit-image, scikit-learn, matplotlib); each is compared with all its edits, and with all edits of
all other sources. ``--sweep`` prints instead what other thresholds would give.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import photographs

from lookalike.demo.edits import EDITS, TURNS, edited
from lookalike.pictures.encoders import Encoded, Encoder, default_encoders, encoder_named
from lookalike.pictures.read import read_picture

CHUNK = 512
ORIGINAL = "the original"
Distances = npt.NDArray[np.float64]
INTRODUCTION = """# What encoders see

Written by `benchmarks/encoders.py`. {sources} pictures (tiles of the photographs that
scikit-image, scikit-learn and matplotlib bring along, 512 x 384 pixels) were edited in {edits}
ways. A figure is the share of edited pictures that an encoder finds from their original, at its
thresholds *near* / *similar*. *Any* counts what at least one of the first {default} finds: what an
album with these encoders finds.
"""


class Codes:
    """Vectors of all pictures by one encoder.

    Parameters
    ----------
    encoder : Encoder
    vectors : ndarray, shape (sources, pictures of each, d)
    usable : ndarray of bool, shape (sources, pictures of each)
    """

    def __init__(
        self, encoder: Encoder, vectors: npt.NDArray[Any], usable: npt.NDArray[np.bool_]
    ) -> None:
        self.encoder = encoder
        self.usable = usable
        if encoder.metric == "cosine":
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        elif encoder.metric == "hamming":  # +-1, so that a product counts bits
            vectors = 1 - 2.0 * np.unpackbits(vectors, axis=-1)
        self.vectors = vectors.astype(np.float32)

    def between(self, one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> Distances:
        """Distances of each of some vectors with each of others."""
        if self.encoder.metric == "l1":
            return np.array([np.abs(other - own).sum(axis=1) for own in one], np.float64)
        product = (one @ other.T).astype(np.float64)
        if self.encoder.metric == "hamming":
            return np.rint((self.encoder.dimension - product) / 2)
        return np.maximum(1 - product, 0)

    def to_original(self) -> Distances:
        """Of each picture to its original; infinite where too little is to be seen."""
        found = np.array([self.between(own[:1], own)[0] for own in self.vectors])
        found[~(self.usable & self.usable[:, :1])] = np.inf
        return found


def encoded(names: Sequence[str], turns: bool) -> tuple[dict[str, Codes], list[str]]:
    """All pictures of all sources by all encoders, and what was done to them."""
    edits = [*EDITS, *(TURNS if turns else ())]
    encoders = {name: encoder_named(name) for name in names}
    found: dict[str, list[Encoded]] = {n: [] for n in names}
    for _, picture in photographs.sources():
        pixels = [read_picture(edited(picture, "saved as PNG")[0]).pixels]
        pixels += [read_picture(edited(picture, edit)[0]).pixels for edit in edits]
        for name, encoder in encoders.items():
            found[name].append(encoder.encode(pixels))
    codes = {
        name: Codes(encoders[name], *(np.stack(part) for part in zip(*own, strict=True)))
        for name, own in found.items()
    }
    return codes, [ORIGINAL, *edits]


def wrong_pairs(codes: Mapping[str, Codes], thresholds: Mapping[str, float]) -> tuple[int, int]:
    """How many pairs of different sources lie within a threshold of any, and of how many pairs."""
    first = next(iter(codes.values()))
    sources, each = first.usable.shape
    source = np.repeat(np.arange(sources), each)
    wrong = pairs = 0
    flat = {name: own.vectors.reshape(len(source), -1) for name, own in codes.items()}
    for start in range(0, len(source), CHUNK):
        rows = slice(start, start + CHUNK)
        other = source[rows, None] < source[None, :]
        within = np.zeros(other.shape, np.bool_)
        for name, own in codes.items():
            usable = own.usable.ravel()
            near = own.between(flat[name][rows], flat[name]) <= thresholds[name]
            within |= near & usable[rows, None] & usable[None, :]
        wrong += int((within & other).sum())
        pairs += int(other.sum())
    return wrong, pairs


def table(codes: Mapping[str, Codes], pictures: Sequence[str], default: Sequence[str]) -> None:
    """Print the recall of each edit by each encoder."""
    distances = {name: own.to_original() for name, own in codes.items()}
    levels = [
        {name: getattr(own.encoder, level) for name, own in codes.items()}
        for level in ("near", "similar")
    ]
    print(f"| edit | any | {' | '.join(codes)} |")
    print("|---|" + "---|" * (1 + len(codes)))
    for place, edit in enumerate(pictures):
        if edit == ORIGINAL:
            continue
        cells = []
        for names in (default, *([name] for name in codes)):
            shares = [
                np.any([distances[n][:, place] <= limits[n] for n in names], axis=0).mean()
                for limits in levels
            ]
            cells.append(" / ".join(f"{share:.3f}" for share in shares))
        print(f"| {edit} | {' | '.join(cells)} |")
    in_scope = [place for place, edit in enumerate(pictures) if edit in EDITS]
    cells = []
    for names in (default, *([name] for name in codes)):
        shares = [
            np.any([distances[n][:, in_scope] <= limits[n] for n in names], axis=0).mean()
            for limits in levels
        ]
        cells.append(" / ".join(f"{share:.3f}" for share in shares))
    print(f"| **all but mirrored and rotated** | {' | '.join(cells)} |")
    counts = []
    for names in (default, *([name] for name in codes)):
        own = {name: codes[name] for name in names}
        wrong = [wrong_pairs(own, limits) for limits in levels]
        counts.append(" / ".join(f"{count:,}" for count, _ in wrong))
        pairs = wrong[0][1]
    print(f"| wrong pairs, of {pairs:,} | {' | '.join(counts)} |")
    flat = [f"{(~own.usable).mean():.3f}" for own in codes.values()]
    print(f"| pictures in which too little is seen | | {' | '.join(flat)} |")


def sweep(codes: Mapping[str, Codes], pictures: Sequence[str]) -> None:
    """Print recall and wrong pairs of each encoder at many thresholds."""
    in_scope = [place for place, edit in enumerate(pictures) if edit in EDITS]
    for name, own in codes.items():
        values = own.to_original()[:, in_scope].ravel()
        for threshold in np.unique(
            np.quantile(values[np.isfinite(values)], np.linspace(0.5, 1, 26))
        ):
            wrong, pairs = wrong_pairs({name: own}, {name: float(threshold)})
            print(
                f"{name} {threshold:.4g}: recall {(values <= threshold).mean():.4f}, "
                f"{wrong} wrong of {pairs}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="*", default=[*default_encoders(), "pixels"])
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--out", type=Path, help="write there, and not to standard output")
    arguments = parser.parse_args()
    codes, pictures = encoded(arguments.encoders, turns=not arguments.sweep)
    if arguments.sweep:
        sweep(codes, pictures)
        return
    if arguments.out is not None:
        sys.stdout = arguments.out.open("w")
    default = [name for name in arguments.encoders if name != "pixels"]
    sources = len(next(iter(codes.values())).usable)
    print(INTRODUCTION.format(sources=sources, edits=len(pictures) - 1, default=len(default)))
    limits = ", ".join(
        f"{name} {own.encoder.near:g} / {own.encoder.similar:g}" for name, own in codes.items()
    )
    print(f"Thresholds: {limits}.\n")
    table(codes, pictures, default)


if __name__ == "__main__":
    main()
