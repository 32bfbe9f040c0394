"""What an index was asked for: every argument of its constructor, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike import arrays
from lookalike.errors import InvalidInput
from lookalike.seeds import resolve_seed

__all__ = ["Settings", "checked_recall"]

_DEFAULT_RECALL = 0.95
_PROMISES = ("calibrated", "guaranteed")
_FAMILIES = {  # of hash functions, by metric
    "l1": ("bit_sampling", "p_stable"),
    "l2": ("p_stable",),
    "cosine": ("hyperplane", "cross_polytope"),
    "hamming": ("bit_sampling",),
}
_MOST_HASHED = 65_536  # bits of a code, and tables
_MOST_PROBES = 4096
_MOST_SAID = 10_000  # characters of a text


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of an index, as its constructor documents them.

    Attributes
    ----------
    metric : str
    recall : float or None
        None when bits and tables decide it.
    promise : str
    bits, tables : int or None
    family : str or None
    probes : int
    bucket_width : float or None
    value_range, width_bits : int or None
    seed : int
        Drawn, where None was given.
    encoder : str or None
        What made the vectors.
    """

    metric: str
    recall: float | None
    promise: str
    bits: int | None
    tables: int | None
    family: str | None
    probes: int
    bucket_width: float | None
    value_range: int | None
    width_bits: int | None
    seed: int
    encoder: str | None = None

    @classmethod
    def checked(
        cls,
        metric: str,
        *,
        recall: float | None,
        promise: str,
        bits: int | None,
        tables: int | None,
        family: str | None,
        probes: int,
        bucket_width: float | None,
        value_range: int | None,
        width_bits: int | None,
        seed: int | None,
        encoder: str | None = None,
    ) -> Settings:
        """Settings that go together.

        Parameters
        ----------
        metric : str
            A known one; the others as they were given.

        Raises
        ------
        InvalidInput
            When one is wrong, or does not go with another.
        """
        settings = cls(
            metric,
            _recall_of(recall, bits, tables),
            _promise_of(promise, bits),
            _counted(bits, "bits", _MOST_HASHED),
            _counted(tables, "tables", _MOST_HASHED),
            family,
            arrays.positive_integer(probes, "probes", _MOST_PROBES),
            bucket_width,
            _counted(value_range, "value_range", 255),
            _counted(width_bits, "width_bits"),
            resolve_seed(seed),
            _encoder_of(encoder),
        )
        settings._check_hashing()
        settings._check_ranges()
        return settings

    @property
    def hashes_lines(self) -> bool:
        """Whether hash functions are intervals of lines, whatever the items are."""
        return self.metric == "l2" or self.family == "p_stable" or self.bucket_width is not None

    @property
    def samples_bits(self) -> bool:
        """Whether hash functions may be sampled bits of the values of an item."""
        return self.bits is not None and self.metric == "l1" and not self.hashes_lines

    @property
    def may_widen(self) -> bool:
        """Whether bytes may become float32 when items come that are no bytes."""
        is_free = self.value_range is None and self.width_bits is None
        return is_free and (self.bits is None or self.metric == "l2")

    def _check_hashing(self) -> None:
        given = self.probes != 1 or self.bucket_width is not None or self.family is not None
        if self.bits is None and given:
            raise InvalidInput(
                "family, probes and bucket_width must go with bits and tables; got "
                f"family={self.family!r}, probes={self.probes}, bucket_width={self.bucket_width!r} "
                "without. Give all, or say a recall alone."
            )
        if self.family is not None and self.family not in _FAMILIES[self.metric]:
            raise InvalidInput(
                f"family must be one of {', '.join(map(repr, _FAMILIES[self.metric]))} for metric "
                f"{self.metric!r}; got {self.family!r}. Leave it out for the first that fits."
            )
        width = self.bucket_width
        on_lines = self.family in (None, "p_stable") and "p_stable" in _FAMILIES[self.metric]
        if width is not None and (not on_lines or not 0 < width < math.inf):
            raise InvalidInput(
                "bucket_width must be a positive number, for family 'p_stable' of metric 'l1' or "
                f"'l2'; got {width!r}. Leave it out to have it chosen."
            )

    def _check_ranges(self) -> None:
        for name, value, metrics in (
            ("value_range", self.value_range, ("l1", "l2")),
            ("width_bits", self.width_bits, ("hamming",)),
        ):
            if value is not None and self.metric not in metrics:
                raise InvalidInput(
                    f"{name} must be left out for metric {self.metric!r}, to which it does not "
                    f"apply; got {value!r}. value_range is for 'l1' and 'l2', width_bits for "
                    "'hamming'."
                )


def checked_recall(recall: float) -> float:
    """A recall in (0, 1], or an InvalidInput."""
    number = arrays.real_number(recall)
    if not 0.0 < number <= 1.0:  # phrased so that NaN fails as well
        raise InvalidInput(
            f"recall must be in (0, 1]; got {recall!r}. 0.95 finds 19 of 20 true neighbours."
        )
    return number


def _encoder_of(encoder: str | None) -> str | None:
    if encoder is not None and not (isinstance(encoder, str) and 0 < len(encoder) <= _MOST_SAID):
        raise InvalidInput(
            f"encoder must be text of 1 to {_MOST_SAID:,} characters; got {encoder!r:.80}. Name "
            "what makes the vectors, and its version."
        )
    return encoder


def _counted(value: int | None, name: str, most: int | None = None) -> int | None:
    return None if value is None else arrays.positive_integer(value, name, most)


def _recall_of(recall: float | None, bits: int | None, tables: int | None) -> float | None:
    """Check that the three go together; None when bits and tables decide."""
    if (bits is None) != (tables is None):
        raise InvalidInput(
            f"bits and tables must be given together; got bits={bits!r}, tables={tables!r}. "
            "Give both, or neither and a recall."
        )
    if bits is not None:
        if recall is not None:
            raise InvalidInput(
                f"bits and tables decide the recall, so recall must be left out; got "
                f"recall={recall!r}. Give one or the other."
            )
        return None
    if recall is None:
        return _DEFAULT_RECALL
    return checked_recall(recall)


def _promise_of(promise: str, bits: int | None) -> str:
    if promise not in _PROMISES:
        raise InvalidInput(
            f"promise must be one of {', '.join(map(repr, _PROMISES))}; got {promise!r}. The first "
            "is for queries like the items, the second for any."
        )
    if promise == "guaranteed" and bits is not None:
        raise InvalidInput(
            "bits and tables decide the recall, so that nothing can be guaranteed beside; got "
            f"promise={promise!r}. Give one or the other."
        )
    return promise
