"""Numbers that can be squared and summed: what every loss and every Gram matrix does with features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from netsim.errors import DataError

# Sums of squares stay that far from the largest and the smallest float.
_MARGIN = 1e8


def check_sizes(name: str, values: npt.NDArray[Any]) -> None:
    """Check that sums of squares of all values neither overflow nor vanish.

    Parameters
    ----------
    name
        Of the data, for the error.
    values
        All stored values, finite.

    Raises
    ------
    DataError
        With the largest value and the bound.
    """
    if values.size == 0:
        return
    facts = np.finfo(values.dtype if values.dtype.kind == "f" else np.float64)
    largest = max(abs(float(values.max())), abs(float(values.min())))
    most = float(np.sqrt(float(facts.max) / _MARGIN / values.size))
    least = float(np.sqrt(float(facts.tiny) * _MARGIN))
    if largest > most:
        allowed = f"numbers of at most {most:.3g}, so that their squares can be summed; normalise them"
        raise DataError(f"{name}: {allowed}. Got {largest:.3g}.")
    if largest < least:
        allowed = f"a number of at least {least:.3g} among the features, so that a gradient depends on them"
        raise DataError(f"{name}: {allowed}. Got {largest:.3g} as the largest.")
