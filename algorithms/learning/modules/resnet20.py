"""ResNet-20 for images of 32 x 32 pixels."""

from __future__ import annotations

from typing import Any

from algorithms.learning.modules.residual import network


def make(classes: int = 10) -> Any:
    """Make three stages of three blocks, of 16, 32 and 64 channels: 272474 weights with ten classes."""
    return network((16, 32, 64), (3, 3, 3), classes)
