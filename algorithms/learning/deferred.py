"""Arrays that are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from netsim.interfaces import Array


class Deferred(Sequence[Array]):
    """A sequence whose members are made anew each time: one that is used at once is used while it is in cache.

    Parameters
    ----------
    makers
        One a member.

    Examples
    --------
    >>> import numpy as np
    >>> zeros = Deferred([lambda: np.zeros(1), lambda: np.zeros(2)])
    >>> len(zeros), zeros[1].tolist(), zeros[1] is zeros[1]
    (2, [0.0, 0.0], False)
    """

    def __init__(self, makers: Sequence[Callable[[], Array]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> Deferred: ...

    def __getitem__(self, index: int | slice) -> Array | Deferred:
        return Deferred(self._makers[index]) if isinstance(index, slice) else self._makers[index]()
