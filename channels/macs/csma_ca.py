"""Unslotted CSMA/CA: every node sends when it finds the channel free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from channels.media.lrwpan.cell import Cell
from channels.media.lrwpan.csma.nodes import ContendingNodes, Rules
from channels.media.lrwpan.paced import PacedNodes, Renamed
from channels.media.roster import Members
from netsim.errors import ConfigError, Fault
from netsim.fields import Range
from netsim.interfaces import FrameSink, Medium, Node
from netsim.registry import component


@component("mac")
@dataclass(frozen=True)
class CsmaCa:
    """Every node has its own queue and unslotted CSMA/CA.

    NB = 0, BE = `min_be`; wait for b periods of 320 us, b uniform on {0 .. 2^BE - 1}, then assess the channel for
    128 us. If it is busy NB and BE (up to `max_be`) grow, and after `max_backoffs` + 1 busy assessments the frame is
    given up; else it is sent 192 us later. The acknowledgement begins 192 us behind it. Without one the sender tries
    again 864 us behind the frame, at once where it hears another's, up to `max_retries` times. The next frame follows
    at once where one was given up, else after the spacing. A receiver locks onto the first frame whose signal is not
    below -5 dB of the rest, and hears nothing while it turns round (192 us) or sends. Whoever acknowledges finds the
    channel busy. Frames that arrive again count as duplicates.

    With ``reliable: true`` a frame that was given up goes behind the message's other frames: the sender takes those
    that are not acknowledged round and round, the message arrives with the last frame that is missing there, and the
    sender's next message begins when all are acknowledged. A broadcast frame is sent again at once, and followed by
    acknowledged ones to those in range that missed it. Otherwise the sender goes on with the message's other frames,
    and the message is lost where one of them is.

    A message goes to its sender's queue in the first window from its submission on (``radio_policy: duty_cycle``), or
    after waking of all who take part that are not awake (``sleep_when_idle``), and whoever takes part is awake until it
    has ended.

    Parameters
    ----------
    min_be, max_be, max_backoffs, max_retries
        macMinBE 0 .. `max_be`, macMaxBE 3 .. 8, macMaxCSMABackoffs 0 .. 5, macMaxFrameRetries 0 .. 7.
    acknowledge
        Whether frames to one node are acknowledged; without, ``reliable`` must be false.

    Raises
    ------
    ConfigError
        If `min_be` is above `max_be`.

    Notes
    -----
    Scope and limits: sequence numbers of two nodes never agree, so an acknowledgement is never taken by the wrong node
    (in ns-3 one of 256 is). A radio meets signals in the order in which they arrive; of two that do so at one instant,
    first that whose sender has waited longer. Where some nodes do not notice each other, a sender that gave up r times
    in a row waits for b periods of 320 us, b uniform on {0 .. 2^min(5 + r, 12) - 1}, before it goes on: hidden senders
    that went on at once would never let each other through. ``rx`` is whatever the radio is locked onto. What is sent
    again behind a delivery, because the acknowledgement was lost, is told by the sender's next one. A draw depends on
    the medium's key, the transfer, and which of its draws it is, on nothing else.

    Validation: the compiled medium equals one simpy process a node in every counter; two nodes that start together
    against exact rationals; every row of bursts, requeued bursts and Poisson traffic in ns-3.44 (``make validation``,
    docs/validation.md), and with ns-3's draws every event of theirs; the same for nodes scattered over squares of 20 to
    120 m, hidden senders among them; hidden senders, and what follows a frame that was given up, by hand.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants), 7.5 (channel access, acknowledgement, spacing) and E.4 (error rate).
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"min_be": 2, "max_be": 4, "max_retries": 1})
    contends: ClassVar[bool] = True
    always_delivers: ClassVar[bool] = False
    slotted: ClassVar[bool] = False

    min_be: Annotated[int, Range(ge=0, le=8)] = 3
    max_be: Annotated[int, Range(ge=3, le=8)] = 5
    max_backoffs: Annotated[int, Range(ge=0, le=5)] = 4
    max_retries: Annotated[int, Range(ge=0, le=7)] = 3
    acknowledge: bool = True

    def __post_init__(self) -> None:
        if self.min_be > self.max_be:
            raise ConfigError([Fault(("min_be",), f"at most max_be, {self.max_be}", str(self.min_be))])

    def faults(self, cell: Cell) -> Sequence[Fault]:
        """See `channels.media.lrwpan.cell.Mac`."""
        if cell.reliable and not self.acknowledge:
            return [Fault(("mac", "acknowledge"), "true where reliable is true", "False")]
        return []

    def rules(self, cell: Cell) -> Rules:
        """Return what the nodes of a cell do."""
        return Rules(
            self.slotted, cell.collisions == "strict", cell.cca == "ns3", cell.reliable, self.acknowledge,
            cell.radio_policy.sleeps, cell.per, self.min_be, self.max_be, self.max_backoffs, self.max_retries,
        )  # fmt: skip

    def open(self, cell: Cell, nodes: Sequence[Node], key: int, frames: FrameSink | None) -> Medium:
        """See `channels.media.lrwpan.cell.Mac`."""
        policy, members = cell.radio_policy, Members(nodes, cell.radio, frames)
        is_paced = policy.lead_ns > 0 or policy.next_change_ns(0) is not None
        sink = Renamed(frames) if is_paced and frames is not None else None
        reach, seen = cell.path_loss.reach(nodes, cell.radio), members._replace(frames=sink or frames)
        inner = ContendingNodes(seen, cell.fragmentation(), self.rules(cell), reach, key)
        return PacedNodes(members, inner, policy, sink) if is_paced else inner
