"""What the link itself says that a message costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from netsim.interfaces import CostModel, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class FromChannel:
    """C(T): the link's expected cost of a lone message of the real length, header included.

    Parameters
    ----------
    quantity
        ``bit`` on the wire, ``packet``, ``s`` from submit to the last byte, or ``j`` of the sender beyond idling.

    Examples
    --------
    >>> FromChannel("s")
    FromChannel(quantity='s')
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = tuple({"quantity": q} for q in ("bit", "packet", "s", "j"))

    quantity: Literal["bit", "packet", "s", "j"] = "bit"

    def open(self, link: Link) -> CostModel:
        """The link's model, of basis ``message``."""
        return link.cost(self.quantity)
