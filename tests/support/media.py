"""What tests of media have in common."""

from __future__ import annotations

from netsim.interfaces import Delivery, Medium


def drain(medium: Medium) -> list[Delivery]:
    """Return all that a medium delivers from now on, if nothing more is submitted."""
    out = list[Delivery]()
    while (next_ns := medium.next_event_ns()) is not None:
        out.extend(medium.advance(next_ns))
    return out
