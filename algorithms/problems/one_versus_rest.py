"""One logistic ridge regression for each class against the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.cache import remembered_optimum
from algorithms.learning.labels import Classes, classes_of
from algorithms.learning.linear_outputs import LinearOutputs, Verdict
from algorithms.learning.losses import LOGISTIC
from algorithms.learning.newton import Objective, minimise
from algorithms.learning.rows import make_rows
from algorithms.learning.shares import FIRST, Dealt, Shares
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Draws, Floats, Optimum
from netsim.registry import Examples, component


@component("problem")
@dataclass(frozen=True)
class OneVersusRest(Dealt):
    """f_m(W) = (1/n_m) sum_i sum_c log(1 + exp(-s_ic w_c'x_i)) + (l2/2) ||W||^2, F = (1/M) sum_m f_m.

    s_ic is 1 where sample i has class c, else -1. The model is W, of shape (classes, columns), row by row: its rows
    are binary problems of their own, and the class of the largest w_c'x is the guess. With `positive_class` only that
    class's row is learned, and w'x > 0 is the guess. A bias is a column of the data.

    Parameters
    ----------
    positive_class
        The label of the one class to learn; nothing: all of them.

    Notes
    -----
    L_m = lmax(X_m'X_m)/(4 n_m) + l2, L of F is lmax(mean_m X_m'X_m/n_m)/4 + l2, strong convexity l2: rows do not share
    anything. A gradient's work is 4 operations per stored feature and class, 6 per sample and class, 2 per coordinate.

    References
    ----------
    Ghadikolaei, Stich, Jaggi, "LENA: Communication-efficient distributed learning with self-triggered gradient
    uploads", AISTATS 2021, section 4 (logistic ridge, one versus all).

    Examples
    --------
    >>> from netsim.registry import build
    >>> data = {"name": "digits", "positive_class": None}
    >>> problem = build("problem", {"name": "one_versus_rest", "dataset": data, "positive_class": 3}).open(seed=1)
    >>> problem.layout, round(problem.loss(problem.start()), 4)
    (((1, 65),), 0.6931)
    """

    examples: ClassVar[Examples] = (
        {"dataset": {"name": "digits", "positive_class": None}, "nodes": 3, "batch": 8, "l2": 0.01},
        {"dataset": {"name": "digits", "positive_class": None}, "positive_class": 3, "nodes": 2, "batch": 0.1},
    )

    positive_class: int | None = None

    def open(self, seed: int, draws: Draws = FIRST) -> OneVersusRestProblem:
        """Load and split the data.

        Raises
        ------
        ConfigError
            If no sample has the positive class. For other errors see `Dealt.deal` and `classes_of`.
        """
        shares = self.deal(seed, draws)
        classes = classes_of(shares, "one_versus_rest")
        if self.positive_class is not None and self.positive_class not in classes.labels:
            shown = ", ".join(f"{label:g}" for label in classes.labels[:20])
            allowed = f"a label of the data; there are {shown}"
            raise ConfigError([Fault(("positive_class",), allowed, str(self.positive_class))])
        return OneVersusRestProblem(self, shares, classes)


class OneVersusRestProblem(LinearOutputs):
    """The live problem; see `netsim.interfaces.Problem`."""

    def __init__(self, config: OneVersusRest, shares: Shares, classes: Classes) -> None:
        self._only = config.positive_class
        targets, test_targets, outputs = classes.targets, classes.test_targets, classes.number
        if self._only is not None:
            own = classes.labels.index(self._only)
            targets = (targets == own).astype(np.int64)
            test_targets = None if test_targets is None else (test_targets == own).astype(np.int64)
            outputs = 1
        super().__init__(config, shares, targets, test_targets, outputs, LOGISTIC.curvature)

    def judge(self, outputs: Floats, targets: npt.NDArray[Any]) -> Verdict:
        """Return logistic losses of all classes, added up."""
        signs = self._signs(targets)
        margins = signs * outputs
        slopes = LOGISTIC.slope(margins, signs)
        guesses = outputs.argmax(-1) if self._only is None else (outputs[..., 0] > 0).astype(np.int64)
        return Verdict(LOGISTIC.value(margins).sum(-1), slopes, guesses)

    def find_optimum(self) -> Optimum:
        """Return the minimisers of all classes, with ||grad F||^2 / (2 l2) <= 1e-12 each, kept on disk."""
        weights = self._shares.sample_weights()

        def find() -> tuple[Floats, float]:
            at, errors = list[Floats](), 0.0
            for signs in self._signs(self._targets).T:
                row, error = minimise(Objective(make_rows(self._features, signs), weights, self._l2))
                at.append(row)
                errors += error
            return np.concatenate(at), errors

        return remembered_optimum(self, find, "one versus rest optimum", self.content(), self._only, self._l2)

    def _signs(self, targets: npt.NDArray[Any]) -> Floats:
        """Return 1 for the class of each sample, -1 for the others, shape (..., outputs)."""
        if self._only is not None:
            return 2.0 * targets[..., None] - 1.0
        return np.where(targets[..., None] == np.arange(self._shape[0]), 1.0, -1.0)
