"""CAT's budget and the entries kept, against a sort and a prefix sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.coding.select import top_k
from algorithms.coding.sizes import CodeSize, lg
from algorithms.tuners.tune import tune
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.vectors import KINDS, Vector, short, vector
from netsim import registry
from netsim.interfaces import CostModel

WORK = "CAT: T* and kept"
NOTES = ()

_FRAME_BIT, _PACKET_BIT, _HELD_BIT = 432, 4608, 4096  # headers of Ethernet; packets of 576 bytes for 512 of them


def cases(small: bool = False) -> Iterator[Case]:
    """Two sizes, three kinds of data, two costs; a message's constant at the cost of 1 % of the entries for one."""
    for size in (20_000,) if small else (10**6, 10**7):
        entry_bit = lg(size) + 32
        for kind in KINDS:
            x = vector(kind, size)
            constants = {"": _FRAME_BIT, ", dear start": size // 100 * entry_bit}
            for note, c0 in constants.items() if kind == KINDS[0] else [("", _FRAME_BIT)]:
                affine = {"name": "affine", "c0": c0}
                packets = {"name": "packets", "c0": c0, "c_packet": _PACKET_BIT, "payload_max_bit": _HELD_BIT}
                budgets = np.arange(1.0, size + 1.0)
                price = c0 + entry_bit * budgets
                yield Case(f"{short(size)} {kind}, affine{note}", *_candidates(x, affine, price, 15.0))
                price = c0 + _PACKET_BIT * np.ceil(budgets / (_HELD_BIT // entry_bit))
                yield Case(f"{short(size)} {kind}, packets{note}", *_candidates(x, packets, price, 3.0))


def _candidates(
    x: Vector, cost: dict[str, Any], price: npt.NDArray[np.float64], target: float
) -> tuple[Callable[[], Any], tuple[Rival, ...]]:
    """`price` is C(T) for T = 1 .. d, as the sort needs it; making it is not timed."""
    size = CodeSize(paper0_bit=0, entry_bit=lg(x.size) + 32, count_bit=lg(x.size + 1))
    model: CostModel = registry.build("cost", cost).open(None)
    energy = float(np.square(x, dtype=np.float64).sum())

    def ours() -> tuple[int, float, npt.NDArray[np.int64]]:
        choice = tune(x, "sparsify", size, model)
        kept = top_k(x, int(choice.budget)) if choice.kept is None else choice.kept
        return int(choice.budget), choice.efficiency, kept

    def by_sort() -> tuple[int, float, npt.NDArray[np.int64]]:
        magnitudes = np.abs(x)
        magnitudes.sort()
        efficiency = np.cumsum(np.square(magnitudes[::-1], dtype=np.float64))
        efficiency /= price
        best = int(np.argmax(efficiency))
        return best + 1, float(efficiency[best]), np.flatnonzero(np.abs(x) >= magnitudes[x.size - 1 - best])

    def agrees(one: Any, other: Any) -> bool:
        """The same budget and entries; the sums are rounded in different orders."""
        return one[0] == other[0] and abs(one[1] * energy / other[1] - 1) < 1e-11 and np.array_equal(one[2], other[2])

    return ours, (Rival("sort + prefix sum", by_sort, target, agrees),)
