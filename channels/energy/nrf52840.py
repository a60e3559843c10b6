"""Nordic nRF52840."""

from __future__ import annotations

from dataclasses import dataclass

from channels.media.radio_profile import LowpanRadio
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Nrf52840(LowpanRadio):
    """The radio of nRF52840 in IEEE 802.15.4 mode at 3 V with its DC/DC converter, 0 dBm.

    Currents of its product specification (IRADIO_TX5, IRADIO_RX2): 6.40 mA sending, 6.53 mA receiving and
    listening. It gives no current for a radio that is off with the oscillator on: idle and sleep both take the
    1.5 uA of the system on and idle.

    Receiver, recalled and of Nordic's driver, not read in the specification: -100 dBm in IEEE 802.15.4 mode, and
    -72 dBm as the threshold of an assessment, the driver's value 0x14 with an offset of -92. No noise figure was
    found.

    Examples
    --------
    >>> round(1e3 * Nrf52840().power_w("listen"), 1)
    19.6
    """

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 6.40e-3
    rx_a: NonNegativeFloat = 6.53e-3
    listen_a: NonNegativeFloat = 6.53e-3
    idle_a: NonNegativeFloat = 1.5e-6
    sleep_a: NonNegativeFloat = 1.5e-6
    sensitivity_dbm: float = -100.0
    cca_threshold_dbm: float = -72.0
