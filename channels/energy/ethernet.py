"""Wired Ethernet interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from netsim.fields import NonNegativeFloat
from netsim.interfaces import STATES
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Ethernet:
    """An Ethernet interface draws the same power whether it sends or not.

    Gigabit PHYs exchange symbols all the time, so their power hardly depends on load; Energy-Efficient Ethernet saves
    up to about 1 W on an idle gigabit link by switching most of both PHYs off. The default is that watt dealt to the
    link's two ends and two directions: 0.25 W per interface, where a node has one interface out and one in. With equal
    powers a message costs no joules of its own; give `idle_w` below `active_w` for an interface that does save.

    Parameters
    ----------
    active_w
        Watts while sending, receiving or listening.
    idle_w
        Watts while up and idle.
    sleep_w
        Watts while its node is down.

    References
    ----------
    IEEE 802.3az-2010 (Energy-Efficient Ethernet). The defaults are a round figure for the saving per link that its
    literature gives, not one PHY's data sheet.

    Examples
    --------
    >>> Ethernet().power_w("idle"), Ethernet().power_w("sleep")
    (0.25, 0.0)
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"active_w": 0.25, "idle_w": 0.05, "sleep_w": 0.01},
    )

    active_w: NonNegativeFloat = 0.25
    idle_w: NonNegativeFloat = 0.25
    sleep_w: NonNegativeFloat = 0.0

    def power_w(self, state: str) -> float:
        """Return the power in watts in one of `netsim.interfaces.STATES`."""
        if state not in STATES:
            raise ValueError(f"a state is one of {', '.join(STATES)}. Got {state!r}")
        return {"idle": self.idle_w, "sleep": self.sleep_w}.get(state, self.active_w)
