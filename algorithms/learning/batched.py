"""Problems over samples of nodes: sizes, minibatches, and gradients that a measurement has made already."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from algorithms.learning.shares import Dealt, Shares, batch_sizes, draw, draw_many
from netsim.errors import SimulationError
from netsim.interfaces import Array, Floats, GradientRequest, Indices, LabelCounts, NodeId

_KEPT_MAX = 10_000_000  # floats of gradients kept from a measurement


class BatchedProblem:
    """A live problem whose nodes hold samples and draw minibatches of them; it starts at zero.

    Parameters
    ----------
    config
        Its keys, and its name for errors.
    shares
        The samples in the order of their nodes.
    layout
        Tensor shapes of the model.
    """

    def __init__(self, config: Dealt, shares: Shares, layout: Sequence[tuple[int, ...]]) -> None:
        self._name, self._shares, self._l2 = config.name, shares, config.l2
        self._edges, self.num_nodes = shares.edges, shares.num_nodes
        self._batch_sizes = batch_sizes(config.batch, shares)
        self.layout = tuple(layout)
        self.dim = sum(math.prod(shape) for shape in layout)
        # Full batches are measured and then asked for at the same model: one pass over the data serves both.
        self._is_kept = not any(self._batch_sizes) and self.num_nodes * self.dim <= _KEPT_MAX
        self._measured: tuple[Array, Sequence[Array]] | None = None

    def start(self) -> Array:
        """Return zeros."""
        return np.zeros(self.dim)

    def num_samples(self, node: NodeId) -> int:
        """Return n_m."""
        return self._edges[node + 1] - self._edges[node]

    def label_counts(self) -> LabelCounts | None:
        """Return samples of each class at every node; None where there are no classes."""
        return self._shares.label_counts()

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """Draw sorted positions among the node's samples, without replacement; None for all."""
        return draw(self._batch_sizes[node], self.num_samples(node), rng)

    def draw_batches(self, node: NodeId, rng: np.random.Generator, count: int) -> Sequence[Indices | None]:
        """Draw as many batches as `count` calls of `draw_batch` do, the same ones."""
        return draw_many(self._batch_sizes[node], self.num_samples(node), rng, count)

    def batch_size(self, node: NodeId) -> int:
        """Return the samples of one minibatch, n_m for full batches."""
        return self._batch_sizes[node] or self.num_samples(node)

    def point(self, w: Array) -> Floats:
        """Return a model as a float64 vector, the very array where it is one.

        Raises
        ------
        SimulationError
            If it has another shape.
        """
        if np.shape(w) != (self.dim,):
            raise SimulationError(f"{self._name}: a model of shape ({self.dim},) is needed. Got {np.shape(w)}.")
        return np.ascontiguousarray(w, np.float64)

    def _recall(self, request: GradientRequest) -> Any:
        """Return the full gradient if `metrics` was last asked at exactly this model."""
        if request.batch is not None or self._measured is None or np.shape(request.at) != (self.dim,):
            return None
        at, gradients = self._measured
        is_same = np.array_equal(self.point(request.at).view(np.int64), at.view(np.int64))
        return gradients[request.node] if is_same else None

    def _ridge(self, w: Array) -> float:
        return self._l2 / 2 * float(np.dot(w, w)) if self._l2 else 0.0


def batch_fault(name: str, batch: Indices, size: int) -> SimulationError:
    """Return the error of a batch that is empty or names samples beyond those of its node."""
    got = f"positions {batch.min()} to {batch.max()}" if batch.size else "an empty one"
    return SimulationError(f"{name}: a batch names some of the node's {size} samples, from 0. Got {got}.")
