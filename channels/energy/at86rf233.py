"""Microchip (Atmel) AT86RF233."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import LowpanRadio
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class At86rf233(LowpanRadio):
    """The 2.4 GHz IEEE 802.15.4 radio AT86RF233 at 3 V and 0 dBm.

    Currents of its data sheet (8351): 11.8 mA sending (13.8 mA at +4 dBm), 11.8 mA receiving and listening without
    its reduced power modes, 0.3 mA in TRX_OFF, 0.2 uA in SLEEP.

    Receiver, recalled and of distributors and drivers, not read in the sheet: -101 dBm at 250 kbit/s, and -80 dBm as
    the threshold of an assessment, a base of -94 dBm plus two times the reset value 7 of ``CCA_ED_THRES``, taken over
    from the AT86RF231. Its noise figure was not found; that of the AT86RF231 is 6 dB, recalled, too.

    Examples
    --------
    >>> round(1e3 * At86rf233().power_w("listen"), 1)
    35.4
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 11.8e-3
    rx_a: NonNegativeFloat = 11.8e-3
    listen_a: NonNegativeFloat = 11.8e-3
    idle_a: NonNegativeFloat = 0.3e-3
    sleep_a: NonNegativeFloat = 0.2e-6
    sensitivity_dbm: float = -101.0
    cca_threshold_dbm: float = -80.0
