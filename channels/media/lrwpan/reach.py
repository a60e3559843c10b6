"""Who hears whom: everyone, whoever is near enough, or by transmit power and path loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from channels.media.lrwpan.reception import distances_m, log_success
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Node

LIGHT_M_PER_NS = 0.299792458


@dataclass(frozen=True, eq=False)
class Reach:
    """Of every sender (row) at every other node (column).

    Parameters
    ----------
    is_everyone
        All hear and sense all, equally loud; the matrices are then not looked at.
    power_mw
        Received power.
    hears
        Whether its frames can be received.
    delay_ns
        Of propagation.
    cca_mw
        Least sum of powers that a clear channel assessment notices.
    noise_mw
        At every receiver; 0: none.
    """

    is_everyone: bool
    power_mw: npt.NDArray[np.float64]
    hears: npt.NDArray[np.bool_]
    delay_ns: npt.NDArray[np.int64]
    cca_mw: float = 1.0
    noise_mw: float = 0.0

    @property
    def is_noisy(self) -> bool:
        """Whether a frame may be lost without any other on the air."""
        return self.noise_mw > 0

    @property
    def has_hidden(self) -> bool:
        """Whether some node does not notice another."""
        noticed = (self.power_mw >= self.cca_mw) | np.eye(len(self.power_mw), dtype=np.bool_)
        return not self.is_everyone and not bool(noticed.all())

    @cached_property
    def table(self) -> npt.NDArray[np.float64]:
        """Power, who hears, nanoseconds, `clear` of every link, for the kernel."""
        return np.array([self.power_mw, self.hears, self.delay_ns, self.clear()], np.float64)

    def clear(self) -> npt.NDArray[np.float64]:
        """Return the logarithm of the probability that a bit is right without any other frame on the air."""
        if not self.is_noisy:
            return np.zeros(self.power_mw.shape)
        ratio = self.power_mw / self.noise_mw
        return np.array([[log_success(value) for value in row] for row in ratio.tolist()])


@cache
def everyone() -> Reach:
    """Return that all hear all."""
    yes = np.ones((1, 1), np.bool_)
    return Reach(True, np.ones((1, 1)), yes, np.zeros((1, 1), np.int64))


def within(nodes: Sequence[Node], range_m: float) -> Reach:
    """Return that nodes at most `range_m` away hear and sense a sender, all equally loud."""
    distance = distances_m(_places(nodes))
    near = distance <= range_m
    return Reach(False, np.ones(near.shape) * near, near, _delay_ns(distance))


def by_path_loss(
    nodes: Sequence[Node], at_1_m_dbm: float, exponent: float, noise_dbm: float, sensitivity_dbm: float, cca_dbm: float
) -> Reach:
    """Return who hears a sender, with `sensitivity_dbm` or more, and which powers together an assessment notices.

    A sender's power falls from `at_1_m_dbm` by 10 exponent log10(d) dB, d the distance in metres, at least 1.
    """
    distance = distances_m(_places(nodes))
    power = np.asarray(10 ** ((at_1_m_dbm - 10 * exponent * np.log10(np.maximum(distance, 1.0))) / 10))
    sensitivity, threshold, noise = (10 ** (dbm / 10) for dbm in (sensitivity_dbm, cca_dbm, noise_dbm))
    return Reach(False, power, power >= sensitivity, _delay_ns(distance), threshold, noise)


def _delay_ns(distance_m: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.asarray(distance_m / LIGHT_M_PER_NS + 0.5).astype(np.int64)


def _places(nodes: Sequence[Node]) -> list[tuple[float, float]]:
    found = [node.position_m for node in nodes if node.position_m is not None]
    if len(found) < len(nodes):
        where = "a position of every node is needed, such as network.topology.positions_m"
        raise ConfigError([Fault(("path_loss",), where, f"{len(nodes) - len(found)} nodes without")])
    return found
