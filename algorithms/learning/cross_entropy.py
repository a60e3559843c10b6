"""Cross-entropy of scores after a softmax, without overflow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Floats


class CrossEntropy(NamedTuple):
    """What scores of shape (..., C) come to.

    Parameters
    ----------
    losses
        log(sum_c exp(z_c)) - z_y of each sample.
    slopes
        The gradient with respect to the scores: probabilities, less 1 at the sample's class.
    probabilities
        exp(z_c) / sum_k exp(z_k).
    """

    losses: Floats
    slopes: Floats
    probabilities: Floats


def cross_entropy(scores: Floats, targets: npt.NDArray[np.int64]) -> CrossEntropy:
    """Return losses and slopes of scores.

    Parameters
    ----------
    scores
        Shape (..., C).
    targets
        Shape (...): the class of each sample, from 0.

    Examples
    --------
    >>> found = cross_entropy(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([1, 0]))
    >>> found.losses.round(4).tolist(), found.slopes.tolist()
    ([0.6931, 0.0], [[0.5, -0.5], [0.0, 0.0]])
    """
    shifted = scores - scores.max(-1, keepdims=True)
    at = targets[..., None]
    own = np.take_along_axis(shifted, at, -1)[..., 0]
    probabilities = np.exp(shifted, out=shifted)
    total = probabilities.sum(-1, keepdims=True)
    probabilities /= total
    slopes = probabilities.copy()
    np.put_along_axis(slopes, at, np.take_along_axis(slopes, at, -1) - 1.0, -1)
    return CrossEntropy(np.log(total[..., 0]) - own, slopes, probabilities)
