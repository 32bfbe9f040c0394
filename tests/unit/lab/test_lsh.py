"""The lab's class against a plain-Python version written from the description."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lookalike import datasets
from lookalike.errors import InvalidInput
from lookalike.lab import tasks
from lookalike.lab.lsh import lsh


def _plain_module() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "plain_lsh.py"
    spec = importlib.util.spec_from_file_location("plain_lsh", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plain_lsh"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True, scope="module")
def in_lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("lab")
    np.save(path / "images.npy", datasets.digits().images)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield path


def plain(k: int, m: int) -> Any:
    return _plain_module().PlainLsh("images.npy", k, m, lists=True)


@pytest.mark.parametrize("k", [1, 5, 15, 20, 40])
@pytest.mark.parametrize("m", [1, 5, 15, 20, 40])
def test_candidates_equal_those_of_the_plain_version(k: int, m: int) -> None:
    ours, reference = lsh(k, m), plain(k, m)
    for image in ours.data[1500:]:
        assert ours.candidates(image) == reference.candidates(image)


def test_the_plain_version_has_one_rule_with_lists_and_without() -> None:
    slow = _plain_module().PlainLsh("images.npy", 7, 2)
    assert slow.hashes == plain(7, 2).hashes


def test_buckets_and_codes_equal_those_of_the_plain_version() -> None:
    ours, reference = lsh(20, 5), plain(20, 5)
    assert ours.hashes == reference.hashes
    image = ours.data[1600]
    for i in range(5):
        assert ours.hashcode(image, i) == reference._code(image.ravel().tolist(), i)


def test_every_name_of_the_course_keeps_its_type() -> None:
    me = lsh(20, 5)
    assert (me.k, me.m, me.pixels, me.maxval, me.imlen) == (20, 5, 64, 16, 1024)
    assert me.data.shape == (1797, 8, 8)
    assert me.data.dtype == np.float64
    assert me.hashbits.shape == (5, 20)
    assert (me.hashbits == np.random.RandomState(12345).randint(1024, size=(5, 20))).all()
    assert type(me.hashes) is list
    assert len(me.hashes) == 5
    assert type(me.hashes[0]) is dict
    code, numbers = next(iter(me.hashes[0].items()))
    assert type(code) is str
    assert len(code) == 20
    assert type(numbers) is list
    assert type(numbers[0]) is int
    found = me.candidates(me.data[1500])
    assert type(found) is set
    assert {type(number) for number in found} == {int}
    assert type(me.hashcode(me.data[0], 0)) is str


def test_dictionaries_are_built_only_when_asked_for() -> None:
    me = lsh(5, 2)
    me.candidates(me.data[1500])
    assert "hashes" not in vars(me)
    assert sum(len(bucket) for bucket in me.hashes[1].values()) == 1500


def test_hashing_again_follows_changed_bits() -> None:
    me = lsh(5, 2)
    before = me.hashes
    me.hashbits = lsh(5, 2, seed=1).hashbits
    me.hash_all_images()
    assert me.hashes != before
    assert me.hashes == lsh(5, 2, seed=1).hashes


def test_numpys_global_generator_is_left_alone() -> None:
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    lsh(3, 3)
    assert np.random.random() == expected


def test_an_image_may_be_flat_a_list_or_bytes() -> None:
    me = lsh(20, 5)
    image = me.data[1502]
    expected = me.candidates(image)
    for same in (image.ravel(), image.tolist(), image.astype(np.uint8), image.astype(">f8")):
        assert me.candidates(same) == expected


@pytest.mark.parametrize("value", [17.0, -1.0, 0.5, np.nan, np.inf])
def test_a_pixel_that_is_no_whole_number_from_0_to_16_is_refused(value: float) -> None:
    me = lsh(3, 1)
    image = me.data[1500].copy()
    image[3, 4] = value
    expected = (
        f"im must hold whole numbers from 0 to 16; got 1 of 64 values that are not, the first "
        f"{value}. Take one of lsh.data."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        me.candidates(image)
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        me.hashcode(image, 0)


@pytest.mark.parametrize("shape", [(7, 8), (2, 8, 8), (0,)])
def test_another_shape_than_one_image_is_refused(shape: tuple[int, ...]) -> None:
    expected = (
        f"im must be one image of shape (8, 8) or (64,); got shape {shape}. Take one of lsh.data."
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        lsh(3, 1).candidates(np.zeros(shape))


@pytest.mark.parametrize(
    "thing", [None, "seven", [[1, 2], [3]], np.ma.masked_array(np.zeros((8, 8)), mask=True)]
)
def test_what_is_no_array_of_numbers_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^im must .*; got "):
        lsh(3, 1).candidates(thing)


@pytest.mark.parametrize("value", [17.0, 0.5, np.nan])
def test_images_that_are_no_digits_are_refused(value: float) -> None:
    me = lsh(3, 1)
    me.data[1499, 0, 0] = value
    expected = (
        f"lsh.data must hold whole numbers from 0 to 16; got 1 of 96000 values that are not, the "
        f"first {value}. Write images.npy anew with: lookalike lab DIR"
    )
    with pytest.raises(InvalidInput, match=f"^{re.escape(expected)}$"):
        me.hash_all_images()


@pytest.mark.parametrize(("k", "m"), [(0, 1), (1, 0), (2.0, 1), (-1, 1)])
def test_k_and_m_must_be_whole_and_positive(k: int, m: int) -> None:
    with pytest.raises(InvalidInput, match="whole number of at least 1"):
        lsh(k, m)


def test_agreement_is_what_codes_of_all_bits_show() -> None:
    me = lsh(1, 1)
    images = me.data[[3, 700, 1600]]
    me.hashbits = np.arange(1024)[None]
    codes = [me.hashcode(image, 0) for image in images]
    shares = tasks.agreement(images, images)
    for i, a in enumerate(codes):
        for j, b in enumerate(codes):
            same = sum(x == y for x, y in zip(a, b, strict=True))
            assert shares[i, j] == pytest.approx(same / 1024, abs=1e-12)


def test_searches_of_the_worked_tasks_agree_where_everything_is_a_candidate() -> None:
    me = lsh(1, 15)
    for image in me.data[1500:1520]:
        closest, distance = tasks.brute_force(me.data, image)
        assert tasks.l1_distance(image, me.data[closest]) == distance
        found = tasks.lsh_search(me, image)
        assert found is not None
        assert found[1] == distance


def test_no_candidates_is_none() -> None:
    me = lsh(200, 1)
    missed = [image for image in me.data[1500:] if not me.candidates(image)]
    assert missed
    assert tasks.lsh_search(me, missed[0]) is None


def test_the_sweep_finds_everything_with_enough_tables() -> None:
    rows = {(row.k, row.m): row for row in tasks.sweep(ks=(1, 40), ms=(1, 15))}
    assert rows[1, 15].nearest_found == 1.0
    assert rows[1, 15].candidates == 1500
    assert rows[1, 15].mean_distance == rows[1, 15].exact_distance
    assert rows[40, 1].no_candidate > 0.5
    assert all(row.python_us > 0 for row in rows.values())
    assert rows[40, 1].nearest_found < rows[40, 15].nearest_found < 1.0


def test_distances_of_a_setting_are_means_over_the_same_queries() -> None:
    (row,) = tasks.sweep(ks=(40,), ms=(1,))
    me = lsh(40, 1)
    pairs = [
        (found[1], tasks.brute_force(me.data, image)[1])
        for image in me.data[1500:]
        if (found := tasks.lsh_search(me, image)) is not None
    ]
    assert row.no_candidate == pytest.approx(1 - len(pairs) / 297)
    assert (row.mean_distance, row.exact_distance) == pytest.approx(np.mean(pairs, axis=0))


def test_counted_candidates_surround_what_is_expected() -> None:
    (count,) = tasks.candidate_counts([(20, 5)], seeds=range(100))
    # The mean of 100 draws has a standard deviation of about 34 / 10 around 79.
    assert count.of_seeds.mean() == pytest.approx(count.expected, abs=4 * 3.4)
    assert round(count.of_course) == 128


def test_build_times_are_given_for_each_setting() -> None:
    times = tasks.build_times([(1, 1), (2, 3)], repeats=1)
    assert [(k, m) for k, m, _ in times] == [(1, 1), (2, 3)]
    assert all(milliseconds > 0 for _, _, milliseconds in times)
