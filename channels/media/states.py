"""Places of the states of an interface in `netsim.interfaces.STATES`."""

from __future__ import annotations

from netsim.interfaces import STATES

TX, RX, LISTEN, IDLE, SLEEP = range(len(STATES))
