"""What the link of an IEEE 802.15.4 cell, its medium access and its path loss know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from channels.media.lrwpan.framing import Framing
from channels.media.lrwpan.reach import Reach
from channels.media.radio_books import RadioPolicy
from netsim.errors import Fault
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile


class PathLoss(Protocol):
    """Which nodes hear each other, and how loud (kind ``path_loss``).

    Attributes
    ----------
    reaches_all
        Whether all nodes hear each other, without any noise.
    is_noisy
        Whether a frame may be lost without any other on the air.
    """

    @property
    def reaches_all(self) -> bool: ...
    @property
    def is_noisy(self) -> bool: ...
    def faults(self, radio: PowerProfile) -> Sequence[Fault]:
        """Return what cannot be known of cells with that radio; by itself nothing."""
        return ()

    def reach(self, nodes: Sequence[Node], radio: PowerProfile) -> Reach:
        """Return who hears whom, all with the same radio.

        Raises
        ------
        ConfigError
            If a position is missing.
        """


class Cell(Protocol):
    """The keys of the link that medium access may use; see `channels.links.ieee802154`."""

    @property
    def payload_bytes(self) -> int: ...
    @property
    def framing(self) -> Literal["raw", "sixlowpan", "sixlowpan_global"]: ...
    @property
    def radio(self) -> PowerProfile: ...
    @property
    def radio_policy(self) -> RadioPolicy: ...
    @property
    def reliable(self) -> bool: ...
    @property
    def collisions(self) -> Literal["strict", "capture"]: ...
    @property
    def cca(self) -> Literal["ns3", "any_overlap"]: ...
    @property
    def per(self) -> float: ...
    @property
    def path_loss(self) -> PathLoss: ...
    def fragmentation(self) -> Framing:
        """Return how messages become frames."""


class Mac(Protocol):
    """How the nodes share their channel (kind ``mac``).

    Attributes
    ----------
    contends
        Whether frames can collide, so that some are lost or sent twice.
    always_delivers
        Whether every message arrives, however the link is set.
    """

    @property
    def contends(self) -> bool: ...
    @property
    def always_delivers(self) -> bool: ...
    def faults(self, cell: Cell) -> Sequence[Fault]:
        """Return which keys of the link do not go with this medium access."""

    def open(self, cell: Cell, nodes: Sequence[Node], key: int, frames: FrameSink | None) -> Medium:
        """Return a medium at time 0; `key` is the 64-bit key of its draws."""
