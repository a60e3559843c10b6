"""Four-bit QSGD, norm, rounding and packing, against numpy, torch and a plain copy; and back."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from algorithms.compressors.qsgd import QSGD
from benchmarks.speed.case import Case, Rival
from benchmarks.speed.vectors import KINDS, Vector, short, vector
from netsim.interfaces import Key

WORK = "QSGD 4 bit"
HAS_TORCH = importlib.util.find_spec("torch") is not None
NOTES = () if HAS_TORCH else ("torch is not installed: no rows against torch",)

LEVELS = 7
SIZES = (10**4, 10**5, 10**6, 10**7)
AIMED_FROM = 10**6  # entries; short vectors are for information

_KEY = Key(1, 2)


def cases(small: bool = False) -> Iterator[Case]:
    """Four sizes and three kinds of data, there and back."""
    codec = QSGD(levels=LEVELS)
    for size in (20_000,) if small else SIZES:
        for kind in KINDS:
            x = vector(kind, size)
            target = 6.0 if size >= AIMED_FROM else None
            yield Case(f"{short(size)} {kind}", lambda x=x: codec.encode_keyed(x, _KEY).data, _encoders(x, target))
        data = codec.encode_keyed(x, _KEY).data
        source, copy = np.zeros(size), np.empty(size)
        rivals = (
            Rival("numpy", lambda data=data, size=size: _numpy_decode(data, size), None, np.array_equal),
            Rival("memcpy of float64", lambda source=source, copy=copy: np.copyto(copy, source), None, None),
        )
        yield Case(f"{short(size)} decode", lambda data=data, size=size: codec.decode(data, size), rivals)


def _encoders(x: Vector, target: float | None) -> tuple[Rival, ...]:
    copy, rng = np.empty_like(x), np.random.default_rng(1)
    rivals = [
        Rival("numpy", lambda: _numpy_encode(x, rng), target, _agreement(x)),
        Rival("numpy, single precision", lambda: _numpy_in_place(x, rng), None, _agreement(x)),
        Rival("memcpy (np.copyto)", lambda: np.copyto(copy, x), None, None),
    ]
    if HAS_TORCH:
        torch: Any = importlib.import_module("torch")
        tensor = torch.from_numpy(x)
        rivals.append(Rival("torch", lambda: _torch_encode(torch, tensor), target, _agreement(x)))
    return tuple(rivals)


def _numpy_encode(x: Vector, rng: np.random.Generator) -> bytes:
    """Levels as they are defined: rounded down, and one more with the probability of the rest.

    In double precision, as ours: in single precision products and draws bias by up to 2^-24.
    """
    norm = np.linalg.norm(x)
    levels = np.abs(x) * (LEVELS / np.float64(norm))
    low = np.floor(levels)
    low += rng.random(x.size) < levels - low
    return _numpy_packed(np.float32(norm), low.astype(np.uint8), x)


def _numpy_in_place(x: Vector, rng: np.random.Generator) -> bytes:
    """In single precision and with fewer passes: draws are added and the sums cut off, which biases by up to 2^-22."""
    norm = np.float32(np.linalg.norm(x))
    levels = np.abs(x)
    levels *= np.float32(LEVELS) / norm
    levels += rng.random(x.size, np.float32)
    return _numpy_packed(norm, levels.astype(np.uint8), x)


def _numpy_packed(norm: np.float32, levels: Any, x: Vector) -> bytes:
    codes = levels | np.signbit(x).view(np.uint8) << 3
    return norm.tobytes() + (codes[::2] | codes[1::2] << 4).tobytes()


def _torch_encode(torch: Any, x: Any) -> bytes:
    norm = torch.linalg.vector_norm(x)
    levels = x.abs().mul_(LEVELS / norm)
    low = levels.floor()
    low += torch.rand_like(x) < levels - low
    codes = low.to(torch.uint8) | (torch.signbit(x).to(torch.uint8) << 3)
    data: bytes = norm.numpy().tobytes() + (codes[::2] | (codes[1::2] << 4)).numpy().tobytes()
    return data


def _numpy_decode(data: bytes, size: int) -> Any:
    octets = np.frombuffer(data, np.uint8, offset=4)
    codes = np.empty(size, np.uint8)
    codes[::2], codes[1::2] = octets & 15, octets >> 4
    table = np.arange(8) / LEVELS
    return np.concatenate([table, 0.0 - table])[codes] * np.frombuffer(data, np.float32, 1).astype(np.float64)[0]


def _agreement(x: Vector) -> Callable[[Any, Any], bool]:
    """The draws differ; norms are the same to rounding, and both results lie within a level of x everywhere.

    Sums in single precision, as torch has them on one thread, are 5e-4 off at 1e7 entries.
    """

    def agrees(ours: Any, theirs: Any) -> bool:
        norms = [float(np.frombuffer(data, np.float32, 1)[0]) for data in (ours, theirs)]
        if len(ours) != len(theirs) or abs(norms[0] - norms[1]) > 1e-3 * norms[0]:
            return False
        errors = [np.abs(_numpy_decode(data, x.size) - x).max() for data in (ours, theirs)]
        return max(errors) <= norms[0] / LEVELS * (1 + 1e-3)

    return agrees
