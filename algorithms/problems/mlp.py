"""A multilayer perceptron over nodes, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.cross_entropy import cross_entropy
from algorithms.learning.labels import Classes, classes_of
from algorithms.learning.sampled import Forward, SampledProblem
from algorithms.learning.shares import FIRST, Dealt, Shares
from netsim.fields import NonNegativeFloat, PositiveInt
from netsim.interfaces import Array, Draws, Floats
from netsim.registry import Examples, component
from netsim.rng import stream


@component("problem")
@dataclass(frozen=True)
class Mlp(Dealt):
    """Cross-entropy of a network of fully connected layers with ReLU between them, and (l2/2) ||w||^2.

    The model is [W_1, b_1, W_2, b_2, ...], each W of shape (outputs, inputs). F is a mean over nodes of the means over
    their samples, whatever their numbers. The function is not convex and its smoothness is not known.

    Parameters
    ----------
    hidden
        Outputs of each hidden layer; an empty list is softmax regression with a bias.

    Notes
    -----
    The start is that of He et al.: normal weights of variance 2/inputs, from the stream
    ``(seed, draws.start, -1, "start")``, and biases of 0. At a kink the slope of ReLU is 0.

    A gradient's work is 6 operations per weight and sample (less the first layer's 2 for its inputs' slopes), 6 per
    sample and class, 2 per coordinate.

    References
    ----------
    He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, equation 10.

    Examples
    --------
    >>> from netsim.registry import build
    >>> data = {"name": "digits", "positive_class": None}
    >>> build("problem", {"name": "mlp", "dataset": data, "hidden": [8]}).open(seed=1).layout
    ((8, 65), (8,), (10, 8), (10,))
    """

    examples: ClassVar[Examples] = (
        {"dataset": {"name": "digits", "positive_class": None}, "hidden": [16, 12], "nodes": 3, "batch": 8, "l2": 0.01},
        {"dataset": {"name": "synthetic_sparse", "num_rows": 60, "num_features": 30, "nonzeros_per_row": 8},
         "nodes": 4, "partition": {"name": "dirichlet", "alpha": 0.5}, "batch": 0.5, "hidden": [6]},
    )  # fmt: skip

    hidden: tuple[PositiveInt, ...] = (64,)
    l2: NonNegativeFloat = 0.0
    draws_start: ClassVar[bool] = True

    def open(self, seed: int, draws: Draws = FIRST) -> MlpProblem:
        """Load and split the data, and draw the start; for errors see `Dealt.deal` and `classes_of`."""
        shares = self.deal(seed, draws)
        return MlpProblem(self, shares, classes_of(shares, "mlp"), stream(seed, draws.start, -1, "start"))


class MlpProblem(SampledProblem):
    """The live problem; see `netsim.interfaces.Problem`."""

    def __init__(self, config: Mlp, shares: Shares, classes: Classes, rng: np.random.Generator) -> None:
        sizes: tuple[int, ...] = (shares.features.shape[1], *config.hidden, classes.number)
        self._shapes = tuple((outputs, inputs) for inputs, outputs in pairwise(sizes))
        layout = [shape for outputs, inputs in self._shapes for shape in ((outputs, inputs), (outputs,))]
        super().__init__(config, shares, layout, classes.targets, classes.test_targets)
        self._start = self._he(rng)

    def start(self) -> Array:
        """Return weights drawn as by He et al."""
        return self._start.copy()

    def forward(self, w: Array, features: Any, targets: npt.NDArray[Any]) -> Forward:
        """Apply the layers; `pull` goes back through them."""
        layers = self._layers(self.point(w))
        inputs: list[Any] = [features]
        for weights, bias in layers[:-1]:
            outputs = inputs[-1] @ weights.T
            outputs += bias
            inputs.append(np.maximum(outputs, 0.0, out=outputs))
        scores = inputs[-1] @ layers[-1][0].T + layers[-1][1]
        seen = cross_entropy(scores, targets)

        def pull(sample_weights: Floats | float) -> Floats:
            factor = sample_weights[:, None] if isinstance(sample_weights, np.ndarray) else sample_weights
            slopes = seen.slopes * factor
            parts = list[Floats]()
            for i in reversed(range(len(layers))):
                parts += [slopes.sum(0), np.ascontiguousarray(slopes.T @ inputs[i]).reshape(-1)]
                if i:
                    slopes = slopes @ layers[i][0]
                    slopes *= inputs[i] > 0
            return np.concatenate(parts[::-1])

        return Forward(seen.losses, pull, scores.argmax(1))

    def sample_flop(self, entries: float, size: int) -> float:
        """Count forward and backward products of all layers, and 6 operations a class for the loss."""
        first, last = self._shapes[0][0], self._shapes[-1][0]
        inner = sum(6.0 * size * outputs * inputs for outputs, inputs in self._shapes[1:])
        return 4.0 * first * entries + inner + 6.0 * size * last

    def _layers(self, w: Floats) -> list[tuple[Floats, Floats]]:
        layers, at = list[tuple[Floats, Floats]](), 0
        for outputs, inputs in self._shapes:
            weights = w[at : at + outputs * inputs].reshape(outputs, inputs)
            at += outputs * inputs
            layers.append((weights, w[at : at + outputs]))
            at += outputs
        return layers

    def _he(self, rng: np.random.Generator) -> Floats:
        parts = list[Floats]()
        for outputs, inputs in self._shapes:
            parts += [rng.standard_normal(outputs * inputs) * np.sqrt(2 / inputs), np.zeros(outputs)]
        return np.concatenate(parts)
