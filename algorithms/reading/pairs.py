"""The smallest map-style dataset, as an example."""

from __future__ import annotations


def numbers(size: int = 12) -> list[tuple[list[float], int]]:
    """Numbers in the plane and their rest modulo 3.

    Examples
    --------
    >>> numbers(2)
    [([0.0, 0.0], 0), ([1.0, 0.5], 1)]
    """
    return [([float(i), i / 2], i % 3) for i in range(size)]
