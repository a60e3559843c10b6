"""What every dataset promises."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.interfaces import Data
from netsim.testing.contract import NotCheckedError, on, require, require_methods

SEEDS = (0, 1)


def check_interface(dataset: Any) -> None:
    """Check that it loads, and names the files it wants and has found; `netsim.interfaces.NeedsNoFile` wants none."""
    require_methods(dataset, "load", "wants", "found")
    files = dataset.wants()
    text = [name for file in files for name in (file.path, file.note, file.sha256, file.url)]
    require(all(isinstance(part, str) for part in text), f"path, note, sha256 and url of a file are texts. Got {files}")


def require_files(dataset: Any) -> None:
    """Raise `NotCheckedError` where a dataset's file is missing."""
    wanted = dataset.wants() if hasattr(dataset, "wants") else ()
    if wanted and dataset.found() is None:
        raise NotCheckedError(f"its file is missing: {' or '.join(file.path for file in wanted)}, {wanted[0].note}")


def load(dataset: Any, seed: int) -> Data:
    """Return the data that a seed gives."""
    require_files(dataset)
    data: Data = dataset.load(np.random.default_rng(seed))
    return data


def check_shapes(dataset: Any) -> None:
    """Check that features are (n, p), C-contiguous float64 (images: float32) or CSR, labels (n,), test part alike."""
    with on("seed 0"):
        data = load(dataset, 0)
        require(isinstance(data.name, str) and data.name, f"name is a text. Got {data.name!r}")
        rows, columns = _check_features(data.features, "features")
        require(rows >= 1 and columns >= 1, f"at least one sample and one feature are needed. Got {rows} and {columns}")
        _check_labels(data.labels, rows, "labels")
        has = (data.test_features is not None, data.test_labels is not None)
        require(has[0] == has[1], "test_features and test_labels come together or not at all")
        if data.test_labels is not None:
            test_rows, test_columns = _check_features(data.test_features, "test_features")
            require(test_columns == columns, f"test_features have {test_columns} columns and features {columns}")
            _check_labels(data.test_labels, test_rows, "test_labels")


def _check_features(features: Any, what: str) -> tuple[int, int]:
    is_sparse = getattr(features, "format", "") == "csr"
    dense = isinstance(features, np.ndarray) and features.flags.c_contiguous
    got = f"{type(features).__name__} of {getattr(features, 'dtype', 'no dtype')}"
    require(is_sparse or dense, f"{what} are a C-contiguous array or a CSR array. Got {got}")
    require(features.dtype in (np.float64, np.float32), f"{what} are float64, or float32. Got {got}")
    require(features.ndim == 2, f"{what} have shape (n, p). Got {features.shape}")
    numbers = features.data if is_sparse else features
    require(np.isfinite(numbers).all(), f"{what} have an entry that is not finite")
    if is_sparse:
        in_reach = (
            features.indices.size == 0 or 0 <= features.indices.min() <= features.indices.max() < features.shape[1]
        )
        require(in_reach, f"{what} have a column beyond their {features.shape[1]}")
    return int(features.shape[0]), int(features.shape[1])


def _check_labels(labels: Any, rows: int, what: str) -> None:
    got = f"{getattr(labels, 'dtype', type(labels).__name__)} of shape {getattr(labels, 'shape', '()')}"
    require(isinstance(labels, np.ndarray) and labels.dtype == np.float64, f"{what} are a float64 array. Got {got}")
    require(labels.shape == (rows,), f"{what} have shape ({rows},), one for each row of the features. Got {got}")
    require(np.isfinite(labels).all(), f"{what} must be finite")


def check_classes(dataset: Any) -> None:
    """Check that labels are -1 and 1, whole numbers of two or more classes from 0, or numbers to predict."""
    with on("seed 0"):
        _check_classes(load(dataset, 0))


def _check_classes(data: Data) -> None:
    known = np.unique(data.labels)
    if not np.array_equal(known, np.round(known)):
        return  # numbers to predict
    whole = (known == np.round(known)).all() and (known >= 0).all()
    shown = ", ".join(f"{label:g}" for label in known[:5]) + (", ..." if known.size > 5 else "")
    require(set(known.tolist()) <= {-1.0, 1.0} or whole, f"labels are -1 and 1, or 0, 1, 2, ... Got {shown}")
    require(known.size >= 2, f"labels of two classes or more are needed. Got {shown}")
    if data.test_labels is not None:
        new = sorted(set(data.test_labels.tolist()) - set(known.tolist()))
        require(not new, f"test_labels have classes that labels lack: {new[:5]}")


def check_seed(dataset: Any) -> None:
    """Check that the same stream gives the same bytes, and that loading does not change what is loaded next."""
    for seed in SEEDS:
        with on(f"seed {seed}"):
            first, first_bytes = load(dataset, seed), _content(load(dataset, seed))
            for part in _parts(first):
                if part.flags.writeable:
                    part[...] = 0
            require(_content(load(dataset, seed)) == first_bytes, "two streams of one seed give other data")


def check_draws(dataset: Any) -> None:
    """Check that with ``draws = False`` the data do not depend on the stream: replications share them."""
    if not getattr(dataset, "draws", True):
        first, second = (_content(load(dataset, seed)) for seed in SEEDS)
        require(first == second, "draws is False, and two streams give different data")


def _parts(data: Data) -> list[Any]:
    arrays: list[Any] = []
    values: tuple[Any, ...] = (data.features, data.labels, data.test_features, data.test_labels)
    for value in values:
        if value is not None:
            arrays += [value.data, value.indices, value.indptr] if hasattr(value, "indptr") else [value]
    return arrays


def _content(data: Data) -> list[tuple[Any, ...]]:
    shapes = [tuple(value.shape) for value in (data.features, data.labels)]
    return [tuple(shapes), *((part.shape, part.dtype.str, part.tobytes()) for part in _parts(data))]
