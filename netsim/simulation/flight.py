"""A message that is on its way."""

from __future__ import annotations

from netsim.interfaces import Message, NodeId, Payload


class Ends:
    """Where a message arrived, for a sender that may ask, and whether the sender waits for its last end."""

    __slots__ = ("arrived", "is_awaited")

    def __init__(self) -> None:
        self.arrived: list[NodeId] = []
        self.is_awaited = False


class Flight:
    """A message that has not ended at all its destinations yet.

    Attributes
    ----------
    message : as its receivers see it.
    payload : its bytes, and what the paper says of them.
    sent_ns : when it was handed over.
    is_silence : whether it says that none comes.
    destinations : at how many it has not ended yet.
    ends : where it arrived; None unless its sender may ask.
    """

    __slots__ = ("destinations", "ends", "is_silence", "message", "payload", "sent_ns")

    def __init__(self, message: Message, payload: Payload, sent_ns: int, is_silence: bool, destinations: int) -> None:
        self.message, self.payload, self.sent_ns = message, payload, sent_ns
        self.is_silence, self.destinations = is_silence, destinations
        self.ends: Ends | None = None
