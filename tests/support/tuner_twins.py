"""Slow, literal twins of what the tuners compute: every T weighed, packets filled entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.coding.sizes import CodeSize
from channels.costing.models import StructuredCost
from netsim.interfaces import CostStructure

Floats = npt.NDArray[np.float64]
HEADER_BIT = 64


@dataclass(frozen=True)
class Case:
    """One tuning problem."""

    x: Any
    variant: Any
    size: CodeSize
    cost: StructuredCost


def paper(
    c0: float = 0, c_packet: float = 0, c_bit: float = 0, room: float | None = None, **more: Any
) -> StructuredCost:
    """A structured cost of the papers' bits."""
    return StructuredCost(CostStructure(c0, c_packet, c_bit, room, **more), "paper")


def random_vector(rng: np.random.Generator, most: int = 200) -> Any:
    """Ties, zeros, equal entries, heavy tails and a lone large entry, as float64 or float32; never all zero."""
    d = int(rng.integers(1, most + 1))
    shapes = (
        lambda: rng.standard_normal(d),
        lambda: rng.integers(-3, 4, d).astype(float),
        lambda: np.full(d, rng.choice([1.0, 0.1, 3.0])),
        lambda: rng.standard_t(1, d),
        lambda: rng.lognormal(0, 3, d) * rng.choice([-1, 1], d),
        lambda: np.where(rng.random(d) < 0.8, 0.0, rng.standard_normal(d)),
        lambda: np.arange(1.0, d + 1) ** -rng.uniform(0.2, 3),
        lambda: np.where(np.arange(d) == 0, 1.0, rng.choice([0.05, 0.3])),
    )
    x = shapes[rng.integers(len(shapes))]()
    if not x.any():
        x[0] = 1.0
    return x if rng.random() < 0.5 else x.astype(np.float32)


def random_case(rng: np.random.Generator, variant: str, most: int = 200) -> Case:
    """Lines, packets and both, in every basis and packing, with and without constants; cost of one entry > 0."""
    x = random_vector(rng, most)
    lg = (x.size - 1).bit_length()
    bits = {"sparsify": (0, lg + 32), "sign": (32, lg + 1), "stochastic": (32 * int(rng.integers(2)), lg + 32)}
    size = CodeSize(*bits[variant], count_bit=x.size.bit_length())
    basis: Any = rng.choice(["count", "paper", "message"])
    kind = rng.choice(["line", "packets", "both"])
    if kind == "line":
        structure = CostStructure(c0=float(rng.choice([0, 1, 432, 1e4, 1e7])), c_bit=float(rng.choice([1, 3])))
    else:
        room = float(rng.integers(1, 20) if basis == "count" else rng.choice([40, 64, 100, 333, 512, 4096]))
        packet = float(rng.choice([1, 100, 576]))
        structure = CostStructure(
            c0=float(rng.choice([0, 1, 432, 1e5, -0.5 * packet])),
            c_packet=packet,
            c_bit=float(rng.choice([1, 3])) if kind == "both" else 0.0,
            payload_max_bit=room,
            header_bit=float(rng.choice([0, 0, 7, 100])),
            packing=rng.choice(["whole", "stream"]),
        )
    return Case(x, variant, size, StructuredCost(structure, basis, "unit"))


def size_line(case: Case) -> tuple[float, float]:
    """p0 and p1 of the size p0 + p1 T, without rounding to bytes."""
    size = case.size
    return {
        "count": (0.0, 1.0),
        "paper": (size.paper0_bit, size.entry_bit),
        "message": (HEADER_BIT + size.count_bit + size.paper0_bit, size.entry_bit),
    }[case.cost.basis]


def price(case: Case, budgets: Any) -> Floats:
    """C(T), elementwise: packets of whole entries are filled entry by entry, a started entry is a whole one."""
    s, (p0, p1) = case.cost.structure, size_line(case)
    t = np.atleast_1d(np.asarray(budgets, float))
    bits = p0 + p1 * t
    if case.cost.basis == "message" and case.variant != "stochastic":
        bits = HEADER_BIT + 8 * -(-(bits - HEADER_BIT) // 8)
    packets = np.zeros_like(t)
    if s.payload_max_bit:
        whole = s.packing == "whole" and case.cost.basis != "message" and p1 <= s.payload_max_bit
        packets = np.maximum(-(-(s.header_bit + bits) // s.payload_max_bit), 1)
        if whole:
            packets = filled(s, p0, p1, int(np.ceil(t.max())))[np.ceil(t).astype(int)]
    return np.asarray(s.c0 + s.c_packet * packets + s.c_bit * bits)


def filled(s: CostStructure, p0: float, p1: float, most: int) -> Floats:
    """Packets that 0 .. `most` whole entries fill after header_bit + p0 bits."""
    room = s.payload_max_bit or 0.0
    packets, left = 1 + (s.header_bit + p0) // room, room - (s.header_bit + p0) % room
    out = [packets]
    for _ in range(most):
        if left < p1:
            packets, left = packets + 1, room
        left -= p1
        out.append(packets)
    return np.array(out)


def gain(x: Any, variant: str) -> Floats:
    """||x||^2 times alpha or beta for T = 1 .. nonzeros."""
    m = np.sort(np.abs(x.astype(float)))[::-1]
    m = m[m > 0]
    return np.cumsum(m * m) if variant == "sparsify" else np.cumsum(m) ** 2 / np.arange(1, m.size + 1)


def omega(x: Any, budgets: Any) -> Floats:
    """||x||^2 / min sum x_i^2 / p_i over sum p_i = T, p_i <= 1: p_i = min(1, lambda |x_i|), lambda by bisection."""
    m = np.abs(x.astype(float))
    m = m[m > 0]
    t = np.atleast_1d(np.asarray(budgets, float))
    low, high = np.zeros_like(t), np.full_like(t, 1 / m.min())
    for _ in range(110):
        middle = (low + high) / 2
        enough = np.minimum(1, middle[:, None] * m).sum(1) >= t
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    p = np.minimum(1, high[:, None] * m)
    return np.asarray((m * m).sum() / (m * m / p).sum(1))
