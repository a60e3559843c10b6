"""A PyTorch module as a classifier with `fit` and `predict`, as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.learning.imported import imported
from algorithms.learning.quantizers import Labels
from algorithms.learning.torch_vector import require_torch
from netsim.interfaces import Floats


class TorchClassifier:
    """Trains a module by Adam on the cross-entropy of its outputs, one a class.

    Parameters
    ----------
    module
        Makes the module: ``FILE.py:NAME``, or an import name ``package.module:NAME``.
    arguments
        Of that function.
    epochs, batch, step_size
        Of the training.
    seed
        Of the module's weights and of the minibatches.

    Raises
    ------
    DataError
        If PyTorch is missing.
    """

    def __init__(
        self, module: str, arguments: Mapping[str, Any] | None = None, epochs: int = 20, batch: int = 64,
        step_size: float = 1e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        self._torch = require_torch()
        self.epochs, self.batch, self.step_size, self.seed = epochs, batch, step_size, seed
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            self.module = imported(module, "classifier")(**(arguments or {}))

    def fit(self, x: Floats, y: npt.ArrayLike) -> TorchClassifier:
        """Train on samples, shape (N, p), and classes 0 .. C-1."""
        torch, rng = self._torch, np.random.default_rng(self.seed)
        inputs, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(np.asarray(y, np.int64))
        optimizer = torch.optim.Adam(self.module.parameters(), lr=self.step_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.module.train()
            for _ in range(self.epochs):
                for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // self.batch)):
                    optimizer.zero_grad()
                    torch.nn.functional.cross_entropy(self.module(inputs[rows]), targets[rows]).backward()
                    optimizer.step()
        self.module.eval()
        return self

    def predict(self, x: Floats) -> Labels:
        """Return the class of largest output of each sample."""
        with self._torch.no_grad():
            outputs = self.module(self._torch.tensor(x, dtype=self._torch.float32))
        found: Labels = outputs.argmax(dim=1).numpy().astype(np.int64)
        return found
