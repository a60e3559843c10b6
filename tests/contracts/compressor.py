"""What every compressor promises, as functions of one compressor; plugin authors can call them too.

`check_all` runs the lot. Statistical checks use fixed seeds: with the right code they pass today and always, and
the stated probability is that of a false alarm under another seed.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from algorithms.coding.codec import draw_key
from netsim import registry
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Key, Payload
from netsim.scenario import parsing

# Relative rounding of one float on the wire, and the spacing of its denormals.
ROUNDING = {64: (2.0**-53, 2.0**-1074), 32: (2.0**-24, 2.0**-149), 16: (2.0**-11, 2.0**-24)}
BFLOAT16 = (2.0**-8, 2.0**-133)


def rounding(compressor: Any) -> tuple[float, float]:
    """Relative and absolute error that the code's floats may add to an entry; float32 where it does not say."""
    if getattr(compressor, "format", "ieee") == "bfloat16":
        return BFLOAT16
    return ROUNDING[getattr(compressor, "float_bit", 32)]


def vectors() -> Iterator[tuple[str, Array]]:
    """Vectors on which codecs fail, named; all but ``huge`` lie within the reach of float16."""
    rng = np.random.default_rng(20)
    yield "one entry", np.array([-1.5])
    yield "one zero", np.zeros(1)
    yield "two entries", np.array([0.25, -4.0])
    yield "zero", np.zeros(37)
    yield "minus zero", np.where(np.arange(9) == 4, 1.0, -0.0)
    yield "one nonzero", np.where(np.arange(37) == 36, -2.5, 0.0)
    yield "all equal", np.full(64, 0.75)
    yield "tied", np.tile([1.0, -1.0, 2.0, 0.0, -2.0], 13)
    yield "normal", rng.standard_normal(65)
    yield "heavy tail", np.clip(rng.standard_t(2, 129), -6e4, 6e4)
    yield "mostly zero", np.where(rng.random(200) < 0.05, rng.standard_normal(200), 0.0)
    yield "denormal", 5e-324 * rng.integers(-9, 9, 40)
    yield "below float32", 1e-300 * rng.standard_normal(40)
    yield "wide", rng.choice([-1.0, 1.0], 50) * 10.0 ** rng.uniform(-40, 4, 50)
    yield "one huge", np.where(np.arange(20) == 3, 1e30, rng.standard_normal(20))


def key_of(seed: int) -> Key:
    """What `encode` draws with for ``np.random.default_rng(seed)``."""
    return draw_key(np.random.default_rng(seed))


def encode_or_refuse(compressor: Any, name: str, x: Array, seed: int = 1) -> Payload | None:
    """The payload; None where a vector with huge entries is refused with a sentence."""
    try:
        payload: Payload = compressor.encode(x, np.random.default_rng(seed))
    except EncodeError as error:
        if "huge" in name and compressor.name in str(error):
            return None
        raise
    return payload


def check_round_trip(compressor: Any) -> None:
    """Decoding gives a finite float64 vector, `add_to` adds the same, no length is above its bound, x is left alone."""
    rng = np.random.default_rng(21)
    for name, x64 in vectors():
        for dtype in (np.float64, np.float32):
            if name == "one huge" and dtype is np.float32:
                continue
            with np.errstate(under="ignore"):
                x: Array = x64.astype(dtype)
            x.setflags(write=False)
            payload = encode_or_refuse(compressor, name, x)
            if payload is None:
                continue
            y = compressor.decode(payload.data, x.size, key_of(1))
            assert isinstance(payload.data, bytes)
            assert (y.shape, y.dtype) == (x.shape, np.float64), name
            assert np.isfinite(y).all(), name
            if not x.any() and getattr(compressor, "maps_zero_to_zero", True):
                assert not y.any(), name
            bound = compressor.max_size_bytes(x.size)
            assert bound is None or len(payload.data) <= bound, name
            assert 0 <= payload.paper_bit < math.inf
            start = rng.standard_normal(x.size)
            acc = start.copy()
            compressor.add_to(payload.data, acc, -0.3, key_of(1))
            np.testing.assert_array_equal(acc, start + -0.3 * y, err_msg=name)


def check_contiguity(compressor: Any) -> None:
    """A strided view and whole numbers give the same bytes as the plain float64 vector."""
    x = np.random.default_rng(22).integers(-9, 9, 60).astype(np.float64)
    plain = compressor.encode(x, np.random.default_rng(1))
    for same in (np.repeat(x, 3)[::3], x.astype(np.int16), x.astype(">f8")):
        assert compressor.encode(same, np.random.default_rng(1)) == plain


def check_seed(compressor: Any) -> None:
    """Same seed, same bytes; and `encode` takes two 64-bit words of the stream, whatever the codec and vector."""
    x = np.random.default_rng(23).standard_normal(50)
    used, plain = np.random.default_rng(5), np.random.default_rng(5)
    first = compressor.encode(x, used)
    assert first == compressor.encode(x, np.random.default_rng(5))
    plain.integers(0, 2**64, size=2, dtype=np.uint64)
    assert used.bit_generator.state == plain.bit_generator.state
    for other in (np.zeros(3), np.ones(1)):
        rng = np.random.default_rng(5)
        compressor.encode(other, rng)
        assert rng.bit_generator.state == plain.bit_generator.state


def check_refusals(compressor: Any) -> None:
    """NaN and infinity are refused by the codec's name and their index, what is no vector by its shape."""
    rng = np.random.default_rng(24)
    for bad, word in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
        for dtype in (np.float64, np.float32):
            for dim, place in ((1, 0), (40, 17), (200, 199)):
                x = rng.standard_normal(dim).astype(dtype)
                x[place] = bad
                with pytest.raises(EncodeError) as caught:
                    compressor.encode(x, rng)
                for part in (compressor.name, str(place), word):
                    assert part in str(caught.value)
    for shape in ((0,), (), (2, 3)):
        with pytest.raises(EncodeError, match=compressor.name):
            compressor.encode(np.zeros(shape), rng)
    with pytest.raises(EncodeError, match="complex"):
        compressor.encode(np.zeros(3, np.complex128), rng)


def check_key(compressor: Any) -> None:
    """A code that shares its randomness asks for the key; all others decode without, to the same."""
    x = np.random.default_rng(28).standard_normal(50)
    data = compressor.encode_keyed(x, key_of(1)).data
    if compressor.shares_randomness:
        with pytest.raises(DecodeError, match="key"):
            compressor.decode(data, x.size)
    else:
        np.testing.assert_array_equal(compressor.decode(data, x.size), compressor.decode(data, x.size, key_of(1)))


def check_work(compressor: Any) -> None:
    """Operations are stated, and grow with the vector."""
    for work in (compressor.encode_flop, compressor.decode_flop):
        small, large = work(10), work(1000)
        assert 0 <= small <= large < math.inf


def classes_of(compressor: Any) -> dict[str, type]:
    """The classes that its `repr` names: its own and those of the compressors in its fields."""
    parts = [getattr(compressor, field.name) for field in dataclasses.fields(compressor)]
    inner = (classes_of(part) for part in parts if getattr(part, "kind", None) == "compressor")
    return {type(compressor).__name__: type(compressor)} | {k: v for found in inner for k, v in found.items()}


def check_configuration(compressor: Any) -> None:
    """Configuration and back, `repr` and back, pickle and back; and frozen."""
    assert registry.build("compressor", parsing.dump(compressor)) == compressor
    assert eval(repr(compressor), classes_of(compressor)) == compressor
    if not type(compressor).__module__.startswith("netsim_plugins"):
        assert pickle.loads(pickle.dumps(compressor)) == compressor
    hash(compressor)
    with pytest.raises(dataclasses.FrozenInstanceError):
        compressor.anything = 1
    assert compressor.bind(((50,),)).max_size_bytes(50) == compressor.max_size_bytes(50)


def check_contraction(compressor: Any) -> None:
    """||Q - x||^2 <= (1 - delta) ||x||^2 on every draw, where a delta is stated.

    Rounding on the wire moves a decoded entry by a share u of itself and at most half a denormal, so the error's norm
    by at most u ||Q|| + sqrt(d) tiny, and ||Q|| <= 2 ||x|| for a contraction; 1e-12 is for this check's own arithmetic.
    """
    u, tiny = rounding(compressor)
    cases = [*vectors(), *((f"spread {d}", _spread(d, r)) for d in (2, 7, 100) for r in (0.0, 0.5, 0.99, 1.0))]
    for name, x in cases:
        delta = compressor.contraction(x.size)
        if delta is None:
            return
        assert 0 < delta <= 1
        payload = encode_or_refuse(compressor, name, x)
        peak = float(np.abs(x).max())
        if payload is None or peak == 0:
            continue
        error = np.linalg.norm((compressor.decode(payload.data, x.size, key_of(1)) - x) / peak)
        norm = np.linalg.norm(x / peak)
        bound = math.sqrt(1 - delta) * norm + 2 * u * norm + math.sqrt(x.size) * (tiny / peak)
        assert error <= bound * (1 + 1e-12), name


def check_unbiased(compressor: Any, draws: int | None = None) -> None:
    """E Q(x) = x by a z-test of each coordinate, and the mean squared error against w.

    A false alarm needs |z| > 5 in one of 36 coordinates (5.7e-7 each) or a mean of `draws` errors 5 standard errors
    above its bound (2.9e-7): below 3e-5 a codec. Where `draws` is None there are 500, and up to 1500 where
    a large w says that jumps are rare.
    """
    if not getattr(compressor, "is_unbiased", False):
        return
    u, tiny = rounding(compressor)
    rng = np.random.default_rng(25)
    if draws is None:
        draws = int(min(max(500.0, 40 * (compressor.variance_bound(36) or 0.0)), 1500.0))
    x = np.concatenate([rng.uniform(0.5, 2.0, 24) * rng.choice([-1.0, 1.0], 24), np.repeat([3.0, -1.0, 0.5], 4)])
    keys = [draw_key(rng) for _ in range(draws)]
    y = np.stack([compressor.decode(compressor.encode_keyed(x, key).data, x.size, key) for key in keys])
    spread = y.std(axis=0, ddof=1) / math.sqrt(draws)
    slack = (2 * u + 1e-12) * np.abs(y).max(axis=0) + tiny
    slack += 15 / draws * np.abs(x)  # jumps so rare that fewer were seen than their spread tells: exp(-15) = 3e-7
    assert (np.abs(y.mean(axis=0) - x) <= 5 * spread + slack).all()
    w = compressor.variance_bound(x.size)
    if w is not None:
        share = np.square(y - x).sum(axis=1) / np.square(x).sum()
        assert share.mean() <= w + 5 * share.std(ddof=1) / math.sqrt(draws) + (4 * u + 1e-12) * (1 + w)


def check_hostile(compressor: Any, cases: int = 667, seed: int = 26) -> None:
    """Damaged, cut, extended and random bytes decode to a finite vector of the right shape or raise DecodeError."""
    rng = np.random.default_rng(seed)
    for dim in (1, 5, 200):
        key = draw_key(rng)
        base = compressor.encode_keyed(rng.standard_normal(dim), key).data
        refused = 0
        for case in range(cases):
            data = _damage(bytearray(base), case % 6, rng)
            try:
                y = compressor.decode(data, dim, key)
            except DecodeError:
                refused += 1
                if refused % 8 == 0:  # as slow again
                    acc = np.ones(dim)
                    with pytest.raises(DecodeError):
                        compressor.add_to(data, acc, 1.0, key)
                    assert (acc == 1).all()
                continue
            assert (y.shape, y.dtype) == ((dim,), np.float64)
            assert np.isfinite(y).all()
        assert refused >= cases // 6  # every extended payload at least


def check_all(compressor: Any) -> None:
    """Every check of this module."""
    for check in CHECKS:
        check(compressor)


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_round_trip,
    check_contiguity,
    check_seed,
    check_refusals,
    check_key,
    check_work,
    check_configuration,
    check_contraction,
    check_unbiased,
    check_hostile,
)


def _spread(dim: int, ratio: float) -> Array:
    """Geometric magnitudes: ratio 0 is one nonzero entry, 1 all equal, the two ends of every contraction."""
    return ratio ** np.arange(dim) * np.where(np.arange(dim) % 2, -1.0, 1.0)


def _damage(data: bytearray, how: int, rng: np.random.Generator) -> bytes:
    first, *rest = rng.integers(2**31, size=17).tolist()  # one call: numbers one by one take longer than decoding
    if how == 0:
        return bytes(data + rng.bytes(first % 8 + 1))
    if how == 1:
        return rng.bytes(first % (2 * len(data) + 8))
    if how == 2:
        return bytes(data[: first % (len(data) + 1)])
    for place, byte in zip(rest[: first % 8 + 1], rest[8:], strict=False):
        data[place % min(len(data), 4 if how == 3 else len(data))] = (0xFF, 0x00)[byte % 2] if how == 4 else byte % 256
    return bytes(data)
