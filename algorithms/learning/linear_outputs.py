"""Problems whose model is a matrix W: a sample x has the outputs W x, one for each row."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from algorithms.learning.deferred import Deferred
from algorithms.learning.eigen import largest_eigenvalue
from algorithms.learning.quiet import quiet
from algorithms.learning.rows import DenseRows, Rows, Span, SparseRows
from algorithms.learning.sampled import Forward, SampledProblem
from algorithms.learning.shares import Dealt, Shares
from netsim.interfaces import Array, Floats, GradientRequest, Indices, NodeId, Optimum

_STACKED_MAX = 1 << 22  # entries of minibatches that lie side by side in memory


class Verdict(NamedTuple):
    """What outputs of shape (..., outputs) come to.

    Parameters
    ----------
    losses
        Shape (...).
    slopes
        The gradient of each loss with respect to the outputs, shape (..., outputs).
    guesses
        The class that the outputs say, shape (...); None where there are no classes.
    """

    losses: Floats
    slopes: Floats
    guesses: Indices | None = None


class LinearOutputs(SampledProblem):
    """A `SampledProblem` of a matrix W of shape (outputs, columns), convex in the outputs.

    Parameters
    ----------
    outputs
        Rows of W.
    curvature
        An upper bound on the eigenvalues of the loss's second derivative in the outputs.
    config, shares, targets, test_targets
        See `SampledProblem`.

    Notes
    -----
    Minibatches of one size are multiplied in one stacked product, which has the bits of the products one by one.
    """

    def __init__(
        self,
        config: Dealt,
        shares: Shares,
        targets: npt.NDArray[Any],
        test_targets: npt.NDArray[Any] | None,
        outputs: int,
        curvature: float,
    ) -> None:
        self._shape = (outputs, shares.features.shape[1])
        super().__init__(config, shares, (self._shape,), targets, test_targets)
        self._curvature = curvature
        if self._l2 > 0:
            self.metric_names |= {"loss_gap"}
        self._smoothness: dict[NodeId | None, float] = {}

    @abstractmethod
    def judge(self, outputs: Floats, targets: npt.NDArray[Any]) -> Verdict:
        """Return losses and slopes of outputs of shape (..., outputs)."""

    def forward(self, w: Array, features: Any, targets: npt.NDArray[Any]) -> Forward:
        """Apply W to rows of features."""
        seen = self.judge(features @ w.reshape(self._shape).T, targets)

        def pull(weights: Floats | float) -> Floats:
            weighted = seen.slopes * (weights[:, None] if isinstance(weights, np.ndarray) else weights)
            out: Floats = np.ascontiguousarray(weighted.T @ features).reshape(-1)
            return out

        return Forward(seen.losses, pull, seen.guesses)

    @quiet
    def gradients(self, requests: Sequence[GradientRequest]) -> Sequence[Array]:
        """Return one gradient per request, shape (dim,); the last product of each is computed on access."""
        if not isinstance(self._features, np.ndarray):
            return super().gradients(requests)
        makers: dict[int, Callable[[], Array]] = {}
        for group in self._groups(requests):
            makers |= self._stacked({i: requests[i] for i in group})
        rest = [i for i in range(len(requests)) if i not in makers]
        alone = super().gradients([requests[i] for i in rest])
        makers |= {i: functools.partial(alone.__getitem__, k) for k, i in enumerate(rest)}
        return Deferred([makers[i] for i in range(len(requests))])

    def smoothness(self, node: NodeId | None = None) -> float:
        """Return L of F or L_m, an upper bound within 6e-10 of curvature times the largest eigenvalue, plus l2."""
        if node not in self._smoothness:
            first, stop = (0, self._edges[-1]) if node is None else self._edges[node : node + 2]
            sample_weights = self._shares.sample_weights()
            weights = sample_weights if node is None else np.full(stop - first, 1.0 / (stop - first))
            top = largest_eigenvalue(self.rows, Span(first, stop), weights)
            self._smoothness[node] = self._curvature * top + self._l2
        return self._smoothness[node]

    def strong_convexity(self) -> float:
        """Return l2."""
        return self._l2

    def optimum(self) -> Optimum | None:
        """Return the minimiser with ||grad F||^2 / (2 l2) <= 1e-12; None where l2 is 0."""
        return self._optimum if self._l2 > 0 else None

    @functools.cached_property
    def _optimum(self) -> Optimum:
        return self.find_optimum()

    @abstractmethod
    def find_optimum(self) -> Optimum:
        """Compute what `optimum` returns where l2 is above 0."""

    @functools.cached_property
    def rows(self) -> Rows:
        """The features as rows, in the order of the nodes."""
        if isinstance(self._features, np.ndarray):
            return DenseRows(self._features)
        return SparseRows(self._features, np.ones(self._edges[-1]))

    def sample_flop(self, entries: float, size: int) -> float:
        """Count two products, of 2 operations an entry and output each, and 6 an output for losses and slopes."""
        return self._shape[0] * (4.0 * entries + 6.0 * size)

    def _groups(self, requests: Sequence[GradientRequest]) -> list[list[int]]:
        """Yield positions of requests with minibatches of one size, some at a time."""
        by_size: dict[int, list[int]] = {}
        for i, request in enumerate(requests):
            if request.batch is not None:
                by_size.setdefault(request.batch.size, []).append(i)
        groups = list[list[int]]()
        for size, members in by_size.items():
            step = max(1, _STACKED_MAX // max(1, size * self._shape[1]))
            groups += [members[first : first + step] for first in range(0, len(members), step)]
        return groups

    def _stacked(self, requests: dict[int, GradientRequest]) -> dict[int, Callable[[], Array]]:
        """Return the parts of the gradients of minibatches of one size."""
        for request in requests.values():
            self.check(request)
        points = [self.point(request.at) for request in requests.values()]
        batches = [np.asarray(r.batch, np.int64) + self._edges[r.node] for r in requests.values()]
        picked = np.stack(batches)
        features = self._features.take(picked.reshape(-1), 0).reshape(*picked.shape, -1)
        outputs = np.empty((*picked.shape, self._shape[0]))
        for i, w in enumerate(points):
            np.matmul(features[i], w.reshape(self._shape).T, out=outputs[i])
        slopes = self.judge(outputs, self._targets[picked]).slopes
        slopes *= 1.0 / picked.shape[1]

        # Nodes often have the very same model: its ridge is made once.
        is_same = all(w is points[0] for w in points)
        ridge = self._l2 * points[0] if self._l2 and is_same else None

        def combine(i: int) -> Array:
            gradient: Array = np.matmul(slopes[i].T, features[i]).reshape(-1)
            if ridge is None:
                return self._ridged(gradient, points[i])
            gradient += ridge
            return gradient

        return {position: functools.partial(combine, i) for i, position in enumerate(requests)}
