"""Keys of algorithms whose update stays right when an upload is missing or late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from algorithms.roles.star import Star
from netsim.errors import Fault
from netsim.fields import PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Tolerant(Star):
    """A star whose server may go on without all uploads; a worker that several models reach takes the newest.

    Without memories a missing upload counts as silence, and a late one is dropped.

    Workers that remember what they sent count on every message. There a late upload counts when it comes, and a worker
    waits for the end of its upload before it takes the next model. Where no acknowledgement came, its memory becomes
    that after an upload of zeros (`netsim.interfaces.Lost`). So worker and server add up the same uploads in the same
    order.

    Parameters
    ----------
    quorum
        The server goes on once so many workers have answered; nothing: all that it asked.
    deadline_s
        The server goes on so many seconds after its broadcast, whatever has come by then; nothing: never. A network
        that can lose messages needs it, and so does ``silence: deadline``. A late upload is dropped, or counts when it
        comes where workers remember what they sent.
    """

    quorum: PositiveInt | None = None
    deadline_s: PositiveFloat | None = None

    @property
    def keeps_memory(self) -> bool:
        """Whether workers remember what they sent."""
        return False

    @property
    def tolerates(self) -> frozenset[str]:  # type: ignore[override]  # depends on keys
        """Late and lost messages; with memories lost ones of which the sender learns."""
        return frozenset({"late", "known_loss" if self.keeps_memory else "loss"})

    def patience(self, asked: int) -> tuple[int, float | None]:
        """Return how many answers end a round, and the seconds after which it ends without them."""
        return min(self.quorum or asked, asked), self.deadline_s

    def timing_free(self, network: Any) -> bool:
        """Return whether results depend on no delay: not where the server goes on without some uploads."""
        return self.quorum is None and self.deadline_s is None

    def num_asked(self, nodes: int) -> int:
        """Return how many of the workers take part in a round."""
        return nodes

    def node_faults(self, nodes: int) -> Sequence[Fault]:
        """Find what does not fit so many workers."""
        asked = self.num_asked(nodes)
        if self.quorum is not None and self.quorum > asked:
            return [Fault(("quorum",), f"at most {asked}, the workers of a round", f"{self.quorum}")]
        return []


@dataclass(frozen=True, kw_only=True)
class Mindful(Tolerant):
    """A tolerant star whose workers always remember what they sent."""

    @property
    def keeps_memory(self) -> bool:
        """Whether workers remember what they sent: they do."""
        return True
