"""Unit discs: a sender is heard up to some distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.media.lrwpan.cell import PathLoss
from channels.media.lrwpan.reach import Reach, within
from netsim.fields import PositiveFloat
from netsim.interfaces import Node, PowerProfile
from netsim.registry import component


@component("path_loss")
@dataclass(frozen=True)
class Disc(PathLoss):
    """Nodes farther than `range_m` from a sender neither hear nor sense it; the others all receive the same power.

    Propagation takes distance over the speed of light. All nodes need positions.

    Parameters
    ----------
    range_m
        In metres, > 0.

    Examples
    --------
    >>> from channels.energy.cc2420 import Cc2420
    >>> places = [Node(0, position_m=(0.0, 0.0)), Node(1, position_m=(3.0, 0.0)), Node(2, position_m=(9.0, 0.0))]
    >>> Disc(range_m=5.0).reach(places, Cc2420()).hears[0].tolist()
    [True, True, False]
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"range_m": 30.0},)
    reaches_all: ClassVar[bool] = False
    is_noisy: ClassVar[bool] = False

    range_m: PositiveFloat

    def reach(self, nodes: Sequence[Node], radio: PowerProfile) -> Reach:
        """See `channels.media.lrwpan.cell.PathLoss`."""
        return within(nodes, self.range_m)
