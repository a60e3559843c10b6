"""No path loss: all nodes hear each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.media.lrwpan.cell import PathLoss
from channels.media.lrwpan.reach import Reach, everyone
from netsim.interfaces import Node, PowerProfile
from netsim.registry import component


@component("path_loss")
@dataclass(frozen=True)
class Everyone(PathLoss):
    """All nodes hear and sense all others, equally loud; propagation takes no time, and positions play no part.

    Examples
    --------
    >>> from channels.energy.cc2420 import Cc2420
    >>> Everyone().reach([Node(0), Node(1)], Cc2420()).is_everyone
    True
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    reaches_all: ClassVar[bool] = True
    is_noisy: ClassVar[bool] = False

    def reach(self, nodes: Sequence[Node], radio: PowerProfile) -> Reach:
        """See `channels.media.lrwpan.cell.PathLoss`."""
        return everyone()
