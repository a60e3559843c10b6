"""The fixed cost models that every cost component and every channel hands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from netsim.interfaces import CostStructure

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Basis = Literal["count", "paper", "message"]


@dataclass(frozen=True, slots=True)
class StructuredCost:
    """C(x) = c0 + c_packet * max(1, ceil((header_bit + x) / payload_max_bit)) + c_bit * x.

    Parameters
    ----------
    structure
        The constants, from which a tuner may compute instead of calling.
    basis
        What x is: kept coordinates, the papers' bits, or all bits of the real message.
    quantity
        Name of the unit of C, such as ``bit``, ``packet``, ``s``, ``j``.

    Notes
    -----
    A call knows bits only, not where an entry ends, so it counts packets as if they were filled to the last
    bit (``packing: stream``). A tuner knows the entries' width and honours ``structure.packing``, where its true
    C(T) is at least what the call says.

    Examples
    --------
    >>> cost = StructuredCost(CostStructure(c_packet=1.0, payload_max_bit=4096.0), "message", "packet")
    >>> cost([0, 4096, 4097])
    array([1., 1., 2.])
    """

    structure: CostStructure
    basis: Basis = "message"
    quantity: str = "bit"

    def __call__(self, size: npt.ArrayLike) -> Float64s:
        """Return the cost at these sizes in the unit of `basis`, elementwise, float64."""
        x = np.asarray(size, dtype=np.float64)
        s = self.structure
        out = s.c0 + s.c_bit * x
        if s.payload_max_bit is not None:
            out = out + s.c_packet * np.maximum(ceil_div(s.header_bit + x, s.payload_max_bit), 1.0)
        return np.asarray(out, dtype=np.float64)

    def observe(self, message_bit: float, value: float) -> None:
        """Do nothing: the model is fixed."""


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """A cost without constants, such as one with a smallest frame.

    Parameters
    ----------
    function
        float64 sizes in the unit of `basis`, any shape, to costs of the same shape; never decreasing, positive.
    quantity
        Name of the unit of C.
    basis
        What the sizes are.

    Examples
    --------
    >>> cost = FunctionCost(lambda message_bit: np.maximum(message_bit, 512.0) + 304.0, "bit")
    >>> cost([100, 1000]), cost.structure is None
    (array([ 816., 1304.]), True)
    """

    function: Callable[[Float64s], npt.ArrayLike]
    quantity: str = "bit"
    basis: Basis = "message"

    @property
    def structure(self) -> CostStructure | None:
        """None: there are no constants to compute from."""
        return None

    def __call__(self, size: npt.ArrayLike) -> Float64s:
        """Return the cost at these sizes, elementwise, float64."""
        return np.asarray(self.function(np.asarray(size, dtype=np.float64)), dtype=np.float64)

    def observe(self, message_bit: float, value: float) -> None:
        """Do nothing: the model is fixed."""


def stream_cost(
    quantity: str, constants: Mapping[str, tuple[float, float, float]], payload_max_bytes: float
) -> StructuredCost:
    """Return the cost of a message that fills packets as one stream of bits.

    Parameters
    ----------
    quantity
        A key of `constants`.
    constants
        (c0, c_packet, c_bit) of each quantity.
    payload_max_bytes
        Of a packet.
    """
    structure = CostStructure(*constants[quantity], 8.0 * payload_max_bytes, packing="stream")
    return StructuredCost(structure, "message", quantity)


def byte_cost(quantity: str, cost: Callable[[Int64s], npt.ArrayLike]) -> FunctionCost:
    """Return the cost of a message by its whole bytes, at least one."""
    return FunctionCost(lambda message_bit: cost(np.maximum(np.ceil(message_bit / 8), 1).astype(np.int64)), quantity)


def ceil_div(x: npt.ArrayLike, divisor: float) -> Float64s:
    """Return ceil(x / divisor) as float64, elementwise.

    Exact for whole numbers below 2**53; otherwise the least n whose product n * divisor, rounded to float64,
    reaches x.

    Parameters
    ----------
    x
        Numbers >= 0.
    divisor
        A number > 0.

    Examples
    --------
    >>> ceil_div([0, 1, 8, 9], 8)
    array([0., 1., 1., 2.])
    """
    values = np.asarray(x, dtype=np.float64)
    n = np.ceil(values / divisor)
    n = np.where((n - 1.0) * divisor >= values, n - 1.0, n)
    return np.asarray(np.where(n * divisor < values, n + 1.0, n), dtype=np.float64)
