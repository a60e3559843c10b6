"""Runs that go on without getting anywhere: a clock that stands, rounds in which nothing is counted."""

from __future__ import annotations

from netsim.simulation.clock import Clock
from netsim.simulation.recorder import Recorder

PATIENCE = (100_000, 20_000)  # steps that may pass at one instant before a run is stalled, and more for each node
QUIET_ROUNDS = 5_000  # in which nothing is counted that alone would end the run, before it is stalled


class Standstill:
    """Looks now and then whether a run still gets anywhere.

    Attributes
    ----------
    patience : after how many steps `of_clock` is asked.
    """

    def __init__(self, clock: Clock, recorder: Recorder, nodes: int) -> None:
        self._clock, self._recorder = clock, recorder
        self.patience = PATIENCE[0] + PATIENCE[1] * nodes
        self._seen: tuple[float, ...] = ()
        self._counts, self._round = recorder.counted(), 0

    def of_clock(self, steps: int) -> str:
        """Return a sentence where so many steps have moved neither the clock nor a count that would end the run."""
        before, self._seen = self._seen, (self._clock.now_ns, *self._recorder.counted())
        if before != self._seen:
            return ""
        return f"its clock does not move: {steps} steps at one instant, and nothing that would end the run"

    def of_counts(self) -> str:
        """Return a sentence where many rounds have moved no count, and nothing but a count would end the run."""
        recorder = self._recorder
        if recorder.rounds < self._round + QUIET_ROUNDS:
            return ""
        before, self._counts, self._round = self._counts, recorder.counted(), recorder.rounds
        if recorder.stop.limits.keys() & {"rounds", "sim_time_s"} or before != self._counts:
            return ""
        counted = " and ".join(f"stop.{key}" for key in recorder.stop.limits)
        return f"{QUIET_ROUNDS} rounds in which nothing was counted of {counted}, which alone would end the run"
