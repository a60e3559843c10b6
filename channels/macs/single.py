"""One message at a time: nodes never contend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.media.lrwpan.cell import Cell
from channels.media.lrwpan.single import SingleCell
from channels.media.roster import Members
from netsim.errors import Fault
from netsim.interfaces import FrameSink, Medium, Node
from netsim.registry import component


@component("mac")
@dataclass(frozen=True)
class Single:
    """An ideal scheduler: messages have the medium one at a time, in order of (submit time, sender), and all arrive.

    Nobody tells nodes that do not hear each other whose turn it is: this is what a cell could do at best, without
    contention. ``csma_ca`` and ``slotted`` contend, ``tsch`` has slots.

    A frame with n bytes takes T(b) = 864 + 320 b + 32 (n + 17) us to the end of its acknowledgement: b backoff periods,
    b uniform on {0..7}, clear channel assessment 128, turnaround 192, the frame, turnaround 192 and the acknowledgement
    352. Its data are there 544 us earlier. Behind it the medium stays free for 640 us (192 up to 18 octets of MPDU)
    before the next frame, whoever sends it. A message to several nodes is one broadcast: no acknowledgement, the same
    spacing behind each frame.

    Notes
    -----
    Scope and limits: no contention and no loss, so ``framing: raw``, ``per: 0`` and ``path_loss: none``. A draw depends
    on the medium's key, the transfer and the frame, on nothing else.

    Validation: the eight values of T(b), the mean of k frames, the distribution of b, and the energy of one frame on
    four chips against their closed forms; a single sender in ns-3.44 gives the same eight values.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants) and 7.5 (channel access, acknowledgement, spacing).
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    contends: ClassVar[bool] = False
    always_delivers: ClassVar[bool] = True

    def faults(self, cell: Cell) -> Sequence[Fault]:
        """See `channels.media.lrwpan.cell.Mac`."""
        allowed = "only with contention or slots; mac single has no loss and no framing of its own"
        got = {
            "framing": "" if cell.framing == "raw" else repr(cell.framing),
            "per": f"{cell.per:g}" if cell.per else "",
            "path_loss": "" if cell.path_loss.reaches_all else getattr(cell.path_loss, "name", "another"),
        }
        return [Fault((key,), allowed, value) for key, value in got.items() if value]

    def open(self, cell: Cell, nodes: Sequence[Node], key: int, frames: FrameSink | None) -> Medium:
        """See `channels.media.lrwpan.cell.Mac`."""
        return SingleCell(Members(nodes, cell.radio, frames), cell.payload_bytes, cell.radio_policy, key)
