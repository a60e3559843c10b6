"""Regularised logistic regression over nodes, with its smooth nonconvex sister."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.learning.batched import BatchedProblem, batch_fault
from algorithms.learning.cache import cache_key, remembered, remembered_optimum
from algorithms.learning.deferred import Deferred
from algorithms.learning.digest import digest_of
from algorithms.learning.eigen import largest_eigenvalue
from algorithms.learning.losses import LOGISTIC, SIGMOID
from algorithms.learning.newton import Objective, minimise
from algorithms.learning.quiet import quiet
from algorithms.learning.rows import Rows, Span, make_rows
from algorithms.learning.shares import FIRST, Dealt, Shares
from netsim.errors import DataError
from netsim.interfaces import Array, Draws, Floats, GradientRequest, NodeId, Optimum
from netsim.registry import Examples, component

_COPIED_MAX = 1 << 22  # entries of dense minibatches that lie side by side in memory
_LOSSES = {"logistic": LOGISTIC, "sigmoid": SIGMOID}


@component("problem")
@dataclass(frozen=True)
class LogisticRegression(Dealt):
    """f_m(w) = (1/n_m) sum_i l(y_i x_i'w) + (l2/2) ||w||^2 over node m's samples, F = (1/M) sum_m f_m.

    F is a mean over nodes, whatever their numbers of samples.

    Parameters
    ----------
    dataset
        Two classes, labels -1 and 1.
    loss
        ``logistic``: l(t) = log(1 + exp(-t)), convex. ``sigmoid``: l(t) = 1/(1 + exp(t)), smooth and nonconvex.

    Notes
    -----
    Smoothness: c = sup |l''| is 1/4 (logistic) or 1/(6 sqrt 3) (sigmoid: with p = l, l'' = p(1-p)(1-2p) is extreme
    where 6p^2 - 6p + 1 = 0). So L_m = c lmax(X_m'X_m)/n_m + l2, and L of F is c lmax(mean_m X_m'X_m/n_m) + l2, which
    is at most the mean of the L_m. Strong convexity is l2 (logistic) or 0.

    A gradient's work is 4 operations per feature stored (two passes, each a product and a sum), 4 per sample and
    2 per coordinate; for a sparse minibatch the node's mean row counts.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021.

    Examples
    --------
    >>> from netsim.registry import build
    >>> problem = build("problem", {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 2}).open(seed=1)
    >>> problem.dim, problem.num_samples(0), round(problem.loss(problem.start()), 4)
    (31, 285, 0.6931)
    """

    examples: ClassVar[Examples] = (
        {"dataset": {"name": "breast_cancer"}, "nodes": 3, "batch": 8},
        {
            "dataset": {"name": "synthetic_sparse", "num_rows": 60, "num_features": 200, "nonzeros_per_row": 8},
            "nodes": 4,
            "loss": "sigmoid",
            "partition": {"name": "dirichlet", "alpha": 0.5},
            "batch": 0.5,
        },
    )

    loss: Literal["logistic", "sigmoid"] = "logistic"

    def open(self, seed: int, draws: Draws = FIRST) -> LogisticProblem:
        """Load and split the data; for errors see `Dealt.deal`."""
        return LogisticProblem(self, self.deal(seed, draws))


class LogisticProblem(BatchedProblem):
    """The live problem; see `netsim.interfaces.Problem`.

    Rows are kept times their labels, y_i x_i, in the order of their nodes.
    """

    def __init__(self, config: LogisticRegression, shares: Shares) -> None:
        _check_labels(shares)
        self._rows = make_rows(shares.features, shares.labels)
        bare = dataclasses.replace(shares, features=None, test_features=None)
        super().__init__(config, bare, ((self._rows.dim,),))
        self._loss = _LOSSES[config.loss]
        self._is_positive = shares.labels > 0
        self._weights = shares.sample_weights()
        self._has_optimum = self._loss.is_convex and self._l2 > 0
        self._test_rows, self._test_positive = _test_rows(shares)
        self.metric_names = frozenset(
            {"loss", "grad_norm", "train_accuracy"}
            | ({"loss_gap"} if self._has_optimum else set())
            | ({"test_loss", "test_accuracy"} if self._test_rows else set())
        )

    @quiet
    def gradients(self, requests: Sequence[GradientRequest]) -> Sequence[Array]:
        """Return one gradient per request, shape (dim,), float64; each is put together on access.

        Raises
        ------
        SimulationError
            If a model has another shape or a batch names a sample that the node lacks.
        """
        known = [self._recall(request) for request in requests]
        fresh = [r for r, gradient in zip(requests, known, strict=True) if gradient is None]
        makers = list[Callable[[], Floats]]()
        for points, spans in self._groups(fresh):
            slopes = self._slopes(points, spans)[0]
            # A copy of a dense minibatch is not kept for later.
            makers += [slope().copy for slope in slopes] if self._rows.copied(spans[0]) else slopes
        computed = iter(makers)
        return Deferred([next(computed) if gradient is None else gradient.copy for gradient in known])

    @quiet
    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_m(w) of each request, on its batch."""
        out: list[float] = []
        for points, spans in self._groups(requests):
            _, margins, ends = self._margins(points, spans)
            losses = self._loss.value(margins)
            for i, w in enumerate(points):
                out.append(float(losses[ends[i] : ends[i + 1]].mean()) + self._ridge(w))
        return out

    @quiet
    def loss(self, w: Array) -> float:
        """Return F(w)."""
        point = self.point(w)
        return self._value(point, self._all_margins(point))

    @quiet
    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return ``loss`` and ``grad_norm`` of F; ``train_accuracy``, the share of samples with y x'w > 0.

        Where x'w = 0, class 1 is the guess. With test samples, ``test_accuracy`` and ``test_loss``, the mean of their
        losses without the ridge.
        """
        point = self.point(w)
        if self._is_kept:
            slopes, margins = self._slopes([point] * self.num_nodes, self._node_spans())
            gradients = [slope() for slope in slopes]
            self._measured = (point.copy(), gradients)
            gradient = functools.reduce(np.add, gradients) / self.num_nodes
        else:
            margins = self._all_margins(point)
            everything = self._rows.take(Span(0, self._rows.num_rows))
            gradient = self._rows.combine(everything, self._loss.slope(margins, self._weights), point, self._l2)
        found = {
            "loss": self._value(point, margins),
            "grad_norm": float(np.sqrt(np.dot(gradient, gradient))),
            "train_accuracy": _accuracy(margins, self._is_positive),
        }
        if self._test_rows is not None:
            margins = np.empty(self._test_rows.num_rows)
            self._test_rows.dots(self._test_rows.take(Span(0, margins.size)), point, margins)
            found["test_loss"] = float(self._loss.value(margins).mean())
            found["test_accuracy"] = _accuracy(margins, self._test_positive)
        return found

    def smoothness(self, node: NodeId | None = None) -> float:
        """Return L of F or L_m, an upper bound within 6e-10 of the exact one; kept on disk as the optimum is."""
        top = self._top if node is None else self._node_tops[node]
        return self._loss.curvature * float(top) + self._l2

    def strong_convexity(self) -> float:
        """Return l2 where the loss is convex, else 0."""
        return self._l2 if self._loss.is_convex else 0.0

    def gradient_flop(self, request: GradientRequest) -> float:
        """Return 4 per stored feature, 4 per sample, 2 per coordinate."""
        span = Span(self._edges[request.node], self._edges[request.node + 1], request.batch)
        return 4.0 * self._rows.entries(span) + 4.0 * span.size + 2.0 * self.dim

    def optimum(self) -> Optimum | None:
        """Return the minimiser with ||grad F||^2 / (2 l2) <= 1e-12, kept on disk; None for l2 = 0 or nonconvex loss.

        The file's name is a hash of all that decides it (see `algorithms.learning.cache`); what is read is bit for bit
        what this machine would compute.
        """
        return self._optimum if self._has_optimum else None

    def content(self) -> str:
        """Return a digest of rows, labels and which node has which."""
        return self._content

    @functools.cached_property
    def _content(self) -> str:
        tests = () if self._test_rows is None else (*self._test_rows.buffers(), self._test_positive)
        return digest_of((self.dim, self._edges), (*self._rows.buffers(), self._is_positive, *tests))

    @functools.cached_property
    def _optimum(self) -> Optimum:
        objective = Objective(self._rows, self._weights, self._l2)
        return remembered_optimum(self, lambda: minimise(objective), "optimum", self._content, self._l2)

    @functools.cached_property
    def _top(self) -> float:
        """The largest eigenvalue of mean_m X_m'X_m/n_m."""

        def compute() -> Floats:
            everything = Span(0, self._rows.num_rows)
            return np.array([largest_eigenvalue(self._rows, everything, self._weights)])

        return float(remembered(cache_key("eigenvalue", self._content, owner=self), 1, compute)[0])

    @functools.cached_property
    def _node_tops(self) -> Floats:
        """The largest eigenvalue of each X_m'X_m/n_m."""

        def compute() -> Floats:
            spans = self._node_spans()
            return np.array([largest_eigenvalue(self._rows, s, np.full(s.size, 1.0 / s.size)) for s in spans])

        return remembered(cache_key("node eigenvalues", self._content, owner=self), self.num_nodes, compute)

    def _groups(self, requests: Sequence[GradientRequest]) -> Iterator[tuple[list[Floats], list[Span]]]:
        """Yield models and rows of the requests, a part at a time where dense minibatches are copied."""
        points, spans, copied, last = list[Floats](), list[Span](), 0, None
        for node, at, batch, _ in requests:
            batch = None if batch is None else np.ascontiguousarray(batch, np.int64)
            span = Span(self._edges[node], self._edges[node + 1], batch)
            is_same = bool(points) and at is last
            points.append(points[-1] if is_same else self.point(at))
            last = at
            spans.append(span)
            copied += self._rows.copied(span)
            if copied > _COPIED_MAX:
                yield points, spans
                points, spans, copied = [], [], 0
        if points:
            yield points, spans

    def _slopes(self, points: list[Floats], spans: list[Span]) -> tuple[list[Callable[[], Floats]], Floats]:
        """Return the factors of the requests' gradients, and all their margins one after the other."""
        blocks, margins, ends = self._margins(points, spans)
        sizes = [span.size for span in spans]
        weights = 1.0 / sizes[0] if len(set(sizes)) == 1 else np.repeat(1.0 / np.array(sizes), sizes)
        factors = self._loss.slope(margins, weights)
        slopes: list[Callable[[], Floats]] = [
            functools.partial(self._rows.combine, block, factors[ends[i] : ends[i + 1]], w, self._l2)
            for i, (block, w) in enumerate(zip(blocks, points, strict=True))
        ]
        return slopes, margins

    def _node_spans(self) -> list[Span]:
        return [Span(self._edges[m], self._edges[m + 1]) for m in range(self.num_nodes)]

    def _margins(self, points: list[Floats], spans: list[Span]) -> tuple[list[Any], Floats, list[int]]:
        """Return the requests' rows, all their margins one after the other, and where each request's end."""
        _check_batches(spans)
        ends = [0]
        for span in spans:
            ends.append(ends[-1] + span.size)
        margins = np.empty(ends[-1])
        blocks = [self._rows.take(span) for span in spans]
        everything = self._rows.joined(blocks) if all(w is points[0] for w in points) else None
        if everything is not None:
            self._rows.dots(everything, points[0], margins)
            return blocks, margins, ends
        for i, (block, w) in enumerate(zip(blocks, points, strict=True)):
            self._rows.dots(block, w, margins[ends[i] : ends[i + 1]])
        return blocks, margins, ends

    def _all_margins(self, point: Floats) -> Floats:
        return self._margins([point] * self.num_nodes, self._node_spans())[1]

    def _value(self, point: Floats, margins: Floats) -> float:
        return float(np.dot(self._weights, self._loss.value(margins))) + self._ridge(point)


def _test_rows(shares: Shares) -> tuple[Rows | None, Any]:
    """Return test samples times their labels, and which are of class 1."""
    if shares.test_labels is None:
        return None, None
    return make_rows(shares.test_features, shares.test_labels), shares.test_labels > 0


def _accuracy(margins: Floats, is_positive: Any) -> float:
    right = np.count_nonzero(margins > 0) + np.count_nonzero(is_positive[margins == 0])
    return int(right) / margins.size


def _check_labels(shares: Shares) -> None:
    labels = shares.labels
    if shares.test_labels is not None and not (np.abs(shares.test_labels) == 1).all():
        other = shares.test_labels[np.abs(shares.test_labels) != 1][0]
        raise DataError(f"{shares.name}: test samples of the classes -1 and 1 are needed. Got {other:g}.")
    if not ((np.abs(labels) == 1).all() and (labels == 1).any() and (labels == -1).any()):
        classes = np.unique(labels)
        shown = ", ".join(f"{label:g}" for label in classes[:5]) + (", ..." if classes.size > 5 else "")
        number = f"{classes.size} class{'es' if classes.size != 1 else ''}"
        raise DataError(
            f"{shares.name}: logistic_regression needs samples of two classes, -1 and 1. Got {number}: {shown}."
        )


def _check_batches(spans: list[Span]) -> None:
    """Check all requests at once: a check of each would cost more than its gradient."""
    limits = [(span.batch, span.stop - span.first) for span in spans if span.batch is not None]
    if not limits:
        return
    picked = np.concatenate([batch for batch, _ in limits])
    # As unsigned numbers, negative ones are beyond all.
    if all(batch.size for batch, _ in limits) and picked.view(np.uint64).max() < min(n for _, n in limits):
        return
    for batch, n in limits:
        if batch.size == 0 or batch.min() < 0 or batch.max() >= n:
            raise batch_fault("logistic_regression", batch, n)
