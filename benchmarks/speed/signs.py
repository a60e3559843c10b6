"""One bit an entry and back against numpy and a plain copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.signs import read_signs, write_signs
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.vectors import KINDS, Vector, short, vector

WORK = "signs"
NOTES = (
    "into memory that is used again; of 95 % zeros nearly all signs are plus, which the branch in np.where guesses:",
    "without a target",
)
SCALE = 0.75

_PACK, _UNPACK = 1.2, 20.0
_TARGETS_FROM = 10**6  # shorter vectors are for information


def cases(small: bool = False) -> Iterator[Case]:
    """Four sizes, three kinds of data, there and back."""
    for size in (40_000,) if small else (10**4, 10**5, 10**6, 10**7):
        for kind in KINDS:
            x = vector(kind, size)
            yield Case(f"{short(size)} {kind}, pack", *_pack(x))
            yield Case(f"{short(size)} {kind}, unpack", *_unpack(x, kind))


def _pack(x: Vector) -> tuple[Callable[[], Any], tuple[Rival, ...]]:
    target = np.empty_like(x)

    def ours() -> BitWriter:
        out = BitWriter()
        write_signs(out, x)
        return out

    def agrees(ours: Any, theirs: Any) -> bool:
        return bool(ours.getvalue() == theirs.tobytes())

    return ours, (
        Rival("np.packbits", lambda: np.packbits(x < 0, bitorder="little"), _target(x, _PACK), agrees),
        Rival("memcpy (np.copyto)", lambda: np.copyto(target, x), None, None),
    )


def _unpack(x: Vector, kind: str) -> tuple[Callable[[], Any], tuple[Rival, ...]]:
    octets = np.packbits(x < 0, bitorder="little")
    data = octets.tobytes()
    plus, minus = np.float32(SCALE), np.float32(-SCALE)
    target, buffer = np.empty_like(x), np.empty_like(x)
    wanted = None if kind == "95 % zeros" else _target(x, _UNPACK)

    def numpy() -> Any:
        return np.where(np.unpackbits(octets, count=x.size, bitorder="little"), minus, plus)

    def products() -> Any:
        bits = np.unpackbits(octets, count=x.size, bitorder="little")
        return plus - bits * (plus - minus)

    return lambda: read_signs(BitReader(data), x.size, SCALE, into=buffer), (
        Rival("np.unpackbits, np.where", numpy, wanted, np.array_equal),
        Rival("np.unpackbits, a product", products, None, np.array_equal),
        Rival("memcpy (np.copyto)", lambda: np.copyto(target, x), None, None),
    )


def _target(x: Vector, target: float) -> float | None:
    return target if x.size >= _TARGETS_FROM else None
