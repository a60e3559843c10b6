"""Constants of a cost model from measurements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsim.errors import ConfigError, Fault
from netsim.interfaces import CostStructure


def fit_line(size: npt.ArrayLike, cost: npt.ArrayLike) -> CostStructure:
    """Return c0 + c_bit * size by least squares with c0 >= 0: the free line where it allows, else the one through 0.

    Parameters
    ----------
    size, cost
        Shape (n,), n >= 2, size >= 0 and cost > 0; `size` not all equal.

    Returns
    -------
    CostStructure
        With `c0` and `c_bit`, not both 0.

    Raises
    ------
    ConfigError
        If the sizes are all equal, or the cost falls with them; without a path, for the caller to add.

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
        raise ConfigError([Fault((), "measurements of at least two sizes", f"only {x[0]:g} bit")])
    slope = float(from_mean @ (y - y.mean())) / spread
    if slope < 0.0:
        raise ConfigError([Fault((), "a cost that does not fall with the size", f"a slope of {slope:g} per bit")])
    c0 = float(y.mean() - slope * x.mean())
    if c0 < 0.0:
        c0, slope = 0.0, float(x @ y) / float(x @ x)
    return CostStructure(c0=c0, c_bit=slope)
