"""What every radio profile has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"voltage_v": 3.3})

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


@dataclass(frozen=True)
class LowpanRadio(RadioProfile):
    """A radio of IEEE 802.15.4 at 2.4 GHz: its currents, and what its receiver notices.

    Parameters
    ----------
    sensitivity_dbm
        Least power of a frame that the receiver gets: 1 % of frames with 20 octets lost.
    cca_threshold_dbm
        Least power with which a clear channel assessment finds the channel busy.
    noise_figure_db
        Of the receiver, >= 0: its noise above that of a resistance at 290 K. 0 where no source gives it.
    """

    sensitivity_dbm: float
    cca_threshold_dbm: float
    noise_figure_db: NonNegativeFloat = 0.0
