"""Every bit of the papers' P(T) costs one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.costing.models import StructuredCost
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class Bit:
    """C(T) = P(T), the payload's bits by the papers' formula.

    References
    ----------
    S. Khirirat, S. Magnusson, A. Aytekin, M. Johansson, "A Flexible Framework for Communication-Efficient Machine
    Learning", AAAI 2021.

    Examples
    --------
    >>> Bit().open(None)(4080)
    array(4080.)
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        return StructuredCost(CostStructure(c_bit=1.0), "paper", "bit")
