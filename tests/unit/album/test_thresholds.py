"""Thresholds: by level, and moved by a few examples no farther than these ask."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from tests.unit.album.planted import code, content

from lookalike import Index
from lookalike.album.thresholds import Calibrated, Example, Share, calibrate, thresholds_of
from lookalike.errors import InvalidInput


@dataclass(frozen=True)
class Encoder:
    near: float
    similar: float


ENCODERS = {"pdq": Encoder(20, 40), "phash": Encoder(4, 8)}


@pytest.mark.parametrize(
    ("level", "own", "wanted"),
    [
        ("exact", {}, {}),
        ("near", {}, {"pdq": 20, "phash": 4}),
        ("similar", {}, {"pdq": 40, "phash": 8}),
        ("near", {"near": {"pdq": 31}}, {"pdq": 31, "phash": 4}),
        ("similar", {"near": {"pdq": 50}}, {"pdq": 50, "phash": 8}),
        ("near", {"similar": {"phash": 3}}, {"pdq": 20, "phash": 3}),
        ("similar", {"near": {"phash": 6}, "similar": {"phash": 5}}, {"pdq": 40, "phash": 6}),
    ],
)
def test_similar_takes_in_what_near_does_whatever_was_calibrated(
    level: str, own: dict[str, dict[str, float]], wanted: dict[str, float]
) -> None:
    assert thresholds_of(level, ENCODERS, own) == wanted


def test_another_level_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'nearly'"):
        thresholds_of("nearly", ENCODERS)


class Judged:
    """Examples at chosen distances, in an index of unlike pictures."""

    def __init__(self, others: int = 300) -> None:
        self.index = Index("hamming", width_bits=256)
        random = np.random.default_rng(0)
        self.index.add(random.integers(0, 256, (max(others, 1), 32), dtype=np.uint8))
        self.examples: list[Example] = []

    def say(self, same: bool, *distances: int) -> Judged:
        for distance in distances:
            number = len(self.examples)
            one, other = content(f"one {number}"), content(f"other {number}")
            base = np.random.default_rng(number + 1).integers(0, 256, 32, dtype=np.uint8)
            self.index.add(base[None], [one.id])
            self.index.add((base ^ code(range(distance), 256))[None], [other.id])
            self.examples.append(Example(one, other, same))
        return self

    def calibrated(self, level: str = "near") -> Calibrated:
        return calibrate({"pdq": self.index}, {"pdq": ENCODERS["pdq"]}, self.examples, level=level)

    def threshold(self) -> float:
        return self.calibrated().thresholds["pdq"]


def test_a_threshold_stays_where_examples_agree_with_it() -> None:
    assert Judged().say(True, 2, 10).say(False, 60, 90).threshold() == 20


def test_a_threshold_goes_to_the_middle_between_the_classes() -> None:
    assert Judged().say(True, 2, 30).say(False, 41, 90).threshold() == 35
    assert Judged().say(True, 2, 6).say(False, 11, 90).threshold() == 8


def test_where_classes_overlap_the_balanced_accuracy_decides() -> None:
    judged = Judged().say(True, 5, 6, 7, 8, 50).say(False, 10, 60, 61, 62)
    assert judged.threshold() == 9  # one of five missed is better than one of four let in
    judged = Judged().say(True, 2, 3, 4, 5, 30, 31).say(False, 25, 90)
    assert judged.threshold() == 20  # as is missing two of six and letting in one of two


def test_with_one_class_alone_a_threshold_moves_as_far_as_it_must() -> None:
    assert Judged().say(True, 3, 31).threshold() == 31
    assert Judged().say(False, 12, 90).threshold() == 6


def test_no_threshold_is_set_where_pictures_at_random_begin_to_match() -> None:
    judged = Judged().say(True, 60, 100, 110).say(False, 130)
    (own,) = judged.calibrated().encoders
    assert own.is_capped
    assert 60 <= own.threshold < 90
    assert "random" in str(own)
    assert not Judged().say(True, 30).calibrated().encoders[0].is_capped


def test_of_a_few_pictures_nothing_is_known_so_that_the_measured_threshold_is_the_last() -> None:
    judged = Judged(others=1).say(True, 30).say(False, 60)
    (own,) = judged.calibrated().encoders
    assert (own.threshold, own.is_capped) == (20, True)


def test_the_level_has_its_own_measured_threshold() -> None:
    calibrated = Judged().say(True, 30).say(False, 60).calibrated("similar")
    assert calibrated.level == "similar"
    assert calibrated.thresholds == {"pdq": 40}


def test_few_examples_give_wide_intervals() -> None:
    few = Judged().say(True, 2, 10).say(False, 60, 90).calibrated()
    assert (few.recall.count, few.recall.of) == (2, 2)
    assert few.recall.low < 0.35
    many = Judged().say(True, *range(2, 14)).say(False, *range(60, 72)).calibrated()
    assert many.recall.low > 0.7
    assert many.precision.high == 1.0


def test_each_example_is_judged_by_the_others() -> None:
    """Three distances that only their own example would have drawn the threshold to."""
    (own,) = Judged().say(True, 2, 35).say(False, 60).calibrated().encoders
    assert own.threshold == 20 + 27  # between 35 and 60
    assert (own.recall.count, own.recall.of) == (1, 2)


def test_the_interval_is_that_of_wilson() -> None:
    share = Share.counted(np.array([True] * 8 + [False] * 2))
    assert share.low == pytest.approx(0.4902, abs=1e-4)  # Brown, Cai and DasGupta, 2001
    assert share.high == pytest.approx(0.9433, abs=1e-4)
    nothing = Share.counted(np.array([], bool))
    assert (nothing.low, nothing.high) == (0.0, 1.0)


def test_what_an_encoder_sees_too_little_in_it_does_not_find() -> None:
    judged = Judged().say(True, 2, 4).say(False, 60)
    judged.index.remove([judged.examples[0].one.id])
    calibrated = judged.calibrated()
    assert calibrated.encoders[0].seen == 2
    assert (calibrated.recall.count, calibrated.recall.of) == (1, 2)


def test_a_pair_counts_when_any_encoder_finds_it() -> None:
    judged, others = Judged().say(True, 2, 90), Judged().say(True, 90, 2)
    encoders = {"one": Encoder(20, 40), "two": Encoder(20, 40)}
    calibrated = calibrate({"one": judged.index, "two": others.index}, encoders, judged.examples)
    assert calibrated.recall.count == 2
    assert [own.recall.count for own in calibrated.encoders] == [1, 1]


def test_what_was_calibrated_is_printed_and_goes_into_json() -> None:
    calibrated = Judged().say(True, 2, 30).say(False, 41, 90).calibrated()
    text = str(calibrated)
    assert "pdq        35 (measured: 20)" in text
    assert "95 %" in text
    assert json.loads(json.dumps(calibrated.to_dict()))["encoders"][0]["threshold"] == 35


def test_examples_that_say_nothing_are_refused() -> None:
    judged = Judged().say(True, 2)
    same = Example(content("a"), content("a"), same=True)
    for examples, level in (([], "near"), ([same], "near"), (judged.examples, "exact")):
        with pytest.raises(InvalidInput):
            calibrate({"pdq": judged.index}, {"pdq": ENCODERS["pdq"]}, examples, level=level)
