"""How long a sparse code's messages are before they exist: what a tuner weighs against progress."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netsim.interfaces import HEADER_BYTES, Floats


def lg(n: int) -> int:
    """Return ceil(log2 n) for n >= 1: bits that tell n things apart.

    Examples
    --------
    >>> [lg(n) for n in (1, 2, 3, 4, 5, 47236)]
    [0, 1, 2, 2, 3, 16]
    """
    return (n - 1).bit_length()


@dataclass(frozen=True, slots=True)
class CodeSize:
    """Bits of a code that sends T entries: P(T) = paper0_bit + entry_bit * T for T > 0, P(0) = 0.

    Parameters
    ----------
    paper0_bit
        p0, what every message with at least one entry has, such as a scale.
    entry_bit
        p1, bits per kept entry.
    count_bit
        Bits of the real payload that the paper leaves out and that are always there, such as T itself.

    Examples
    --------
    >>> size = CodeSize(paper0_bit=0, entry_bit=48, count_bit=16)
    >>> float(size.paper_bit(85)), float(size.message_bit(85))
    (4080.0, 4160.0)
    """

    paper0_bit: float
    entry_bit: float
    count_bit: float

    def paper_bit(self, entries: npt.ArrayLike) -> Floats:
        """Return P(T) of the papers, elementwise; T may be an expectation."""
        t = np.asarray(entries, np.float64)
        return np.where(t > 0, self.paper0_bit + self.entry_bit * t, 0.0)

    def message_bit(self, entries: npt.ArrayLike) -> Floats:
        """Return the bits of the whole message, elementwise: header, and payload in whole bytes."""
        return 8.0 * (HEADER_BYTES + np.ceil((self.paper_bit(entries) + self.count_bit) / 8))
