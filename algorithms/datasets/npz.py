"""Arrays in a file that numpy.savez wrote."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.reading.arrays import sample_shape, to_features, to_labels
from algorithms.reading.files import require
from algorithms.reading.one_file import OwnFile
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Npz(OwnFile):
    """A ``.npz`` file: features of shape (n, ...), a label each, and where there are any the same for tests.

    Samples that are arrays themselves, such as images, become rows. Objects in it are refused: nothing is unpickled.

    Parameters
    ----------
    features, labels
        Names of the arrays.
    test_features, test_labels, groups
        Names of arrays that may be missing; `groups` says whom each sample comes from, for ``partition: natural``.
    """

    note: ClassVar[str] = "a file that numpy.savez wrote"
    examples: ClassVar[Examples] = ({"path": "own.npz"},)

    features: str = "features"
    labels: str = "labels"
    test_features: str = "test_features"
    test_labels: str = "test_labels"
    groups: str = "groups"

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        path = require("npz", self.wants())
        try:
            with path.open("rb") as stream:
                file = np.load(stream, allow_pickle=False)
                if not isinstance(file, np.lib.npyio.NpzFile):
                    raise ValueError("a single array")
                with file:
                    arrays = {key: file[key] for key in file.files}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            text = " ".join(str(error).split()).rstrip(".")
            raise DataError(f"{path}: a whole .npz file of plain arrays is needed. Got: {text}.") from None
        for key in (self.features, self.labels):
            if key not in arrays:
                raise DataError(f"{path}: an array {key!r} is needed. Got {', '.join(arrays) or 'none'}.")
        tests: dict[str, Any] = {}
        if self.test_features in arrays and self.test_labels in arrays:
            tests["test_features"] = to_features(arrays[self.test_features], f"{path}: {self.test_features}")
            tests["test_labels"] = to_labels(arrays[self.test_labels], f"{path}: {self.test_labels}")
        if self.groups in arrays:
            tests["groups"] = np.unique(arrays[self.groups], return_inverse=True)[1].reshape(-1).astype(np.int64)
        given = arrays[self.features]
        features, labels = to_features(given, f"{path}: {self.features}"), to_labels(arrays[self.labels], str(path))
        if labels.size != features.shape[0]:
            raise DataError(f"{path}: a label for each of {features.shape[0]} samples is needed. Got {labels.size}.")
        return Data(features, labels, str(path), shape=sample_shape(given), **tests)
