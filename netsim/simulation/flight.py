"""A message that is on its way."""

from __future__ import annotations

from netsim.interfaces import Message, NodeId, Payload


class Flight:
    """A message that has not ended at all its destinations yet.

    Attributes
    ----------
    message : as its receivers see it.
    payload : its bytes, and what the paper says of them.
    sent_ns : when it was handed over.
    is_silence : whether it says that none comes.
    destinations : at how many it has not ended yet.
    arrived : where it arrived, for a sender that may ask.
    is_awaited : whether its sender waits for its end.
    """

    __slots__ = ("arrived", "destinations", "is_awaited", "is_silence", "message", "payload", "sent_ns")

    def __init__(self, message: Message, payload: Payload, sent_ns: int, is_silence: bool, destinations: int) -> None:
        self.message, self.payload, self.sent_ns = message, payload, sent_ns
        self.is_silence, self.destinations = is_silence, destinations
        self.arrived: list[NodeId] | None = None
        self.is_awaited = False
