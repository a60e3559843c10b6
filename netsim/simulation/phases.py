"""Where the learning nodes' time goes."""

from __future__ import annotations

from netsim.interfaces import NodeId


class Phase:
    """A node's uploads or its downloads; those that overlap count once.

    Parameters
    ----------
    kind
        ``uplink`` or ``downlink``.
    total_ns
        By kind, of all nodes; gets what this phase took when its last transfer ends.
    """

    __slots__ = ("_kind", "_since_ns", "_total_ns", "_transfers")

    def __init__(self, kind: str, total_ns: dict[str, int]) -> None:
        self._kind, self._total_ns = kind, total_ns
        self._transfers = self._since_ns = 0

    def begin(self, now_ns: int) -> None:
        """Begin a transfer."""
        if not self._transfers:
            self._since_ns = now_ns
        self._transfers += 1

    def end(self, now_ns: int) -> None:
        """End a transfer."""
        self._transfers -= 1
        if not self._transfers:
            self._total_ns[self._kind] += now_ns - self._since_ns

    def open_ns(self, now_ns: int) -> int:
        """Return how long transfers have been under way."""
        return now_ns - self._since_ns if self._transfers else 0

    @property
    def kind(self) -> str:
        """``uplink`` or ``downlink``."""
        return self._kind


class Phases:
    """Time that learning nodes compute and that they spend in own uploads and downloads.

    Attributes
    ----------
    total_ns : by kind, of phases that are over.
    """

    def __init__(self, learners: int) -> None:
        self._learners = learners
        self.total_ns = {"compute": 0, "uplink": 0, "downlink": 0}
        self._phases: dict[tuple[str, NodeId], Phase] = {}

    def of(self, kind: str, node: NodeId) -> Phase | None:
        """Return the phase of a node; None where it does not learn."""
        if node >= self._learners:
            return None
        if (kind, node) not in self._phases:
            self._phases[kind, node] = Phase(kind, self.total_ns)
        return self._phases[kind, node]

    def at(self, now_ns: int) -> dict[str, int]:
        """Return the totals at `now_ns`, open phases included."""
        totals = dict(self.total_ns)
        for phase in self._phases.values():
            totals[phase.kind] += phase.open_ns(now_ns)
        return totals
