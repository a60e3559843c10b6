"""Texas Instruments CC2420, the radio of TelosB and MicaZ motes."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import LowpanRadio
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Cc2420(LowpanRadio):
    """The 2.4 GHz IEEE 802.15.4 radio CC2420 at 3 V and 0 dBm.

    Currents of its data sheet (SWRS041): 17.4 mA sending, 18.8 mA receiving and listening, 0.426 mA with the
    oscillator on, 20 uA in power down.

    Receiver, recalled and of drivers, not read in the sheet: -95 dBm where 1 % of packets are lost, and -77 dBm as
    the threshold of an assessment, the reset value -32 of ``RSSI.CCA_THR`` with an offset of -45. No noise figure was
    found.

    Examples
    --------
    >>> round(1e3 * Cc2420().power_w("listen"), 1)
    56.4
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 17.4e-3
    rx_a: NonNegativeFloat = 18.8e-3
    listen_a: NonNegativeFloat = 18.8e-3
    idle_a: NonNegativeFloat = 0.426e-3
    sleep_a: NonNegativeFloat = 20e-6
    sensitivity_dbm: float = -95.0
    cca_threshold_dbm: float = -77.0
