"""A WiFi interface as INET models it."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import RadioProfile
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class WifiInet(RadioProfile):
    """An IEEE 802.11 interface at 3 V with the default currents of INET's Ieee80211StateBasedCcEnergyConsumer.

    250 mA sending, 100 mA receiving and idle, 0.01 mA asleep; the voltage is the energy storage's in INET, 3 V here.

    References
    ----------
    INET framework, Ieee80211StateBasedCcEnergyConsumer.ned (commit b52bc21a34).

    Examples
    --------
    >>> round(WifiInet().power_w("tx"), 3)
    0.75
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 250e-3
    rx_a: NonNegativeFloat = 100e-3
    listen_a: NonNegativeFloat = 100e-3
    idle_a: NonNegativeFloat = 100e-3
    sleep_a: NonNegativeFloat = 0.01e-3
