"""Tensor shapes of a model, as codecs use them that look at tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

from netsim.fields import PositiveInt

Layout: TypeAlias = tuple[tuple[PositiveInt, ...], ...]


@dataclass(frozen=True)
class LaidOut:
    """A codec that looks at the tensors of a model.

    Parameters
    ----------
    layout
        Shapes of the tensors; those of the problem where none are given.
    """

    layout: Layout = field(default=(), kw_only=True)

    def bind(self, layout: Sequence[Sequence[int]]) -> Self:
        """Return this codec for those tensors, unless it has a layout."""
        shapes = tuple(tuple(int(n) for n in shape) for shape in layout)  # can be compared and hashed
        return self if self.layout else replace(self, layout=shapes)


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
