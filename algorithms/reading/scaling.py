"""Columns and rows of features on one scale, by figures of the training samples alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.interfaces import Data


def scaled(data: Data, how: str) -> Data:
    """Scale features as `algorithms.reading.selection.Selection.normalise` says.

    Raises
    ------
    ConfigError
        For ``standard`` with sparse features, which would no longer be sparse.
    """
    if how == "none":
        return data
    is_sparse = hasattr(data.features, "tocsr")
    if how == "unit":
        both = [None if x is None else _unit(x) for x in (data.features, data.test_features)]
        return replace(data, features=both[0], test_features=both[1])
    if is_sparse and how == "standard":
        allowed = "none, range or unit, as columns of sparse features are not shifted"
        raise ConfigError([Fault(("dataset", "normalise"), allowed, how)])
    if is_sparse:
        shift, factor = None, _inverse(abs(data.features).max(axis=0).toarray().reshape(-1))
    elif how == "standard":
        shift, factor = data.features.mean(0), _inverse(data.features.std(0))
    else:
        lowest = data.features.min(0)
        shift, factor = lowest, _inverse(data.features.max(0) - lowest)
    both = [None if x is None else _apply(x, shift, factor) for x in (data.features, data.test_features)]
    return replace(data, features=both[0], test_features=both[1])


def with_ones(data: Data) -> Data:
    """Add a last column of ones."""
    both = [None if x is None else _ones(x) for x in (data.features, data.test_features)]
    return replace(data, features=both[0], test_features=both[1], shape=())


def _ones(features: Any) -> Any:
    ones = np.ones((features.shape[0], 1), features.dtype)
    if not hasattr(features, "tocsr"):
        return np.concatenate([features, ones], axis=1)
    import scipy.sparse as sp

    return sp.csr_array(sp.hstack([features, sp.csr_array(ones)], format="csr"))


def _apply(features: Any, shift: Any, factor: Any) -> Any:
    if shift is None:
        out = features.copy()
        out.data *= factor[out.indices]
        return out
    return np.ascontiguousarray((features - shift) * factor)


def _unit(features: Any) -> Any:
    if hasattr(features, "tocsr"):
        out = features.copy()
        row_of = np.repeat(np.arange(out.shape[0]), np.diff(out.indptr))
        out.data *= _inverse(np.sqrt(np.bincount(row_of, out.data**2, out.shape[0])))[row_of]
        return out
    return features * _inverse(np.sqrt(np.einsum("ij,ij->i", features, features)))[:, None]


def _inverse(sizes: Any) -> Any:
    """Return 1 / size, and 1 where that is 0."""
    return 1.0 / np.where(sizes > 0, sizes, 1.0)
