"""Messages of others that share a port with the nodes' own: Poisson arrivals."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from channels.media.purposes import BACKGROUND
from netsim.errors import Fault
from netsim.fields import PositiveFloat, Range
from netsim.rng import uniforms
from netsim.units import seconds_to_ns

_BATCH = 256


@dataclass(frozen=True)
class Background:
    """Messages of others, which arrive as a Poisson process of their own at every port concerned.

    Parameters
    ----------
    rate_hz
        Mean arrivals per second and port, > 0.
    mean_bytes
        Mean size, >= 1; all on the wire. Sizes are whole bytes, at least one.
    sizes
        ``exponential`` or ``fixed``.
    at
        ``server``: the server's port in each direction; ``nodes``: every other node's link in each direction, or every
        wire where each pair of nodes has its own.
    """

    rate_hz: PositiveFloat
    mean_bytes: Annotated[float, Range(ge=1, le=1e12)]
    sizes: Literal["exponential", "fixed"] = "exponential"
    at: Literal["server", "nodes"] = "server"

    @property
    def load_bps(self) -> float:
        """Mean bits per second at a port."""
        return 8.0 * self.mean_bytes * self.rate_hz

    def mean_wait_s(self, rate_bps: float) -> float:
        """Return the mean wait at a port of this rate that serves first come, first served (Pollaczek-Khinchine)."""
        second = 2.0 if self.sizes == "exponential" else 1.0
        service_s = 8.0 * self.mean_bytes / rate_bps
        return self.rate_hz * second * service_s**2 / 2 / (1.0 - self.load_bps / rate_bps)

    def load_faults(self, rate_bps: float) -> list[Fault]:
        """Return the fault of a port of this rate that could not carry them, at the key ``background``."""
        if self.load_bps < rate_bps:
            return []
        load = f"{self.load_bps:g} bit/s, {self.rate_hz:g} Hz of {self.mean_bytes:g} B"
        return [Fault(("background", "rate_hz"), f"a load below the port's rate, {rate_bps:g} bit/s", load)]


class Arrivals:
    """One port's arrivals in order; the draws of the i-th depend on the key, the port and i alone.

    Parameters
    ----------
    background
        What arrives.
    key
        64-bit key of the medium's draws.
    port
        Number of the port.

    Attributes
    ----------
    at_ns, size_bytes : instant and size of the next one.
    """

    def __init__(self, background: Background, key: int, port: int) -> None:
        self._background, self._key, self._counter = background, key, BACKGROUND + port
        self._drawn = self._before_ns = 0
        self._coming: list[tuple[int, int]] = []
        self.at_ns, self.size_bytes = 0, 0
        self.next()

    def next(self) -> None:
        """Go on to the arrival behind this one."""
        if not self._coming:
            self._draw()
        self.at_ns, self.size_bytes = self._coming.pop()

    def __deepcopy__(self, memo: object) -> Arrivals:
        """Return a copy that goes on from here by itself."""
        other = copy(self)
        other._coming = self._coming.copy()
        return other

    def _draw(self) -> None:
        what = self._background
        places = np.arange(2 * self._drawn, 2 * (self._drawn + _BATCH), dtype=np.uint64)
        lengths = -np.log1p(-uniforms(self._key, self._counter, places)).reshape(-1, 2)
        if what.sizes == "fixed":
            lengths[:, 1] = 1.0
        for gap, size in lengths.tolist():
            self._before_ns += seconds_to_ns(gap / what.rate_hz)
            self._coming.append((self._before_ns, max(1, int(size * what.mean_bytes + 0.5))))
        self._coming.reverse()
        self._drawn += _BATCH
