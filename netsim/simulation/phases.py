"""Where the learning nodes' time goes."""

from __future__ import annotations

from netsim.interfaces import NodeId


class Phase:
    """A node's uploads or its downloads; those that overlap count once.

    Attributes
    ----------
    transfers : under way; whoever begins or ends one counts it, and books the time when the last one ends.
    since_ns : when the first of them began.
    total_ns : of earlier ones.
    """

    __slots__ = ("since_ns", "total_ns", "transfers")

    def __init__(self) -> None:
        self.transfers = self.since_ns = self.total_ns = 0

    def at(self, now_ns: int) -> int:
        """Return the total at `now_ns`, with what is under way."""
        return self.total_ns + (now_ns - self.since_ns if self.transfers else 0)


class Phases:
    """Time that learning nodes compute, and that they spend in own uploads and downloads.

    Attributes
    ----------
    compute_ns : of computations that have ended.
    """

    def __init__(self, learners: int) -> None:
        self._learners = learners
        self.compute_ns = 0
        self._phases: dict[str, dict[NodeId, Phase]] = {"uplink": {}, "downlink": {}}

    def of(self, kind: str, node: NodeId) -> Phase | None:
        """Return the phase of a node; None where it does not learn."""
        return self._phases[kind].setdefault(node, Phase()) if node < self._learners else None

    def at(self, now_ns: int) -> dict[str, int]:
        """Return the totals at `now_ns`, open phases included."""
        transfers = {kind: sum(phase.at(now_ns) for phase in of.values()) for kind, of in self._phases.items()}
        return {"compute": self.compute_ns, **transfers}
