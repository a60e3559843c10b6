"""Problems that are means over samples: nodes, minibatches, values, gradients and metrics of any model.

A problem says how its model treats samples (`SampledProblem.forward`); all else is here.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from algorithms.learning.batched import BatchedProblem, batch_fault
from algorithms.learning.deferred import Deferred
from algorithms.learning.digest import digest_of
from algorithms.learning.quiet import quiet
from algorithms.learning.shares import Dealt, Shares
from netsim.interfaces import Array, Floats, GradientRequest, Indices, LabelCounts, NodeId

_BLOCK_ROWS = 8192  # looked at together


class Forward(NamedTuple):
    """What a model makes of some samples.

    Parameters
    ----------
    losses
        Of each sample.
    pull
        Takes a weight for each sample (or one for all) and returns sum_i weight_i grad loss_i, shape (dim,), in an
        array of its own.
    guesses
        The class that the model gives each sample, from 0; None where there are no classes.
    """

    losses: Floats
    pull: Callable[[Floats | float], Floats]
    guesses: Indices | None = None


class SampledProblem(BatchedProblem, ABC):
    """f_m(w) = (1/n_m) sum_i loss_i(w) + (l2/2) ||w||^2 over node m's samples, F = (1/M) sum_m f_m.

    Parameters
    ----------
    config, shares, layout
        See `BatchedProblem`; test losses leave the ridge out.
    targets, test_targets
        What the model should say, one for each sample: classes from 0, or numbers.
    """

    def __init__(
        self,
        config: Dealt,
        shares: Shares,
        layout: Sequence[tuple[int, ...]],
        targets: npt.NDArray[Any],
        test_targets: npt.NDArray[Any] | None,
    ) -> None:
        super().__init__(config, shares, layout)
        self._targets, self._test_targets = targets, test_targets
        self._features, self._test_features = shares.features, shares.test_features
        self._block_rows = _BLOCK_ROWS
        self._has_classes = targets.dtype.kind == "i"
        has_tests = test_targets is not None
        some = {"train_accuracy": self._has_classes, "test_loss": has_tests}
        some["test_accuracy"] = has_tests and self._has_classes
        self.metric_names = frozenset({"loss", "grad_norm"} | {name for name, is_there in some.items() if is_there})

    @abstractmethod
    def forward(self, w: Array, features: Any, targets: npt.NDArray[Any]) -> Forward:
        """Apply the model `w` to samples: rows of features with their targets, without the ridge."""

    def content(self) -> str:
        """Return a digest of all samples, and of which node has which."""
        return self._content

    @functools.cached_property
    def _content(self) -> str:
        shares = self._shares
        arrays = (shares.features, shares.labels, shares.test_features, shares.test_labels)
        return digest_of((self.dim, self._edges), arrays)

    def label_counts(self) -> LabelCounts | None:
        """Return samples of each class at every node; None where there are no classes."""
        return self._shares.label_counts() if self._has_classes else None

    def gradients(self, requests: Sequence[GradientRequest]) -> Sequence[Array]:
        """Return one gradient per request, shape (dim,); each is computed on access.

        Raises
        ------
        SimulationError
            If a model has another shape or a batch names a sample that the node lacks.
        """
        makers = list[Callable[[], Array]]()
        for request in requests:
            known = self._recall(request)
            if known is None:
                self.check(request)
                makers.append(functools.partial(self._gradient, request))
            else:
                makers.append(known.copy)
        return Deferred(makers)

    @quiet
    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_m(w) of each request, on its batch."""
        out: list[float] = []
        for request in requests:
            self.check(request)
            w = self.point(request.at)
            losses = [self.forward(w, x, y).losses for x, y in self._blocks(request.node, request.batch)]
            out.append(float(np.concatenate(losses).mean()) + self._ridge(w))
        return out

    def loss(self, w: Array) -> float:
        """Return F(w)."""
        return sum(self.values([GradientRequest(m, w) for m in range(self.num_nodes)])) / self.num_nodes

    @quiet
    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return ``loss`` and ``grad_norm`` of F; ``train_accuracy``, ``test_accuracy``, ``test_loss`` if there are.

        Accuracies are shares of samples that the model gives their class, of all nodes' samples together; ``test_loss``
        is the mean loss of the test samples, without the ridge.
        """
        point = self.point(w)
        values, right, seen, gradients = list[float](), 0, 0, list[Array]()
        total = np.zeros(self.dim)
        for node in range(self.num_nodes):
            losses, gradient, right_here, seen_here = self._pass(node, point)
            values.append(float(losses.mean()) + self._ridge(point))
            right, seen = right + right_here, seen + seen_here
            total += gradient
            if self._is_kept:
                gradients.append(gradient)
        if self._is_kept:
            self._measured = (point.copy(), gradients)
        total /= self.num_nodes
        found = {"loss": sum(values) / self.num_nodes, "grad_norm": float(np.sqrt(np.dot(total, total)))}
        if self._has_classes:
            found["train_accuracy"] = right / seen
        return found | self._tested(point)

    def gradient_flop(self, request: GradientRequest) -> float:
        """Count the operations of one gradient: those of the samples, and 2 per coordinate."""
        size = self.num_samples(request.node) if request.batch is None else request.batch.size
        entries = self._entries(request.node) * size
        return self.sample_flop(entries, size) + 2.0 * self.dim

    @abstractmethod
    def sample_flop(self, entries: float, size: int) -> float:
        """Count the operations of forward and pull for `size` samples with `entries` stored features."""

    def check(self, request: GradientRequest) -> None:
        """Raise `SimulationError` where a model has another shape or a batch names samples that there are not."""
        self.point(request.at)
        batch, size = request.batch, self.num_samples(request.node)
        if batch is not None and (batch.size == 0 or batch.min() < 0 or batch.max() >= size):
            raise batch_fault(self._name, batch, size)

    @quiet
    def _gradient(self, request: GradientRequest) -> Array:
        w = self.point(request.at)
        size = self.num_samples(request.node) if request.batch is None else request.batch.size
        parts = [self.forward(w, x, y).pull(1.0 / size) for x, y in self._blocks(request.node, request.batch)]
        return self._ridged(functools.reduce(np.add, parts), w)

    def _pass(self, node: NodeId, w: Array) -> tuple[Floats, Array, int, int]:
        """Return all losses of a node, its gradient, how many classes are right, and of how many samples."""
        losses, parts, right = list[Floats](), list[Array](), 0
        batch = self._measured_batch(node)
        size = self.num_samples(node) if batch is None else batch.size
        for x, y in self._blocks(node, batch):
            seen = self.forward(w, x, y)
            losses.append(seen.losses)
            parts.append(seen.pull(1.0 / size))
            right += _right(seen, y)
        return np.concatenate(losses), self._ridged(functools.reduce(np.add, parts), w), right, size

    def _measured_batch(self, node: NodeId) -> Indices | None:
        """Return samples of a node that metrics look at; None for all."""
        return None

    def _tested(self, w: Array) -> dict[str, float]:
        if self._test_targets is None:
            return {}
        losses, right = list[Floats](), 0
        for first in range(0, self._test_targets.size, self._block_rows):
            part = slice(first, first + self._block_rows)
            seen = self.forward(w, self._test_features[part], self._test_targets[part])
            losses.append(seen.losses)
            right += _right(seen, self._test_targets[part])
        found = {"test_loss": float(np.concatenate(losses).mean())}
        return found | ({"test_accuracy": right / self._test_targets.size} if self._has_classes else {})

    def _blocks(self, node: NodeId, batch: Indices | None) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
        """Yield features and targets of the node's samples, some at a time."""
        first, stop = self._edges[node], self._edges[node + 1]
        size = stop - first if batch is None else batch.size
        for begin in range(0, size, self._block_rows):
            end = min(begin + self._block_rows, size)
            if batch is None:
                part: Any = slice(first + begin, first + end)
            else:
                part = np.asarray(batch[begin:end], np.int64) + first
            yield self._features[part], self._targets[part]

    def _ridged(self, gradient: Array, w: Array) -> Array:
        if self._l2:
            gradient += self._l2 * w
        return gradient

    def _entries(self, node: NodeId) -> float:
        """Return mean stored features of a node's sample."""
        if not hasattr(self._features, "indptr"):
            return float(self._features.shape[1])
        starts = self._features.indptr
        return float(starts[self._edges[node + 1]] - starts[self._edges[node]]) / self.num_samples(node)


def _right(seen: Forward, targets: npt.NDArray[Any]) -> int:
    return 0 if seen.guesses is None else int(np.count_nonzero(seen.guesses == targets))
