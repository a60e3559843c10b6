"""Received power that falls with the logarithm of the distance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from channels.media.lrwpan.reach import LIGHT_M_PER_NS, Reach, by_path_loss
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat, Range
from netsim.interfaces import Node, PowerProfile
from netsim.registry import component
from netsim.units import NS_PER_S

BOLTZMANN_J_PER_K = 1.380649e-23
BANDWIDTH_HZ = 5e6  # of a channel at 2.4 GHz
OF_THE_RADIO = ("sensitivity_dbm", "cca_threshold_dbm")


@component("path_loss")
@dataclass(frozen=True)
class LogDistance:
    """Received power is tx_power_dbm - reference_loss_db - 10 exponent log10(d / 1 m), d at least 1 m.

    Frames are lost by noise, too. Propagation takes distance over the speed of light. All nodes need positions. What a
    receiver notices is its radio's, where the keys here do not say otherwise.

    Parameters
    ----------
    tx_power_dbm
        Of all nodes.
    exponent
        Of the distance, > 0.
    frequency_hz
        Of the carrier.
    reference_loss_db
        At 1 m; None: that of free space, 20 log10(4 pi f 1 m / c), 40.2 dB at 2.45 GHz. ns-3's log-distance model has
        46.6777 dB, that of 5.15 GHz.
    noise_dbm
        At all nodes; None: that of 290 K in 5 MHz, -106.99 dBm, plus the radio's noise figure.
    sensitivity_dbm
        Least power of a signal that a receiver hears; None: the radio's.
    cca_threshold_dbm
        Least power of all signals together that a clear channel assessment notices; None: the radio's.

    Raises
    ------
    ConfigError
        If neither the keys nor the radio say what a receiver notices.

    References
    ----------
    H. T. Friis, "A note on a simple transmission formula", Proc. IRE 34(5), 1946. T. S. Rappaport, "Wireless
    communications: principles and practice", 2nd edition, 2002, section 4.9.

    Examples
    --------
    >>> from channels.energy.cc2420 import Cc2420
    >>> places = [Node(0, position_m=(0.0, 0.0)), Node(1, position_m=(10.0, 0.0))]
    >>> f"{LogDistance().reach(places, Cc2420()).power_mw[0, 1]:.3g} mW"
    '9.48e-08 mW'
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"exponent": 2.5, "tx_power_dbm": -5},
        {"reference_loss_db": 46.6777, "sensitivity_dbm": -106.58, "cca_threshold_dbm": -96.58, "noise_dbm": -106.987},
    )
    reaches_all: ClassVar[bool] = False
    is_noisy: ClassVar[bool] = True

    tx_power_dbm: Annotated[float, Range(ge=-100, le=100)] = 0.0
    exponent: PositiveFloat = 3.0
    frequency_hz: Annotated[float, Range(ge=1e8, le=1e11)] = 2.45e9
    reference_loss_db: NonNegativeFloat | None = None
    noise_dbm: Annotated[float, Range(ge=-200, le=100)] | None = None
    sensitivity_dbm: Annotated[float, Range(ge=-200, le=100)] | None = None
    cca_threshold_dbm: Annotated[float, Range(ge=-200, le=100)] | None = None

    @property
    def loss_at_1_m_db(self) -> float:
        """`reference_loss_db`, or the loss of free space at 1 m."""
        if self.reference_loss_db is not None:
            return self.reference_loss_db
        return 20 * math.log10(4 * math.pi * self.frequency_hz / (LIGHT_M_PER_NS * NS_PER_S))

    def faults(self, radio: PowerProfile) -> Sequence[Fault]:
        """See `channels.media.lrwpan.cell.PathLoss`."""
        name = getattr(radio, "name", type(radio).__name__)
        allowed = "a number in dBm with a radio that is none of IEEE 802.15.4, such as cc2420"
        missing = [key for key in OF_THE_RADIO if getattr(self, key) is None and not hasattr(radio, key)]
        return [Fault(("path_loss", key), allowed, f"nothing, and radio {name}") for key in missing]

    def reach(self, nodes: Sequence[Node], radio: PowerProfile) -> Reach:
        """See `channels.media.lrwpan.cell.PathLoss`."""
        if faults := self.faults(radio):
            raise ConfigError(faults)
        # See `channels.media.radio_profile.LowpanRadio` for what a radio of IEEE 802.15.4 notices.
        figure_db = getattr(radio, "noise_figure_db", 0.0)
        thermal_dbm = 10 * math.log10(BOLTZMANN_J_PER_K * 290 * BANDWIDTH_HZ * 1e3)
        sensitivity, threshold = (
            float(getattr(radio if getattr(self, key) is None else self, key)) for key in OF_THE_RADIO
        )
        noise_dbm = thermal_dbm + figure_db if self.noise_dbm is None else self.noise_dbm
        at_1_m_dbm = self.tx_power_dbm - self.loss_at_1_m_db
        return by_path_loss(nodes, at_1_m_dbm, self.exponent, noise_dbm, sensitivity, threshold)
