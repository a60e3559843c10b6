"""IEEE 802.15.4 at 2.4 GHz: low-power radios that share one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels._lrwpan import MAX_PAYLOAD
from channels._policy import RadioPolicy
from channels._single import SingleCell
from channels.energy.cc2420 import Cc2420
from channels.policies.always_on import AlwaysOn
from netsim.fields import Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component


@component("channel")
@dataclass(frozen=True)
class Ieee802154:
    """Unslotted IEEE 802.15.4 without contention: random backoff, fragments, acknowledgements, frame spacing.

    All nodes share one half-duplex medium, and messages have it one at a time, in order of (submit time, sender,
    submission). A message of M bytes is ceil(M / payload_bytes) frames; a frame with n bytes takes
    T(b) = 864 + 320 b + 32 (n + 17) us to the end of its acknowledgement: b backoff periods, b uniform on {0..7},
    clear channel assessment 128, turnaround 192, the frame with its 17 octets of overhead, turnaround 192 and the
    acknowledgement of 352 us. Its data are there 544 us earlier. Behind it the medium stays free for 640 us (192 up to
    18 octets of MPDU) before the next frame, whoever sends it. A message to several nodes is one broadcast: no
    acknowledgement, the same spacing behind each frame, and it arrives at all of them at the same instant.

    Parameters
    ----------
    mac
        ``single``: a message has the medium for itself.
    payload_bytes
        Of the message in a frame, 1 .. 116: what 127 octets of PPDU leave with short addresses.
    radio
        Power of every node's radio.
    radio_policy
        What a radio does while its node takes no part in the message that has the medium: ``always_on``,
        ``sleep_when_idle``, or ``duty_cycle``; the last two with what waking costs. See there.
    reliable
        Whether every message must arrive; it does with ``single``, whatever is said here.

    Notes
    -----
    Scope and limits: no collisions, no loss, no propagation delay (10 m are 33 ns), no association, no beacons; nobody
    overhears, so in ``rx`` is only whom a frame is for. ``tx`` and ``rx`` are frames on the air, from the preamble to
    the check sequence; backoff, assessment, turnaround and spacing are ``listen``, waking is ``idle``. A
    message's joules count the sender's radio from the start of its service to the last acknowledgement, beyond the
    state that its policy names.
    A backoff depends on the medium's key, the transfer's and the frame's number, on nothing else.

    Validation: the eight values of T(b), the mean of k frames, the distribution of b, and the energy of one frame on
    four chips against their closed forms; a single sender in ns-3.44 gives the same eight values.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants) and 7.5 (channel access, acknowledgement, spacing).

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> medium = Ieee802154().open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 100)
    0
    >>> (medium.next_event_ns() - 4_064_000) % 320_000
    0
    >>> medium.cost("s", 0, 1)([800, 8000])
    array([0.005184, 0.062496])
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"payload_bytes": 64, "radio": "nrf52840", "radio_policy": "sleep_when_idle"},
        {"payload_bytes": 7, "radio": {"name": "at86rf233"}},
        {"radio_policy": {"name": "sleep_when_idle", "wake_s": 2e-3, "wake_j": 5e-5}},
        {"radio_policy": {"name": "duty_cycle", "period_s": 0.02, "on_s": 0.002, "wake_s": 1e-3}},
    )
    reliable_delivery: ClassVar[bool] = True
    frame_format: ClassVar[str] = "ieee802154"

    mac: Literal["single"] = "single"
    payload_bytes: Annotated[int, Range(ge=1, le=MAX_PAYLOAD)] = 100
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Cc2420)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=AlwaysOn)
    reliable: bool = True

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """A medium at time 0, keyed by one 64-bit draw from `rng`."""
        key = int(rng.integers(1 << 64, dtype=np.uint64))
        return SingleCell(nodes, self.payload_bytes, self.radio, self.radio_policy, key, frames)
