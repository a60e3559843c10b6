"""Received power that falls with the logarithm of the distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.media.lrwpan.reach import Reach, by_path_loss
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.interfaces import Node
from netsim.registry import component


@component("path_loss")
@dataclass(frozen=True)
class LogDistance:
    """Received power is tx_power_dbm - reference_loss_db - 10 exponent log10(d / 1 m), d at least 1 m.

    Frames are lost by noise, too. Propagation takes distance over the speed of light. All nodes need positions. The
    defaults are those of ns-3's lr-wpan module.

    Parameters
    ----------
    tx_power_dbm
        Of all nodes.
    exponent
        Of the distance, > 0.
    reference_loss_db
        At 1 m.
    noise_dbm
        At all nodes.
    sensitivity_dbm
        Least power of a signal that a receiver hears.
    cca_threshold_dbm
        Least power of all signals together that a clear channel assessment notices.

    References
    ----------
    T. S. Rappaport, "Wireless communications: principles and practice", 2nd edition, 2002, section 4.9.

    Examples
    --------
    >>> places = [Node(0, position_m=(0.0, 0.0)), Node(1, position_m=(10.0, 0.0))]
    >>> f"{LogDistance().reach(places).power_mw[0, 1]:.3g} mW"
    '2.15e-08 mW'
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"exponent": 2.5, "tx_power_dbm": -5})
    reaches_all: ClassVar[bool] = False
    is_noisy: ClassVar[bool] = True

    tx_power_dbm: float = 0.0
    exponent: PositiveFloat = 3.0
    reference_loss_db: NonNegativeFloat = 46.6777
    noise_dbm: float = -106.987
    sensitivity_dbm: float = -106.58
    cca_threshold_dbm: float = -96.58

    def reach(self, nodes: Sequence[Node]) -> Reach:
        """See `channels.media.lrwpan.cell.PathLoss`."""
        return by_path_loss(
            nodes, self.tx_power_dbm, self.reference_loss_db, self.exponent, self.noise_dbm, self.sensitivity_dbm,
            self.cca_threshold_dbm,
        )  # fmt: skip
