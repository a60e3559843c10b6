"""Datasets of scikit-learn by name: those that it brings along, and those that it has fetched before."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.arrays import to_features, to_labels
from algorithms.reading.selection import Selection
from netsim.errors import ConfigError, DataError, Fault, nearest_name
from netsim.interfaces import Data
from netsim.interfaces.problems import NeedsNoFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Sklearn(NeedsNoFile, Selection):
    """A dataset of ``sklearn.datasets``: ``load_NAME``, or ``fetch_NAME`` where its data are on the disk already.

    Parameters
    ----------
    loader
        Such as ``iris``, ``wine``, ``diabetes`` or ``fetch_california_housing``.

    Examples
    --------
    >>> Sklearn("iris").load(np.random.default_rng(0)).features.shape
    (150, 4)
    """

    examples: ClassVar[Examples] = (
        {"loader": "iris", "test_fraction": 0.2, "normalise": "standard", "bias": True},
        {"loader": "diabetes"},
    )

    loader: str

    def read(self, rng: np.random.Generator) -> Data:
        """Load it; `rng` is not used."""
        from sklearn import datasets

        known = [n for n in dir(datasets) if n.startswith(("load_", "fetch_")) and n not in _NONE]
        choices = [self.loader, f"load_{self.loader}", f"fetch_{self.loader}"]
        function = next((name for name in choices if name in known), None)
        if function is None:
            shown = ", ".join(name.removeprefix("load_") for name in known)
            nearest = nearest_name(self.loader, [name.removeprefix("load_") for name in known])
            allowed = f"a dataset of scikit-learn; there are {shown}"
            raise ConfigError([Fault(("dataset", "loader"), allowed, repr(self.loader), nearest)])
        load = getattr(datasets, function)
        keys = {"return_X_y": True, "download_if_missing": False}
        taken = inspect.signature(load).parameters
        try:
            features, labels = load(**{key: value for key, value in keys.items() if key in taken})
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split()).rstrip(".")
            allowed = f"the data of sklearn.datasets.{function} are needed on this machine; call it once in Python"
            raise DataError(f"sklearn: {allowed}. Got: {text}.") from None
        what = f"sklearn: {function}"
        return Data(to_features(features, what), to_labels(labels, what), function)

    def files(self) -> Sequence[Path]:
        """Return no file but those of scikit-learn."""
        return ()


# Images, texts and functions that need arguments.
_NONE = frozenset(
    {"load_files", "load_sample_image", "load_sample_images", "load_svmlight_file", "load_svmlight_files",
     "fetch_openml", "fetch_file", "fetch_20newsgroups", "fetch_species_distributions"}
)  # fmt: skip
