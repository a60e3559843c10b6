"""Arrays handed over in Python: numpy, pandas, scipy.sparse or torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from algorithms.learning.cache import cache_folder
from algorithms.reading.arrays import sample_shape, to_features, to_labels
from algorithms.reading.files import require
from algorithms.reading.one_file import OneFile
from netsim import files as files_module
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Arrays(OneFile):
    """Arrays that a program handed over with `Arrays.of`; they are kept in netsim's cache, by their content.

    So that other processes, and the resolved scenario later, find them again on this machine. Elsewhere hand them over
    again, or use ``npz``.

    Parameters
    ----------
    sha256
        Of the arrays; `Arrays.of` computes it.
    """

    examples: ClassVar[Examples] = ({"sha256": "0" * 64},)

    sha256: str

    @classmethod
    def of(
        cls, features: Any, labels: Any, test_features: Any = None, test_labels: Any = None, groups: Any = None,
        **keys: Any,
    ) -> Arrays:  # fmt: skip
        """Return the dataset of these arrays.

        Parameters
        ----------
        features
            Shape (n, ...): numpy, pandas, a torch tensor, or a matrix of scipy.sparse.
        labels
            Shape (n,): numbers.
        test_features, test_labels
            The same for tests; None: no test set.
        groups
            Shape (n,): whom each sample comes from, for ``partition: natural``.
        keys
            Such as ``subsample`` or ``normalise``.

        Raises
        ------
        DataError
            If they are no numbers or do not fit together.

        Examples
        --------
        >>> import os, tempfile
        >>> os.environ["NETSIM_CACHE"] = tempfile.mkdtemp()
        >>> data = Arrays.of([[1.0, 2.0], [3.0, 4.0]], [0, 1])
        >>> data.load(np.random.default_rng(0)).labels.tolist()
        [-1.0, 1.0]
        """
        parts = _plain("features", features) | {"labels": to_labels(labels, "labels")}
        if (test_features is None) != (test_labels is None):
            raise DataError("arrays: test_features and test_labels are needed together. Got one of them.")
        if test_features is not None:
            parts |= _plain("test_features", test_features) | {"test_labels": to_labels(test_labels, "test_labels")}
        if groups is not None:
            parts["groups"] = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1).astype(np.int64)
        parts["shape"] = np.array(sample_shape(features), np.int64)
        digest = hashlib.sha256()
        for name, part in sorted(parts.items()):
            digest.update(repr((name, part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).data)
        path = _file(digest.hexdigest())
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with files_module.aside(path) as aside, aside.open("wb") as stream:
                np.savez(stream, **parts)
        return cls(sha256=digest.hexdigest(), **keys)

    def read(self, rng: np.random.Generator) -> Data:
        """Read what `of` kept; `rng` is not used."""
        path = require("arrays", self.wants())
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        tests = arrays.get("test_labels")
        return Data(
            _whole(arrays, "features"), arrays["labels"], "arrays",
            None if tests is None else _whole(arrays, "test_features"), tests,
            arrays.get("groups"), tuple(arrays["shape"].tolist()),
        )  # fmt: skip

    def wants(self) -> tuple[DataFile, ...]:
        """Return the file in the cache."""
        return (DataFile(str(_file(self.sha256)), "arrays handed over in Python on this machine"),)


def _file(digest: str) -> Path:
    return cache_folder().absolute() / "arrays" / f"{digest}.npz"


def _plain(name: str, given: Any) -> dict[str, Any]:
    """Return features as plain arrays: one, or four of a sparse matrix."""
    features = to_features(given, name)
    if isinstance(features, np.ndarray):
        return {name: features}
    size = np.array(features.shape, np.int64)
    parts = {"data": features.data, "indices": features.indices, "indptr": features.indptr, "size": size}
    return {f"{name}_{key}": part for key, part in parts.items()}


def _whole(arrays: Mapping[str, Any], name: str) -> Any:
    if name in arrays:
        return arrays[name]
    import scipy.sparse as sp

    parts = tuple(arrays[f"{name}_{key}"] for key in ("data", "indices", "indptr"))
    return sp.csr_array(parts, shape=tuple(arrays[f"{name}_size"].tolist()))
