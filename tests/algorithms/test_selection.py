"""Keys that all datasets share: classes, test set, subsample, scaling, bias."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.reading.selection import Selection, stratified
from netsim.errors import ConfigError, DataError
from netsim.interfaces import Data

SIZES = {0.0: 20, 1.0: 10, 5.0: 10}
LABELS = np.repeat(list(SIZES), list(SIZES.values()))


@dataclass(frozen=True)
class Toy(Selection):
    """40 samples whose first column is their number; a test set of its own where wanted."""

    tests: int = 0
    sparse: bool = False
    names: tuple[str, ...] = ()

    def read(self, rng):
        x = np.column_stack([np.arange(40.0), np.tile([1.0, -3.0], 20), np.full(40, 2.0)])
        tests = (x[: self.tests], LABELS[: self.tests]) if self.tests else (None, None)
        labels = np.searchsorted(list(SIZES), LABELS).astype(float) if self.names else LABELS
        features = sp.csr_array(x) if self.sparse else x
        return Data(features, labels, "toy", *tests, groups=np.arange(40) % 4, shape=(3, 1, 1), class_names=self.names)


def load(seed=0, **keys):
    return Toy(**keys).load(np.random.default_rng(seed))


def test_nothing_asked_nothing_changed():
    data = load()
    assert np.array_equal(data.features[:, 0], np.arange(40))
    assert np.array_equal(data.labels, LABELS)
    assert data.shape == (3, 1, 1)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stratified_shares_are_within_one_of_exact(data):
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    labels = np.repeat(np.arange(len(sizes), dtype=float), sizes)
    count = data.draw(st.integers(0, labels.size))
    rows = stratified(labels, count, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert rows.size == count
    assert (np.diff(rows) > 0).all()
    for label, size in enumerate(sizes):
        assert abs((labels[rows] == label).sum() - size * count / labels.size) < 1


def test_a_test_set_is_cut_of_every_class_alike():
    data = load(test_fraction=0.3)
    assert np.unique(data.test_labels, return_counts=True)[1].tolist() == [6, 3, 3]
    rows = np.concatenate([data.features[:, 0], data.test_features[:, 0]])
    assert np.array_equal(np.sort(rows), np.arange(40))
    assert np.array_equal(LABELS[data.features[:, 0].astype(int)], data.labels)
    assert np.array_equal(data.features[:, 0].astype(int) % 4, data.groups)
    assert np.array_equal(load(test_fraction=0.3).features, data.features)
    assert not np.array_equal(load(1, test_fraction=0.3).features, data.features)
    own = load(tests=5)
    assert own.test_labels.size == 5
    assert load(tests=5, test_fraction=0.5).test_labels.size == 20


@pytest.mark.parametrize(("wanted", "sizes"), [(8, [4, 2, 2]), (0.1, [2, 1, 1])])
def test_a_subsample_is_of_the_training_samples(wanted, sizes):
    data = load(subsample=wanted, tests=7)
    assert np.unique(data.labels, return_counts=True)[1].tolist() == sizes
    assert data.test_labels.size == 7
    assert np.array_equal(LABELS[data.features[:, 0].astype(int)], data.labels)


def test_classes():
    """Of two classes the smaller label is -1; three keep their labels."""
    two = load(classes=(5, 1), tests=40)
    assert two.labels.tolist() == [-1.0] * 10 + [1.0] * 10
    assert two.test_labels.tolist() == two.labels.tolist()
    assert np.array_equal(two.groups, two.features[:, 0] % 4)
    assert set(load(classes=(0, 1, 5)).labels) == {0, 1, 5}
    named = load(names=("ant", "bee", "cat"), classes=("cat", "ant"))
    assert named.labels.tolist() == [-1.0] * 20 + [1.0] * 10
    one = load(positive_class=5, tests=40)
    assert np.array_equal(one.labels == 1, LABELS == 5)
    assert np.array_equal(one.test_labels == 1, LABELS == 5)
    assert set(one.labels) == {-1, 1}


def test_scales_are_the_training_samples():
    data = load(test_fraction=0.5, normalise="standard")
    train = Toy(test_fraction=0.5).load(np.random.default_rng(0))
    assert np.abs(data.features[:, :2].mean(0)).max() < 1e-14
    assert data.features[:, :2].std(0) == pytest.approx(1)
    assert not data.features[:, 2].any()
    mean, width = train.features[:, 0].mean(), train.features[:, 0].std()
    assert data.test_features[:, 0] == pytest.approx((train.test_features[:, 0] - mean) / width)
    ranged = load(normalise="range").features
    assert (ranged.min(0), ranged.max(0)) == (pytest.approx([0, 0, 0]), pytest.approx([1, 1, 0]))
    assert np.linalg.norm(load(normalise="unit").features, axis=1) == pytest.approx(1)


def test_sparse_columns_are_never_shifted():
    ranged = load(sparse=True, normalise="range").features
    assert np.abs(ranged).max(axis=0).toarray().reshape(-1) == pytest.approx([1, 1, 1])
    assert np.linalg.norm(load(sparse=True, normalise="unit").features.toarray(), axis=1) == pytest.approx(1)
    with pytest.raises(ConfigError, match=r"dataset.normalise: none, range or unit, as columns of sparse"):
        load(sparse=True, normalise="standard")


@pytest.mark.parametrize("sparse", [False, True])
def test_bias(sparse):
    data = load(sparse=sparse, bias=True, tests=0)
    dense = data.features.toarray() if sparse else data.features
    assert (dense[:, 3] == 1).all()
    assert dense.shape == (40, 4)
    assert data.shape == ()


@pytest.mark.parametrize(
    ("keys", "error", "sentence"),
    [
        ({"classes": (0, 7)}, ConfigError, "dataset.classes[1]: a class of toy; there are 0, 1, 5. Got 7."),
        ({"positive_class": "x"}, ConfigError, "dataset.positive_class: a class of toy; there are 0, 1, 5. Got 'x'."),
        (
            {"names": ("ant", "bee", "cat"), "positive_class": "bees"},
            ConfigError,
            "dataset.positive_class: a class of toy; there are ant, bee, cat. Got 'bees'. Nearest: bee.",
        ),
        ({"subsample": 41}, ConfigError, "dataset.subsample: at most 40 samples, as many as there are. Got 41."),
        (
            {"test_fraction": 0.99},
            DataError,
            "toy: test_fraction leaves no sample to learn from. Got 0.99 of 40 samples.",
        ),
    ],
)
def test_what_cannot_be_chosen(keys, error, sentence):
    with pytest.raises(error) as caught:
        load(**keys)
    assert str(caught.value) == sentence
