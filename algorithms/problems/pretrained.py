"""A classifier that is trained already, whose features are measured by several nodes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.learning.imported import imported, sources
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt, Range, Ref
from netsim.interfaces import Array, Dataset, Floats, NodeId
from netsim.registry import Examples, component
from netsim.rng import stream


@component("problem")
@dataclass(frozen=True)
class Pretrained:
    """Decide as a trained classifier h does, from what nodes say of their own features.

    The model that is measured is the vector of decisions on the test samples, -1 where none has been made yet.
    ``loss`` is the share of decisions that differ from h on the whole features, ``agreement`` the rest, ``accuracy``
    the share that equals the label.

    Parameters
    ----------
    dataset
        Dense features; constant ones are left out.
    nodes
        Sensors, to which the features are dealt in order.
    features
        How many features each node has; empty: the same for all, up to one.
    classifier, arguments
        A class with `fit` and `predict`, such as scikit-learn's, and what it is made with; of a PyTorch module
        `algorithms.learning.torch_classifier.TorchClassifier`. Or ``FILE.py:NAME``, with the file beside the scenario;
        what it makes may have `predict` alone, trained already. Classes are 0 .. C-1, in the order of the labels.
    test_fraction
        Share of the samples that are decided on; the others train h and design quantizers.

    References
    ----------
    Hanna, Ezzeldin, Sadjadpour, Fragouli, Diggavi, "On distributed quantization for classification", IEEE JSAIT 2020.
    """

    examples: ClassVar[Examples] = (
        {"dataset": "breast_cancer", "nodes": 3},
        {"dataset": "digits", "nodes": 2, "features": [40, 22], "classifier": "sklearn.tree.DecisionTreeClassifier",
         "arguments": {"max_depth": 5, "random_state": 0}},
    )  # fmt: skip

    dataset: Annotated[Dataset, Ref("dataset")]
    nodes: PositiveInt = 4
    features: tuple[PositiveInt, ...] = ()
    classifier: str = "sklearn.linear_model.LogisticRegression"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    test_fraction: Annotated[float, Range(gt=0, lt=1)] = 0.3

    def open(self, seed: int) -> PretrainedProblem:
        """Load the data, deal the features, train h.

        Raises
        ------
        ConfigError
            If the features do not go round, or there is no such classifier.
        """
        data = self.dataset.load(stream(seed, 0, -1, "dataset"))
        x = np.asarray(data.features, np.float64)
        x = x[:, np.ptp(x, axis=0) > 0]
        if self.features and (len(self.features) != self.nodes or sum(self.features) > x.shape[1]):
            got = f"{len(self.features)} numbers, {sum(self.features)} in all"
            allowed = f"a number for each of {self.nodes} nodes, at most {x.shape[1]} in all"
            raise ConfigError([Fault(("features",), allowed, got)])
        if self.nodes > x.shape[1]:
            raise ConfigError([Fault(("nodes",), f"at most {x.shape[1]}, a feature each", str(self.nodes))])
        parts = self.features or tuple(len(p) for p in np.array_split(np.arange(x.shape[1]), self.nodes))
        owners = np.repeat(np.arange(self.nodes), parts)
        order = stream(seed, 0, -1, "split").permutation(len(x))
        cut = max(1, round(self.test_fraction * len(x)))
        test, train = np.sort(order[:cut]), np.sort(order[cut:])
        classes, labels = np.unique(data.labels, return_inverse=True)
        x = x[:, : len(owners)]
        h = self._classifier()
        if not train.size:
            got = f"{self.test_fraction:g} of {len(x)} samples"
            raise ConfigError([Fault(("test_fraction",), "a share that leaves samples to learn from", got)])
        if hasattr(h, "fit"):
            try:
                h = h.fit(x[train], labels[train])
            except ValueError as error:
                allowed = f"a classifier that learns from {train.size} samples"
                raise ConfigError([Fault(("classifier",), allowed, " ".join(str(error).split()))]) from error
        self._check(h, x[train], len(classes))
        return PretrainedProblem(h, x[train], x[test], labels[test], owners, len(classes))

    def files(self) -> Sequence[Path]:
        """Return the file of the classifier, and modules of the user's that it imports."""
        return sources(self.classifier)

    def _classifier(self) -> Any:
        if self.classifier.rpartition(":")[0].endswith(".py"):
            return imported(self.classifier, "classifier")(**self.arguments)
        module, _, name = self.classifier.rpartition(".")
        try:
            return getattr(importlib.import_module(module), name)(**self.arguments)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            allowed = "a class with fit and predict, such as sklearn.linear_model.LogisticRegression"
            raise ConfigError([Fault(("classifier",), allowed, f"{self.classifier}: {error}")]) from None

    def _check(self, h: Any, x: Floats, classes: int) -> None:
        """Refuse a classifier whose decisions on the training samples are no classes.

        Raises
        ------
        ConfigError
            If it has no `predict`, or one that gives anything but one of 0 .. C-1 for each sample.
        """
        allowed = f"a classifier whose predict gives one of 0 .. {classes - 1} for each sample"
        try:
            found = np.asarray(h.predict(x))
        except Exception as error:  # whatever the user's class does
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError([Fault(("classifier",), allowed, f"{self.classifier}: {text}")]) from error
        if found.shape != (len(x),) or not np.isin(found, np.arange(classes)).all():
            got = f"{found.ravel()[:4].tolist()}, shape {found.shape}"
            raise ConfigError([Fault(("classifier",), allowed, got)])


@dataclass(frozen=True, eq=False)
class Sensing:
    """What a sensor or the centre knows.

    Parameters
    ----------
    features
        Test samples: a sensor's own columns; the centre has none.
    train, owners, h
        Of the centre: training samples, the node of each feature, and the classifier; a sensor has None.
    """

    features: Floats
    train: Floats | None = None
    owners: tuple[int, ...] = ()
    h: Any = None


class PretrainedProblem:
    """The live problem; it has no gradients."""

    metric_names = frozenset({"loss", "accuracy", "agreement"})

    def __init__(self, h: Any, train: Floats, test: Floats, labels: Any, owners: Any, classes: int) -> None:
        self.h, self.train, self.test, self.labels, self.classes = h, train, test, labels, classes
        self.owners = tuple(int(owner) for owner in owners)
        self.num_nodes, self.dim = max(self.owners) + 1, len(test)
        self.layout = ((self.dim,),)
        self.decisions = np.asarray(h.predict(test), np.int64)

    def start(self) -> Array:
        """No decision yet."""
        return np.full(self.dim, -1.0)

    def num_samples(self, node: NodeId) -> int:
        """Test samples."""
        return self.dim

    def samples(self, node: NodeId) -> Sensing:
        """Return what a node knows; the centre's id is the number of sensors."""
        if node >= self.num_nodes:
            return Sensing(np.zeros((self.dim, 0)), self.train, self.owners, self.h)
        return Sensing(self.test[:, [owner == node for owner in self.owners]])

    def metrics(self, w: Array) -> Mapping[str, float]:
        """Of the decisions made; before the first one nothing agrees."""
        made = w >= 0
        count = max(int(np.count_nonzero(made)), 1)
        agreement = float(np.count_nonzero(w[made] == self.decisions[made])) / count
        accuracy = float(np.count_nonzero(w[made] == self.labels[made])) / count
        return {"loss": 1.0 - agreement, "agreement": agreement, "accuracy": accuracy}
