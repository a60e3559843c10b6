"""Features and labels that others made, as the arrays that problems take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from netsim.errors import DataError
from netsim.interfaces import Floats

MOST_LABEL = 2.0**53 - 1  # beyond it two whole numbers may be one float


def to_features(given: Any, what: str) -> Any:
    """Return a float64 array of shape (n, p) or a CSR array, from numpy, pandas, scipy.sparse or torch.

    Samples that are arrays themselves, such as images, become rows.

    Raises
    ------
    DataError
        If it holds no numbers or has no rows.
    """
    if hasattr(given, "tocsr"):
        import scipy.sparse as sp

        return sp.csr_array(given).astype(np.float64)
    array = _numbers(given, what)
    if array.ndim < 1 or array.size == 0:
        raise DataError(f"{what}: rows of samples are needed. Got shape {array.shape}.")
    return np.ascontiguousarray(_to_64_bits(array, what).reshape(array.shape[0], -1))


def to_labels(given: Any, what: str) -> Floats:
    """Return a float64 vector from any type that `to_features` takes.

    Raises
    ------
    DataError
        If it is no vector of numbers.
    """
    array = _numbers(given, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{what}: a vector with a label for each sample is needed. Got shape {array.shape}.")
    if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > MOST_LABEL:
        raise DataError(f"{what}: labels are whole numbers below 2^53. Got {max(array.tolist(), key=abs)}.")
    return np.ascontiguousarray(_to_64_bits(array, what))


def _to_64_bits(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.float64]:
    """Return numbers as float64; refuse those that become 0 or infinite."""
    with np.errstate(over="ignore", under="ignore"):
        found = array.astype(np.float64)
    if array.dtype.itemsize > 8:
        bad = ((found == 0.0) & (array != 0)) | (np.isinf(found) & np.isfinite(array))
        if bad.any():
            raise DataError(f"{what}: numbers that 64 bits hold are needed. Got {array[bad].ravel()[0]!s}.")
    return found


def sample_shape(given: Any) -> tuple[int, ...]:
    """Return the shape of one sample; () where it is a plain vector."""
    shape = tuple(getattr(given, "shape", np.shape(given)))[1:]
    return tuple(int(side) for side in shape) if len(shape) > 1 else ()


def _numbers(given: Any, what: str) -> npt.NDArray[Any]:
    if hasattr(given, "detach"):  # a torch tensor
        given = given.detach().cpu()
    if np.ma.isMaskedArray(given) and np.ma.getmaskarray(given).any():
        masked = int(np.ma.getmaskarray(given).sum())
        raise DataError(f"{what}: a number in each cell is needed; fill what is masked. Got {masked} masked.")
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what}: numbers are needed. Got {array.dtype}.")
    return array
