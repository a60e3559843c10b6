"""What the link itself says that a message costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from channels.costing.models import Float64s, FunctionCost
from netsim.errors import ConfigError, Fault
from netsim.interfaces import HEADER_BYTES, Answer, CostModel, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class FromChannel:
    """C(T): the link's expected cost of a lone message of the real length, header included.

    With ``directions: both`` the share of the server's next broadcast that the message causes is included,
    C(x) = C_up(x) + (transmissions / M) C_down(min(h + M (x - h), dense)): M workers that send x bits each, h of them
    header, make a broadcast of all that they sent (what changed, or the uploads as they came), at most of the dense
    model; each causes an M-th of its cost. On a shared medium one transmission serves all M receivers; on
    wires each of them gets its own.

    Parameters
    ----------
    quantity
        ``bit`` on the wire, ``packet``, ``s`` from submit to the last byte, or ``j`` of the sender beyond idling.
    directions
        ``up`` or ``both``. ``both`` is for links to a server or an aggregator.

    Examples
    --------
    >>> FromChannel("s")
    FromChannel(quantity='s', directions='up')
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        *({"quantity": q} for q in ("bit", "packet", "s", "j")),
        {"quantity": "s", "directions": "both"},
    )

    quantity: Literal["bit", "packet", "s", "j"] = "bit"
    directions: Literal["up", "both"] = "up"

    def open(self, link: Link) -> CostModel:
        """Return the link's model, of basis ``message``.

        Raises
        ------
        ConfigError
            If both directions are asked for and nobody answers with a broadcast.
        """
        up = link.cost(self.quantity)
        if self.directions == "up":
            return up
        answer = link.answer()
        if answer is None:
            allowed = "both directions are counted on links to a server, which broadcasts"
            raise ConfigError([Fault(("directions",), allowed, "a link without")])
        share = broadcast_share(answer, self.quantity)
        return FunctionCost(lambda message_bit: up(message_bit) + share(message_bit), self.quantity)


def broadcast_share(answer: Answer, quantity: str) -> CostModel:
    """Return what one message of some bits adds to the broadcast's cost, where all senders' messages are like it."""
    down, header_bit = answer.link.cost(quantity), 8.0 * HEADER_BYTES
    share = answer.transmissions / answer.receivers

    def cost(message_bit: Float64s) -> Float64s:
        sent_bit = header_bit + answer.receivers * np.maximum(message_bit - header_bit, 0.0)
        return share * down(np.minimum(sent_bit, answer.longest_bit))

    return FunctionCost(cost, quantity)
