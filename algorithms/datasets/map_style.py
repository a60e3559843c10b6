"""Any map-style dataset, such as those of PyTorch: an object with a length whose members are (features, label)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from algorithms.learning.imported import imported, sources
from algorithms.reading.arrays import sample_shape, to_features, to_labels
from algorithms.reading.selection import Selection
from netsim.errors import ConfigError, DataError, Fault
from netsim.interfaces import Data
from netsim.interfaces.problems import NeedsNoFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class MapStyle(NeedsNoFile, Selection):
    """What a function of yours returns: an object with a length whose members are (features, label).

    All members are read once, in order; features of any shape become rows, labels are numbers. Members must be the same
    at every reading: what augments belongs into the problem.

    Parameters
    ----------
    module
        The function that makes the training samples: ``FILE.py:NAME`` with the file beside the scenario, or an import
        name ``package.module:NAME``.
    arguments
        Of that function.
    test_arguments
        With which it makes the test samples, on top of `arguments`; nothing: there are none.
    """

    examples: ClassVar[Examples] = (
        {"module": "algorithms.reading.pairs:numbers", "arguments": {"size": 12}, "test_arguments": {"size": 6}},
    )

    module: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    test_arguments: Mapping[str, Any] | None = field(default=None, hash=False)

    def read(self, rng: np.random.Generator) -> Data:
        """Make the samples; `rng` is not used."""
        features, labels, shape = self._samples(self.arguments)
        if self.test_arguments is None:
            return Data(features, labels, self.module, shape=shape)
        test_features, test_labels, _ = self._samples({**self.arguments, **self.test_arguments})
        return Data(features, labels, self.module, test_features, test_labels, shape=shape)

    def files(self) -> Sequence[Path]:
        """Return the function's file, and modules of the user's that it imports."""
        return sources(self.module)

    def _samples(self, arguments: Mapping[str, Any]) -> tuple[Any, Any, tuple[int, ...]]:
        function = imported(self.module, "module")
        try:
            given = function(**arguments)
            pairs = [given[i] for i in range(len(given))]
            features = [np.asarray(one) for one, _ in pairs]
            labels = [float(label) for _, label in pairs]
        except Exception as error:  # whatever the user's function does
            text = " ".join(f"{type(error).__name__}: {error}".split())
            allowed = f"{self.module} makes an object with a length whose members are (features, label)"
            raise ConfigError([Fault(("dataset", "module"), allowed, text)]) from error
        if len({one.shape for one in features}) != 1:
            got = "none" if not features else "several shapes"
            raise DataError(f"{self.module}: samples of one shape are needed. Got {got}.")
        whole = np.stack(features)
        return to_features(whole, self.module), to_labels(labels, self.module), sample_shape(whole)
