"""The clock of a run and its timers: the only file that knows simpy."""

from __future__ import annotations

import math
from collections.abc import Callable

import simpy


class Clock:
    """The time of a run in integer nanoseconds, and what is to be done later.

    Attributes
    ----------
    now_ns : the instant that the run is at.
    next_ns : the next instant with a timer; infinite where there is none.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.next_ns = math.inf
        self._env = simpy.Environment()
        self._timers: dict[int, list[Callable[[], None]]] = {}

    def after(self, delay_ns: int, then: Callable[[], None]) -> None:
        """Call `then` after a delay; calls that fall on one instant are one event and keep their order."""
        at_ns = self.now_ns + delay_ns
        if at_ns in self._timers:
            self._timers[at_ns].append(then)
            return
        self._timers[at_ns] = [then]
        self._env.timeout(at_ns - self._env.now).callbacks.append(lambda _: self._ring(at_ns))
        self.next_ns = self._env.peek()

    def ring(self) -> None:
        """Make all calls of this instant, also those that are added meanwhile."""
        while self.next_ns == self.now_ns:
            self._env.step()
            self.next_ns = self._env.peek()

    def _ring(self, at_ns: int) -> None:
        for then in self._timers.pop(at_ns):
            then()
