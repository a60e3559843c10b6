"""Values that reach a server after their round: they wait there until a mask has their coordinates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np

from netsim.interfaces import Array, Code, Indices, Message, NodeId, Sum


class LateValues:
    """What came late and is part of no aggregate yet.

    A worker has one message under way at most, so its late values are on the last mask for which they were missing.

    Parameters
    ----------
    dim
        d.
    code
        Makes the code of the values on a mask; None is the mask of all coordinates.

    Attributes
    ----------
    left : the sum of what waits, shape (d,).
    missing : by worker, the last mask for which its values did not come in time.
    """

    def __init__(self, dim: int, code: Callable[[Indices | None], Code]) -> None:
        self.left, self.code = np.zeros(dim), code
        self.missing = dict[NodeId, Indices | None]()

    async def take(self, late: Iterable[Message]) -> None:
        """Add late values to what waits."""
        for message in late:
            self.left = self.left + await Sum(self.code(self.missing[message.src]), [message])

    def miss(self, asked: Iterable[NodeId], heard: Collection[NodeId], mask: Indices | None) -> None:
        """Remember the mask for those whose values have not come."""
        self.missing |= {node: mask for node in asked if node not in heard}

    def join(self, total: Array, mask: Indices | None) -> Array:
        """Return the total on a mask with what waits there, which waits no more."""
        if not self.missing:
            return total
        now = np.zeros_like(total)
        kept = slice(None) if mask is None else mask
        now[kept] = self.left[kept]
        self.left = self.left - now
        return total + now
