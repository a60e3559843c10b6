"""What policies under which a radio sleeps have in common: the cost of waking it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from netsim.errors import Fault
from netsim.fields import NonNegativeFloat
from netsim.units import seconds_to_ns


@dataclass(frozen=True)
class Waking:
    """Every wake-up takes `wake_s`, in state ``idle``, and `wake_j` in all.

    Parameters
    ----------
    wake_s
        From sleep to ready, >= 0.
    wake_j
        Joules of one wake-up, spread evenly over `wake_s`; nothing: the radio's ``idle`` power for that time.
    """

    wake_s: NonNegativeFloat = 0.0
    wake_j: NonNegativeFloat | None = None

    @cached_property
    def wake_ns(self) -> int:
        """`wake_s` in nanoseconds."""
        return seconds_to_ns(self.wake_s)

    def _waking_faults(self) -> Iterator[Fault]:
        if self.wake_j and not self.wake_ns:
            yield Fault(("wake_j",), "wake_s is needed, the time in which a wake-up spends wake_j", f"{self.wake_j:g}")
