"""Semtech SX1276, a LoRa radio below 1 GHz."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import RadioProfile
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Sx1276(RadioProfile):
    """The LoRa radio SX1276 at 3.3 V, sending at 13 dBm.

    Currents of its data sheet: 29 mA sending at 13 dBm (20 mA at 7 dBm, 120 mA at 20 dBm), 11.5 mA receiving with the
    amplifier's boost at 868 MHz, 1.6 mA in standby, 0.2 uA asleep. Quoted from memory of the sheet's table of
    supply currents, not measured.

    Examples
    --------
    >>> round(1e3 * Sx1276().power_w("tx"), 1)
    95.7
    """

    voltage_v: PositiveFloat = 3.3
    tx_a: NonNegativeFloat = 29e-3
    rx_a: NonNegativeFloat = 11.5e-3
    listen_a: NonNegativeFloat = 11.5e-3
    idle_a: NonNegativeFloat = 1.6e-3
    sleep_a: NonNegativeFloat = 0.2e-6
