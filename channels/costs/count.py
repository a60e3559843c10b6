"""Every kept coordinate costs one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.costing.models import StructuredCost
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class Count:
    """C(T) = T: the number of floats, as analyses count it.

    Examples
    --------
    >>> Count().open(None)([1, 85])
    array([ 1., 85.])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        return StructuredCost(CostStructure(c_bit=1.0), "count", "count")
