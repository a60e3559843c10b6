"""Tensor shapes of a model, as codecs use them that look at tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from netsim.fields import PositiveInt

Layout: TypeAlias = tuple[tuple[PositiveInt, ...], ...]


def as_layout(layout: Sequence[Sequence[int]]) -> Layout:
    """Return the shapes as tuples, which can be compared and hashed."""
    return tuple(tuple(int(n) for n in shape) for shape in layout)


def shapes_of(layout: Layout, dim: int, error: type[Exception], name: str) -> Layout:
    """Return the tensors of a vector of that dimension; one of shape (dim,) where no layout is known.

    Raises
    ------
    error
        If the layout has another number of entries.
    """
    if not layout:
        return ((dim,),)
    total = sum(map(math.prod, layout))
    if total != dim:
        raise error(f"{name}: a vector of the {total} entries of its {len(layout)} tensors is needed. Got {dim}.")
    return layout
