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

from lookalike import Index
from lookalike.demo.edits import EDITS, TURNS, edited
from lookalike.pictures.encoders import Encoded, Encoder, default_encoders, encoder_named
from lookalike.pictures.read import read_picture

ORIGINAL = "the original"
Distances = npt.NDArray[np.float64]
INTRODUCTION = """# What encoders see

Written by `benchmarks/encoders.py`. {sources} pictures (tiles of the photographs that
scikit-image, scikit-learn and matplotlib bring along, 512 x 384 pixels) were edited in {edits}
ways. A figure is the share of edited pictures that an encoder finds from their original, at its
thresholds *near* / *similar*. *Any* counts what at least one of the first {default} finds: what an
album with these encoders finds. Wrong pairs are of pictures with different originals. Many parts
of one photograph do look alike (grass, gravel, stars, a retina), which the embedding says.

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
        self.given = vectors
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


def pairs_within(own: Codes, threshold: float) -> set[int]:
    """All pairs of pictures within a threshold, each as one number."""
    usable = np.flatnonzero(own.usable.ravel())
    is_bits = own.encoder.metric == "hamming"
    index = Index(
        own.encoder.metric, recall=1, width_bits=own.encoder.dimension if is_bits else None
    )
    index.add(own.given.reshape(own.usable.size, -1)[usable], usable)
    pairs = np.sort(index.pairs(threshold).all().ids, axis=1)
    return set((pairs[:, 0] * own.usable.size + pairs[:, 1]).tolist())


def wrong_pairs(
    codes: Mapping[str, Codes], thresholds: Mapping[str, float], photographs_of: Sequence[str]
) -> tuple[int, int]:
    """Pairs of different sources within a threshold of any encoder.

    Returns
    -------
    (int, int)
        Those of parts of different photographs, and those of different parts of one.
    """
    first = next(iter(codes.values()))
    size, each = first.usable.size, first.usable.shape[1]
    found = set().union(*(pairs_within(own, thresholds[name]) for name, own in codes.items()))
    places = np.fromiter(found, np.int64, len(found))
    one, other = places // size // each, places % size // each
    names = np.array(photographs_of)
    wrong = one != other
    same = names[one] == names[other]
    return int((wrong & ~same).sum()), int((wrong & same).sum())


def counted_pairs(photographs_of: Sequence[str], each: int) -> tuple[int, int]:
    """How many pairs there are of parts of different photographs, and of one."""
    _, counts = np.unique(photographs_of, return_counts=True)
    sources = len(photographs_of)
    same = int((counts * (counts - 1) // 2).sum())
    return (sources * (sources - 1) // 2 - same) * each**2, same * each**2


def table(
    codes: Mapping[str, Codes],
    pictures: Sequence[str],
    default: Sequence[str],
    photographs_of: Sequence[str],
) -> None:
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
    counted = [
        [
            wrong_pairs({name: codes[name] for name in names}, limits, photographs_of)
            for limits in levels
        ]
        for names in (default, *([name] for name in codes))
    ]
    totals = counted_pairs(photographs_of, len(pictures))
    for kind, text in enumerate(("different photographs", "different parts of one photograph")):
        cells = [" / ".join(f"{count[kind]:,}" for count in own) for own in counted]
        print(f"| wrong pairs, of {totals[kind]:,} of {text} | {' | '.join(cells)} |")
    flat = [f"{(~own.usable).mean():.3f}" for own in codes.values()]
    print(f"| pictures in which too little is seen | | {' | '.join(flat)} |")


def sweep(
    codes: Mapping[str, Codes], pictures: Sequence[str], photographs_of: Sequence[str]
) -> None:
    """Print recall and wrong pairs of each encoder at many thresholds."""
    in_scope = [place for place, edit in enumerate(pictures) if edit in EDITS]
    for name, own in codes.items():
        values = own.to_original()[:, in_scope].ravel()
        for threshold in (own.encoder.similar * np.arange(1, 13) / 8).tolist():
            wrong, same = wrong_pairs({name: own}, {name: threshold}, photographs_of)
            print(
                f"{name} {threshold:.4g}: recall {(values <= threshold).mean():.4f}, wrong: "
                f"{wrong} of different photographs, {same} of one"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="*", default=[*default_encoders(), "pixels"])
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--out", type=Path, help="write there, and not to standard output")
    arguments = parser.parse_args()
    names = [name.rsplit(" ", 2)[0] for name, _ in photographs.sources()]
    codes, pictures = encoded(arguments.encoders, turns=not arguments.sweep)
    if arguments.sweep:
        sweep(codes, pictures, names)
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
    table(codes, pictures, default, names)


if __name__ == "__main__":
    main()
