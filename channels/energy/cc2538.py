"""Texas Instruments CC2538, the system on chip of OpenMote."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import LowpanRadio
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Cc2538(LowpanRadio):
    """The 2.4 GHz IEEE 802.15.4 system on chip CC2538 at 3 V and 0 dBm, its processor idle.

    Currents of its data sheet (SWRS096): 24 mA sending, 20 mA in receive mode at an input of -50 dBm, 24 mA in receive
    mode at -100 dBm, "waiting for signal", 0.6 mA in power mode 1, 1.3 uA in power mode 2. So it draws more while it
    listens than while it receives: without a strong signal its amplifiers have their full gain. Measured at whole
    OpenMotes the difference is 4.2 mA (imec-idlab/TSCH-energy-model: 31.14 listening, 26.94 receiving).

    Receiver, recalled and of drivers, not read in the sheet or the user's guide: -97 dBm (typical), and -81 dBm as the
    threshold of an assessment, the value 0xF8 of ``CCACTRL0`` with an offset of -73. No noise figure was found.

    Examples
    --------
    >>> round(1e3 * Cc2538().power_w("listen"), 1)
    72.0
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 24e-3
    rx_a: NonNegativeFloat = 20e-3
    listen_a: NonNegativeFloat = 24e-3
    idle_a: NonNegativeFloat = 0.6e-3
    sleep_a: NonNegativeFloat = 1.3e-6
    sensitivity_dbm: float = -97.0
    cca_threshold_dbm: float = -81.0
