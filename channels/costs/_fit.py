"""Constants of a cost model from measurements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsim.interfaces import CostStructure


def fit_line(size: npt.ArrayLike, cost: npt.ArrayLike) -> CostStructure:
    """c0 + c_bit * size by least squares with c0 >= 0: the free line where it allows, else the one through 0.

    Parameters
    ----------
    size, cost
        Shape (n,), n >= 2, `size` not all equal.

    Raises
    ------
    ValueError
        If the sizes are all equal, or the cost falls with them.

    Examples
    --------
    >>> line = fit_line([1000, 2000, 4000], [1.5, 2.5, 4.5])
    >>> round(line.c0, 9), round(line.c_bit, 9)
    (0.5, 0.001)
    """
    x, y = np.asarray(size, np.float64), np.asarray(cost, np.float64)
    from_mean = x - x.mean()
    spread = float(from_mean @ from_mean)
    if spread == 0.0:
        raise ValueError(f"at least two different sizes are needed. Got {x[0]:g} only")
    slope = float(from_mean @ (y - y.mean())) / spread
    if slope < 0.0:
        raise ValueError(f"a cost that does not fall with the size is needed. Got a slope of {slope:g} per bit")
    c0 = float(y.mean() - slope * x.mean())
    if c0 < 0.0:
        c0, slope = 0.0, float(x @ y) / float(x @ x)
    return CostStructure(c0=c0, c_bit=slope)
