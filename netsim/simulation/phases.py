"""Where the learning nodes' time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.interfaces import (
    NodeId,
)

if TYPE_CHECKING:
    pass


class Phases:
    """Time that learning nodes spend in own uploads and downloads, overlapping transfers counted once."""

    def __init__(self, learners: int) -> None:
        self._learners = learners
        self.total_ns = {"compute": 0, "uplink": 0, "downlink": 0}
        self._open: dict[tuple[str, NodeId], tuple[int, int]] = {}

    def begin(self, phase: tuple[str, NodeId], now_ns: int) -> None:
        """Begin a phase of a node; phases of one kind that overlap count once."""
        if phase[1] >= self._learners:
            return
        count, since_ns = self._open.get(phase, (0, now_ns))
        self._open[phase] = (count + 1, since_ns)

    def end(self, phase: tuple[str, NodeId], now_ns: int) -> None:
        """End a phase of a node."""
        if phase[1] >= self._learners:
            return
        count, since_ns = self._open.pop(phase)
        if count > 1:
            self._open[phase] = (count - 1, since_ns)
        else:
            self.total_ns[phase[0]] += now_ns - since_ns

    def at(self, now_ns: int) -> dict[str, int]:
        """Return the totals at `now_ns`, open phases included."""
        totals = dict(self.total_ns)
        for (phase, _), (_, since_ns) in self._open.items():
            totals[phase] += now_ns - since_ns
        return totals
