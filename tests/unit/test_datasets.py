import sys

import numpy as np
import pytest

from lookalike import MissingExtra
from lookalike.datasets import digits


def test_digits_are_whole_numbers_from_0_to_16() -> None:
    loaded = digits()
    assert loaded.images.shape == (1797, 8, 8)
    assert loaded.images.dtype == np.float64
    assert (loaded.images == np.round(loaded.images)).all()
    assert (loaded.images.min(), loaded.images.max()) == (0.0, loaded.value_range)


def test_each_image_has_a_label() -> None:
    loaded = digits()
    assert len(loaded) == len(loaded.labels) == 1797
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:10].tolist() == list(range(10))  # the first ten are written in order


def test_labels_belong_to_their_images() -> None:
    # A zero has a hole in its middle, a one has ink there.
    loaded = digits()
    middle = loaded.images[:, 3:5, 3:5].mean(axis=(1, 2))
    assert middle[loaded.labels == 0].mean() < 2
    assert middle[loaded.labels == 1].mean() > 10


def test_a_missing_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra) as caught:
        digits()
    assert str(caught.value) == (
        "the digits data set needs scikit-learn, which is not installed; "
        "install it with: pip install 'lookalike[lab]'"
    )
