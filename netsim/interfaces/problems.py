"""Problems, datasets and partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from netsim.interfaces.messages import Array, Indices, Key, NodeId


class GradientRequest(NamedTuple):
    """A gradient (or value) of one node's objective: where, and on which of its samples (None: all).

    `key` is for problems that draw in a gradient, such as dropout; None: nothing is drawn.
    """

    node: NodeId
    at: Array
    batch: Indices | None = None
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Optimum:
    """A minimiser and its value; `error` bounds value - F* from above."""

    at: Array
    value: float
    error: float


class Problem(Protocol):
    """A learning problem with its data: F(w) = (1/M) sum_m f_m(w).

    This is all that every problem has. One that can offer more has the methods of `HasGradients`, `HasBatches`,
    `DrawsMany`, `HasSmoothness`, `HasOptimum`, `HasSamples` or `HasJointMetrics`, too; an algorithm or a scenario that
    needs what a problem lacks is refused with a sentence.
    """

    @property
    def dim(self) -> int: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def layout(self) -> Sequence[tuple[int, ...]]:
        """Tensor shapes in order, for codecs that work per tensor."""

    @property
    def metric_names(self) -> frozenset[str]:
        """Names that `metrics` returns, and ``loss_gap`` where there is an optimum."""

    def start(self) -> Array:
        """Return w^0, shape (dim,)."""

    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return at least ``loss``; ``grad_norm`` (of F at w) where there are gradients.

        ``train_accuracy`` where there are classes; ``test_loss`` and ``test_accuracy`` where there are test samples.
        """

    def num_samples(self, node: NodeId) -> int:
        """Return the number of a node's samples."""


@runtime_checkable
class HasGradients(Protocol):
    """A problem that agents may ask for gradients and values on minibatches."""

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """Draw the node's next minibatch; None where it uses all its samples."""

    def gradients(self, requests: Sequence[GradientRequest]) -> Sequence[Array]:
        """Return one gradient per request; its bits do not depend on which requests share a call.

        The sequence may make each one only when it is asked for, so it is asked once.
        """

    def values(self, requests: Sequence[GradientRequest]) -> Sequence[float]:
        """Return f_m(w) of each request, on its samples."""

    def gradient_flop(self, request: GradientRequest) -> float:
        """Return the floating-point operations of one gradient."""


@runtime_checkable
class HasBatches(Protocol):
    """A problem that says how long an epoch is."""

    def batch_size(self, node: NodeId) -> int:
        """Return the size of the node's minibatch."""


@runtime_checkable
class DrawsMany(Protocol):
    """A problem that draws several minibatches of a node faster than one by one."""

    def draw_batches(self, node: NodeId, rng: np.random.Generator, count: int) -> Sequence[Indices | None]:
        """Return what `count` calls of `HasGradients.draw_batch` return, and leave the stream where they leave it."""


@runtime_checkable
class HasSmoothness(Protocol):
    """A problem whose constants are known: ``step_size: auto`` needs it."""

    def smoothness(self, node: NodeId | None = None) -> float:
        """Return L of F (None) or of one node's f_m."""

    def strong_convexity(self) -> float:
        """Return mu of F; 0 where there is none."""


@runtime_checkable
class HasOptimum(Protocol):
    """A problem whose minimum can be computed: the target ``loss_gap`` needs it."""

    def optimum(self) -> Optimum | None:
        """Return the minimiser to 1e-12 in value; None where there is none."""


@runtime_checkable
class KnownProblem(Problem, HasSmoothness, HasOptimum, Protocol):
    """A problem whose constants and minimum are known."""


@runtime_checkable
class HasSamples(Protocol):
    """A problem that shows a node its own samples, for algorithms that are about samples."""

    def samples(self, node: NodeId) -> Any:
        """Return the node's samples, read-only, as the problem keeps them."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelCounts:
    """How many training samples of each class, by the classes' names, every node has: shape (nodes, classes)."""

    names: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    def total_variation(self) -> npt.NDArray[np.float64]:
        """Return half the sum over classes c of |p_mc - mean_k p_kc|, for each node m: 0 if all are alike, below 1."""
        shares = self.counts / self.counts.sum(1, keepdims=True)
        variation: npt.NDArray[np.float64] = np.abs(shares - shares.mean(0)).sum(1) / 2
        return variation


@runtime_checkable
class DrawsInGradients(Protocol):
    """A problem whose gradients draw random numbers, from `GradientRequest.key`, or change a state of a run."""

    @property
    def wants_keys(self) -> bool:
        """Whether gradients draw."""

    def fresh(self) -> Problem:
        """Return the problem at the beginning of a run, with no state of another one."""


@runtime_checkable
class HasLabels(Protocol):
    """A problem that says which node has samples of which classes."""

    def label_counts(self) -> LabelCounts | None:
        """Return the label counts of all nodes; None where samples have no classes."""


@runtime_checkable
class HasJointMetrics(Protocol):
    """A problem with measures of all nodes' models together, such as the violation of constraints between them."""

    @property
    def joint_metric_names(self) -> frozenset[str]:
        """Names that `joint_metrics` returns."""

    def joint_metrics(self, models: Mapping[NodeId, Array]) -> Mapping[str, float]:
        """Return measures of the models of all nodes, in increasing id."""


class Pairwise(Protocol):
    """Constraints g(x_a, x_b) <= 0 between two nodes' models, the smaller id first, and the set X of all models."""

    @property
    def inner_radius(self) -> float:
        """The radius of a ball around 0 in X."""

    def constraint(self, a: Array, b: Array) -> float:
        """Return g(x_a, x_b)."""

    def constraint_slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return the gradients of g for x_a and for x_b."""

    def project(self, x: Array, shrink: float = 1.0) -> Array:
        """Return the point of shrink X that is nearest to x."""


@runtime_checkable
class HasPairs(Pairwise, Protocol):
    """A problem whose nodes have models of their own, constrained along the edges of the network's graph."""

    def coupled(self, pairs: Sequence[tuple[NodeId, NodeId]]) -> Problem:
        """Return the problem with constraints between these pairs, the smaller id first."""


class ProblemConfig(Protocol):
    """A frozen problem configuration (kind ``problem``); its problem is the same in every replication."""

    @property
    def nodes(self) -> int: ...
    def open(self, seed: int) -> Problem:
        """Load the data and split it."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Which replication's streams parts of a problem are drawn from; all of the first one by default.

    Parameters
    ----------
    data
        Synthetic data, and which samples of a dataset are taken.
    partition
        Which node has which samples.
    start
        w^0.
    """

    data: int = 0
    partition: int = 0
    start: int = 0


@runtime_checkable
class Redraws(Protocol):
    """A problem configuration that replications can draw anew."""

    @property
    def redraws(self) -> frozenset[str]:
        """Names of those `Draws` that change the problem; the others are 0 when it is opened."""

    def open(self, seed: int, draws: Draws = ...) -> Problem:
        """Load the data and split it, from the streams ``(seed, draws.data, -1, "dataset")`` and the like."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A loaded dataset.

    Parameters
    ----------
    features
        Shape (n, p): a C-contiguous float64 (or, of images, float32) array or a scipy CSR array.
    labels
        Shape (n,): -1.0 and 1.0, whole numbers of classes, or what is to be predicted where that is a number.
    name
        For messages and the page.
    test_features, test_labels
        Samples that no node learns from; both None where there are none.
    groups
        Shape (n,): who each sample comes from, as whole numbers from 0; None where nobody knows.
    shape
        Of one sample, such as (channels, height, width); () where it is a plain vector.
    class_names
        Name of each class, whose labels are then 0, 1, 2, ...
    """

    features: Any
    labels: npt.NDArray[np.float64]
    name: str
    test_features: Any = None
    test_labels: npt.NDArray[np.float64] | None = None
    groups: npt.NDArray[np.int64] | None = None
    shape: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()


class Dataset(Protocol):
    """A frozen dataset configuration (kind ``dataset``), which names the files that it reads in `ReadsFiles.files`.

    One with the attribute ``draws = False`` depends on its keys and files alone: replications share what was loaded.
    """

    def load(self, rng: np.random.Generator) -> Data:
        """Load or draw the data."""


class Partition(Protocol):
    """A frozen rule (kind ``partition``) that deals samples to nodes, by chance unless it says ``draws = False``.

    One that deals by whom samples come from has the class attribute ``by_group = True`` and gets `Data.groups` in place
    of labels.
    """

    def split(self, labels: npt.NDArray[np.float64], nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted row indices of each node: disjoint, none empty, together all."""


@runtime_checkable
class ColumnPartition(Protocol):
    """A frozen rule (kind ``partition``) that deals columns to nodes, each of which has them of all samples."""

    def split_columns(self, columns: int, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted column indices of each node: disjoint, none empty, together all."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that netsim does not bring along.

    Parameters
    ----------
    path
        Where it is wanted, below the data folder (``data_dir`` of the dataset, or the environment variable
        NETSIM_DATA), or an absolute path.
    note
        What it is, with its size and licence.
    sha256
        Of the file, in hexadecimal; '' where any content will do.
    url
        What downloads this very file; '' where netsim knows of no place.
    """

    path: str
    note: str
    sha256: str = ""
    url: str = ""


class NeedsNoFile:
    """A dataset for which the installation or a seed is enough."""

    def wants(self) -> tuple[DataFile, ...]:
        """Return no file."""
        return ()

    def found(self) -> Path | None:
        """Return None: nothing is needed."""
        return None

    def files(self) -> Sequence[Path]:
        """Return no file but those of the installation."""
        return ()
