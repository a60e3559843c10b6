"""ResNet-18 for images of 32 x 32 pixels."""

from __future__ import annotations

from typing import Any

from algorithms.learning.modules.residual import network


def make(classes: int = 10) -> Any:
    """Make four stages of two blocks, of 64 to 512 channels: 11173962 weights with ten classes."""
    return network((64, 128, 256, 512), (2, 2, 2, 2), classes)
