"""Vectors like gradients: float32, seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

KINDS = ("Gaussian", "t3 tails", "95 % zeros")


def vector(kind: str, size: int) -> Vector:
    """A vector of one of `KINDS`, shape (size,)."""
    rng = np.random.default_rng(1)
    if kind == "t3 tails":
        return rng.standard_t(3, size).astype(np.float32)
    x: npt.NDArray[Any] = rng.standard_normal(size, np.float32)
    if kind == "95 % zeros":
        x[rng.random(size, np.float32) < 0.95] = 0
    return x


def short(size: int) -> str:
    """A power of ten as 1e6."""
    return f"{size:.0e}".replace("e+0", "e")
