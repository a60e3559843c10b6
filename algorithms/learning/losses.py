"""Losses of a margin t = y x'w: their values and slopes, without overflow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netsim.interfaces import Floats

_EXP_MAX = 700.0  # exp(710) overflows; 1 / (1 + exp(700)) is 1e-304


@dataclass(frozen=True, slots=True)
class MarginLoss:
    """A smooth loss l(t), elementwise on arrays of margins.

    Parameters
    ----------
    value
        l(t).
    slope
        (t, weights) -> weights * l'(t), in a new array.
    curvature
        sup |l''(t)|.
    is_convex
        Whether l'' >= 0.
    """

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats, Floats | float], Floats]
    curvature: float
    is_convex: bool


def tail(margins: Floats) -> Floats:
    """Return 1 / (1 + exp(t)), to full relative accuracy.

    Examples
    --------
    >>> tail(np.array([-1000.0, 0.0, 1000.0])).round(300).tolist()
    [1.0, 0.5, 0.0]
    """
    out = np.minimum(margins, _EXP_MAX)
    np.exp(out, out=out)
    out += 1.0
    return np.reciprocal(out, out=out)


def bend(margins: Floats) -> Floats:
    """Return exp(t) / (1 + exp(t))^2, the logistic loss's second derivative."""
    small = np.exp(-np.abs(margins))
    return small / np.square(1.0 + small)


def _logistic_value(margins: Floats) -> Floats:
    out = np.exp(-np.abs(margins))
    np.log1p(out, out=out)
    out += np.maximum(-margins, 0.0)
    return out


def _logistic_slope(margins: Floats, weights: Floats | float) -> Floats:
    out = tail(margins)
    out *= weights
    return np.negative(out, out=out)


def _sigmoid_slope(margins: Floats, weights: Floats | float) -> Floats:
    out = bend(margins)
    out *= weights
    return np.negative(out, out=out)


# l'' = p(1-p) with p = 1/(1+exp(t)), at most 1/4.
LOGISTIC = MarginLoss(_logistic_value, _logistic_slope, 0.25, True)

# l = p, l' = -p(1-p), l'' = p(1-p)(1-2p), extreme where 6p^2 - 6p + 1 = 0: (1/6)(1/sqrt 3).
SIGMOID = MarginLoss(tail, _sigmoid_slope, 1 / (6 * math.sqrt(3)), False)
