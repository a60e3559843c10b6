"""A link that costs nothing: for questions about learning alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from channels.energy.ethernet import Ethernet
from channels.media.roster import Members
from channels.media.wires.frames import Datagrams
from channels.media.wires.framing import Framing
from channels.media.wires.free import FreeWires
from channels.media.wires.wires import Wires
from netsim.fields import NonNegativeFloat
from netsim.interfaces import FrameSink, Medium, Node
from netsim.registry import component
from netsim.units import seconds_to_ns


@component("channel")
@dataclass(frozen=True)
class Ideal:
    """Lossless and infinitely fast; a message is one packet without overhead, and nothing uses energy.

    Parameters
    ----------
    delay_s
        One-way delay of every message in seconds, >= 0.

    Notes
    -----
    Scope and limits: interfaces are idle at all times; messages of one pair stay in order.

    Validation: a message of n bytes is there `delay_s` after it was submitted and counts n bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> medium = Ideal(delay_s=0.001).open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 500)
    0
    >>> [(d.at_ns, d.wire_bytes) for d in medium.advance(1_000_000)]
    [(1000000, 500)]
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"delay_s": 0.002})
    frames: ClassVar[type[Datagrams]] = Datagrams
    reliable_delivery: ClassVar[bool] = True

    delay_s: NonNegativeFloat = 0.0

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; draws nothing from `rng`."""
        members = Members(nodes, Ethernet(0.0, 0.0, 0.0), frames)
        return Wires(members, Framing(None), None, seconds_to_ns(self.delay_s))

    def replay(self, nodes: Sequence[Node], rngs: Sequence[np.random.Generator]) -> FreeWires:
        """Return what `netsim.interfaces.Replays` says; all draws are alike."""
        return FreeWires(nodes, seconds_to_ns(self.delay_s))
