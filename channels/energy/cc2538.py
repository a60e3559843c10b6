"""Texas Instruments CC2538, the system on chip of OpenMote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.media.radio_profile import RadioProfile
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.registry import component


@component("energy")
@dataclass(frozen=True)
class Cc2538(RadioProfile):
    """The 2.4 GHz IEEE 802.15.4 system on chip CC2538 at 3 V and 0 dBm, its processor idle.

    Currents of its data sheet (SWRS096): 24 mA sending, 20 mA receiving and listening, 0.6 mA in power mode 1,
    1.3 uA in power mode 2.

    Examples
    --------
    >>> round(1e3 * Cc2538().power_w("listen"), 1)
    60.0
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    voltage_v: PositiveFloat = 3.0
    tx_a: NonNegativeFloat = 24e-3
    rx_a: NonNegativeFloat = 20e-3
    listen_a: NonNegativeFloat = 20e-3
    idle_a: NonNegativeFloat = 0.6e-3
    sleep_a: NonNegativeFloat = 1.3e-6
