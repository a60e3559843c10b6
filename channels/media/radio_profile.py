"""What every radio profile has in common."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.interfaces import STATES


@dataclass(frozen=True)
class RadioProfile:
    """Power = supply voltage times the current of the state.

    Parameters
    ----------
    voltage_v
        Supply voltage, > 0.
    tx_a, rx_a, listen_a, idle_a, sleep_a
        Current in each of `netsim.interfaces.STATES`, >= 0. `idle` is a radio that is off with its oscillator on.
    """

    voltage_v: PositiveFloat
    tx_a: NonNegativeFloat
    rx_a: NonNegativeFloat
    listen_a: NonNegativeFloat
    idle_a: NonNegativeFloat
    sleep_a: NonNegativeFloat

    def power_w(self, state: str) -> float:
        """Return the power in watts in one of `netsim.interfaces.STATES`."""
        if state not in STATES:
            raise ValueError(f"a state is one of {', '.join(STATES)}. Got {state!r}")
        return self.voltage_v * float(getattr(self, f"{state}_a"))
