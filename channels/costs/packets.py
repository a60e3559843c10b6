"""A message costs by the packets that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from channels.costing.models import StructuredCost
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component


@component("cost")
@dataclass(frozen=True)
class Packets:
    """C(T) = c0 + c_packet * ceil((header_bit + P(T)) / payload_max_bit) + c_bit P(T), with P the papers' bits.

    Parameters
    ----------
    c0
        What every message costs, in any unit. It may be negative, where a message of one packet still costs
        something.
    c_packet
        What a packet costs, in the same unit.
    c_bit
        What a bit of P costs.
    payload_max_bit
        What one packet holds.
    header_bit
        Bits of a message that are in its packets beside P.
    packing
        ``whole``: an entry never straddles two packets, so that with P = p0 + p1 T the first packet holds
        floor((payload_max_bit - header_bit - p0) / p1) entries and each later one floor(payload_max_bit / p1).
        ``stream``: the payload is one stream of bits, as the formula says. The tuners, which know p0 and p1,
        count either; a plain call of the model knows sizes only and counts a stream.

    References
    ----------
    S. Khirirat, S. Magnusson, A. Aytekin, M. Johansson, "A Flexible Framework for Communication-Efficient Machine
    Learning", AAAI 2021, where packets are whole.

    Examples
    --------
    >>> Packets(c0=512, c_packet=4608, payload_max_bit=4096).open(None)([48, 4080, 4128])
    array([5120., 5120., 9728.])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"c0": 512, "c_packet": 4608, "payload_max_bit": "512 B"},
        {"c_packet": 432, "c_bit": 1, "payload_max_bit": "1472 B", "header_bit": 64, "packing": "stream"},
    )

    c_packet: PositiveFloat
    payload_max_bit: PositiveFloat
    c0: float = 0.0
    c_bit: NonNegativeFloat = 0.0
    header_bit: NonNegativeFloat = 0.0
    packing: Literal["whole", "stream"] = "whole"

    def __post_init__(self) -> None:
        if self.c0 + self.c_packet <= 0.0:
            allowed = "a number > -c_packet, as a message of one packet must cost something"
            raise ConfigError([Fault(("c0",), allowed, f"{self.c0:g} with c_packet = {self.c_packet:g}")])

    def open(self, link: Link | None) -> CostModel:
        """Return the model, which is the same on every link."""
        structure = CostStructure(
            self.c0, self.c_packet, self.c_bit, self.payload_max_bit, self.header_bit, self.packing
        )
        return StructuredCost(structure, "paper", "cost")
