"""A message costs a constant and so much per bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from channels.costing.models import StructuredCost
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class Affine:
    """C(T) = c0 + c_bit P(T), with P the papers' bits.

    Parameters
    ----------
    c0
        What every message costs, in any unit; 432 is Ethernet's 54 bytes of headers in bits.
    c_bit
        What a bit of P costs, in the same unit.

    References
    ----------
    S. Khirirat, S. Magnusson, A. Aytekin, M. Johansson, "A Flexible Framework for Communication-Efficient Machine
    Learning", AAAI 2021.

    Examples
    --------
    >>> Affine(c0=432).open(None)([48, 4080])
    array([ 480., 4512.])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"c0": 432}, {"c0": 2.5e-3, "c_bit": 1e-9})

    c0: NonNegativeFloat
    c_bit: NonNegativeFloat = 1.0

    def __post_init__(self) -> None:
        if self.c0 == 0.0 and self.c_bit == 0.0:
            raise ConfigError([Fault(("c_bit",), "a number > 0, as c0 is 0 and a message must cost something", "0")])

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        return StructuredCost(CostStructure(c0=self.c0, c_bit=self.c_bit), "paper", "cost")
