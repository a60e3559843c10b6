"""The k largest magnitudes against numpy, torch and a plain copy."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.coding.select import top_k
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.vectors import KINDS, Vector, short, vector

WORK = "top-K selection"
HAS_TORCH = importlib.util.find_spec("torch") is not None
NOTES = () if HAS_TORCH else ("torch is not installed: no rows against torch.topk",)

Partition = Callable[[Vector, int], npt.NDArray[np.intp]]


def cases(small: bool = False) -> Iterator[Case]:
    """Four sizes, three kinds of data, two shares kept; targets from a million entries on."""
    for size in (20_000,) if small else (10**4, 10**5, 10**6, 10**7):
        for kind in KINDS:
            x = vector(kind, size)
            for share, divisor in (("0.1 %", 1000), ("1 %", 100)):
                yield Case(f"{short(size)} {kind}, {share}", *_candidates(x, size // divisor))


def _candidates(x: Vector, k: int) -> tuple[Callable[[], Any], tuple[Rival, ...]]:
    target = np.empty_like(x)
    partition = _quicker(x[:100_000])

    def agrees(ours: Any, theirs: Any) -> bool:
        """The same magnitudes: which of several equal ones is taken is free to others."""
        return np.array_equal(np.sort(np.abs(x[ours])), np.sort(np.abs(x[theirs])))

    aimed = x.size >= 10**6
    rivals = [
        Rival("np.argpartition", lambda: partition(x, k), 8.0 if aimed else None, agrees),
        Rival("memcpy (np.copyto)", lambda: np.copyto(target, x), 0.4 if aimed else None, None),
    ]
    if HAS_TORCH:
        torch: Any = importlib.import_module("torch")
        tensor = torch.from_numpy(x)
        rivals.append(
            Rival("torch.topk", lambda: torch.topk(tensor.abs(), k).indices.numpy(), 30.0 if aimed else None, agrees)
        )
    return lambda: top_k(x, k), tuple(rivals)


def _from_the_end(x: Vector, k: int) -> npt.NDArray[np.intp]:
    return np.argpartition(np.abs(x), x.size - k)[x.size - k :]


def _from_the_start(x: Vector, k: int) -> npt.NDArray[np.intp]:
    return np.argpartition(-np.abs(x), k)[:k]


def _quicker(x: Vector) -> Partition:
    """The spelling that is quicker on such data; with many zeros they differ a hundredfold."""

    def seconds(partition: Partition) -> float:
        start = time.process_time()
        partition(x, x.size // 100)
        return time.process_time() - start

    return min((_from_the_end, _from_the_start), key=seconds)
