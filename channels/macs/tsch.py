"""Time slots that nodes own in turn (TSCH)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from channels.media.lrwpan.cell import Cell
from channels.media.lrwpan.timing import SHORTEST_SLOT_NS, WINDOW_NS
from channels.media.lrwpan.tsch import SlottedCell
from channels.media.roster import Members
from netsim.errors import Fault
from netsim.fields import NonNegativeInt, Range
from netsim.interfaces import FrameSink, Medium, Node
from netsim.registry import component
from netsim.units import NS_PER_S, seconds_to_ns


@component("mac")
@dataclass(frozen=True)
class Tsch:
    """Slots of `slot_s`, each for one frame and its acknowledgement, that nodes own in turn.

    They belong to the nodes that are no server, in their order, and then to the server for `server_cells` of them. Node
    i of N finishes frame k at ((k - 1) N + i) slot_s + 2120 + 32 (MPDU + 1) us, where all begin at 0 and nothing is
    lost.

    Slots are the schedule, so there is no ``radio_policy: duty_cycle``; with ``sleep_when_idle`` a radio wakes once in
    each slot in which it does anything, before the first of it, in at most 0.86 ms.

    Parameters
    ----------
    slot_s
        Length of a slot, at least 7.408 ms.
    server_cells
        Slots of the server in a slotframe; with 0 it cannot send.
    max_retries
        How often a frame is sent again without ``reliable``.

    Notes
    -----
    Scope and limits: no channel hopping, so one frame at a time. A broadcast frame is repaired frame by frame. ``rx``
    is only what is for the node.

    Validation: makespans exactly, loss against its moments.

    References
    ----------
    IEEE 802.15.4-2015, 6.5.4 (slots).
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"slot_s": "15 ms", "server_cells": 2})
    contends: ClassVar[bool] = False
    always_delivers: ClassVar[bool] = False
    has_slots: ClassVar[bool] = True

    slot_s: Annotated[float, Range(ge=SHORTEST_SLOT_NS / NS_PER_S)] = 0.01
    server_cells: NonNegativeInt = 0
    max_retries: NonNegativeInt = 7

    def faults(self, cell: Cell) -> Sequence[Fault]:
        """See `channels.media.lrwpan.cell.Mac`."""
        policy = cell.radio_policy
        if policy.next_change_ns(0) is not None:
            allowed = "always_on or sleep_when_idle with mac tsch, whose slots are the schedule"
            return [Fault(("radio_policy",), allowed, getattr(policy, "name", "another"))]
        if policy.lead_ns > WINDOW_NS:
            allowed = f"with mac tsch at most {WINDOW_NS / NS_PER_S:g} s, before a slot's first listening"
            return [Fault(("radio_policy", "wake_s"), allowed, f"{policy.lead_ns / NS_PER_S:g}")]
        return []

    def open(self, cell: Cell, nodes: Sequence[Node], key: int, frames: FrameSink | None) -> Medium:
        """See `channels.media.lrwpan.cell.Mac`."""
        return SlottedCell(
            Members(nodes, cell.radio, frames), self.server_cells, seconds_to_ns(self.slot_s), cell.fragmentation(),
            cell.path_loss.reach(nodes, cell.radio), key, cell.per, cell.reliable, self.max_retries, cell.radio_policy,
        )  # fmt: skip
