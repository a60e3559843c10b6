"""A WiFi interface as ns-3 models it."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import RadioProfile
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Wifi(RadioProfile):
    """An IEEE 802.11 interface at 3 V with the default currents of ns-3's WifiRadioEnergyModel.

    380 mA sending, 313 mA receiving, 273 mA idle, 33 mA asleep. ns-3 gives a busy channel and a switch of channels the
    current of idle: here ``listen`` and ``idle`` are the same. They are one card's; for another one give its own.

    References
    ----------
    ns-3.44, src/wifi/model/wifi-radio-energy-model.cc (attributes TxCurrentA, RxCurrentA, IdleCurrentA,
    CcaBusyCurrentA, SwitchingCurrentA, SleepCurrentA).

    Examples
    --------
    >>> round(Wifi().power_w("listen"), 3)
    0.819
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 380e-3
    rx_a: NonNegativeFloat = 313e-3
    listen_a: NonNegativeFloat = 273e-3
    idle_a: NonNegativeFloat = 273e-3
    sleep_a: NonNegativeFloat = 33e-3
