"""Whether a frame survives noise and interference: signal to interference and the O-QPSK error curve."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LOWEST_SINR = 10**-0.5  # -5 dB: below it a receiver does not lock onto a frame
STRICT_SINR = 10**1.48  # 14.8 dB: what a strict receiver wants where draws are those of ns-3
MANY = 64  # so many equal interferers are as bad as more
# (-1)^j C(16, j) / 30 and 20 (1/j - 1), j = 2 .. 16.
WEIGHTS = np.array([(-1) ** j * math.comb(16, j) / 30.0 for j in range(2, 17)])
SLOPES = np.array([20.0 * (1.0 / j - 1.0) for j in range(2, 17)])


def bit_error(sinr: float) -> float:
    """Return the bit error rate of IEEE 802.15.4 O-QPSK at 2.4 GHz.

    BER = 8/15 1/16 sum_{j=2..16} (-1)^j C(16, j) exp(20 SINR (1/j - 1)).

    Parameters
    ----------
    sinr
        Signal over interference and noise as a ratio, >= 0.

    Examples
    --------
    >>> f"{bit_error(1.0):.2g}"
    '0.00016'
    """
    total = 0.0
    for weight, slope in zip(WEIGHTS.tolist(), SLOPES.tolist(), strict=True):
        total += weight * math.exp(slope * sinr)
    return min(max(total, 0.0), 1.0)


def log_success(sinr: float) -> float:
    """Return the logarithm of the probability that one bit is right."""
    return math.log1p(-bit_error(sinr))


@functools.cache
def equal_interferers() -> npt.NDArray[np.float64]:
    """Return `log_success` of a bit under k interferers as strong as the signal, k = 0 .. `MANY` - 1; 0 under none."""
    return np.array([0.0] + [log_success(1.0 / k) for k in range(1, MANY)])


def distances_m(places_m: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Return the distances between every two places."""
    x, y = np.array(places_m, np.float64).reshape(-1, 2).T
    return np.hypot(x[:, None] - x, y[:, None] - y)
