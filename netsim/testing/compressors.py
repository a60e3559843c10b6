"""What every compressor promises.

Statistical checks use fixed seeds: with the right code they pass today and always, and the stated probability is that
of a false alarm under another seed. Vectors are encoded with the stream ``np.random.default_rng(1)``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Key, Payload
from netsim.testing.contract import ContractError, broken, on, on_smallest, refusal, require, require_methods

METHODS = (
    "encode", "encode_keyed", "decode", "add_to", "bind", "max_size_bytes", "variance_bound", "contraction",
    "encode_flop", "decode_flop", "decode_flop_of",
)  # fmt: skip
# Relative rounding of one float on the wire, and the spacing of its denormals.
ROUNDING = {64: (2.0**-53, 2.0**-1074), 32: (2.0**-24, 2.0**-149), 16: (2.0**-11, 2.0**-24)}
BFLOAT16 = (2.0**-8, 2.0**-133)
FLOAT16_MAX = 65504.0
SHOWN = 8


def rounding(compressor: Any) -> tuple[float, float]:
    """Return the relative and absolute error that the code's floats may add to an entry; float32 where it is silent."""
    if getattr(compressor, "format", "ieee") == "bfloat16":
        return BFLOAT16
    return ROUNDING[getattr(compressor, "float_bit", 32)]


def vectors() -> Iterator[Array]:
    """Yield vectors on which codecs fail, short ones first; all but one lie within the reach of float16."""
    rng = np.random.default_rng(20)
    yield np.array([1.0])
    yield np.array([-1.5])
    yield np.zeros(1)
    yield np.array([0.0, 1.0])
    yield np.array([0.25, -4.0])
    yield np.array([1.0, 1.0, -1.0])
    yield np.array([0.0, 1.0, -2.0, 3.0, 0.0, 0.0, -0.5, 0.75])
    yield np.zeros(37)
    yield np.where(np.arange(9) == 4, 1.0, -0.0)
    yield np.where(np.arange(37) == 36, -2.5, 0.0)
    yield np.full(64, 0.75)
    yield np.tile([1.0, -1.0, 2.0, 0.0, -2.0], 13)
    yield rng.standard_normal(65)
    yield np.clip(rng.standard_t(2, 129), -6e4, 6e4)
    yield np.where(rng.random(200) < 0.05, rng.standard_normal(200), 0.0)
    yield 5e-324 * rng.integers(-9, 9, 40)
    yield 1e-300 * rng.standard_normal(40)
    yield rng.choice([-1.0, 1.0], 50) * 10.0 ** rng.uniform(-40, 4, 50)
    yield np.where(np.arange(20) == 3, 1e30, rng.standard_normal(20))


def show(x: Array) -> str:
    """Return a vector as text: its first entries, type and length.

    Examples
    --------
    >>> show(np.array([1.0, -0.5]))
    'x = [1.0, -0.5] (float64, d = 2)'
    """
    entries = ", ".join(repr(float(value)) for value in x[:SHOWN])
    return f"x = [{entries}{', ...' if x.size > SHOWN else ''}] ({x.dtype}, d = {x.size})"


def key_of(seed: int) -> Key:
    """Return the key that `encode` draws with for ``np.random.default_rng(seed)``."""
    return draw_key(np.random.default_rng(seed))


def draw_key(rng: np.random.Generator) -> Key:
    """Return the two 64-bit words that `encode` takes from a stream."""
    word = rng.bit_generator.random_raw
    return Key(word(), word())


def encode_or_refuse(compressor: Any, x: Array) -> Payload | None:
    """Return the payload; None where a vector beyond float16 is refused with a sentence that names the compressor."""
    try:
        payload: Payload = compressor.encode(x, np.random.default_rng(1))
    except EncodeError as error:
        if np.abs(x).max() > FLOAT16_MAX and compressor.name in str(error):
            return None
        raise
    return payload


def check_interface(compressor: Any) -> None:
    """Check that it has every method and fact of a compressor."""
    require_methods(compressor, *METHODS)
    for fact in ("is_unbiased", "draws", "shares_randomness"):
        require(isinstance(getattr(compressor, fact, None), bool), f"{fact} must be True or False")


def classes_of(compressor: Any) -> dict[str, type]:
    """Return the classes that a `repr` names: the compressor's own and those of the compressors in its fields."""
    parts = [getattr(compressor, field.name) for field in dataclasses.fields(compressor)]
    inner = (classes_of(part) for part in parts if getattr(part, "kind", None) == "compressor")
    return {type(compressor).__name__: type(compressor)} | {k: v for found in inner for k, v in found.items()}


def check_representation(compressor: Any) -> None:
    """Check that its `repr` makes an equal one, and bound to a layout it has the same bound."""
    text = repr(compressor)
    require(eval(text, dict(classes_of(compressor))) == compressor, f"its repr makes another one: {text}")
    same = compressor.bind(((50,),)).max_size_bytes(50) == compressor.max_size_bytes(50)
    require(same, "bound to a model of one tensor it has another max_size_bytes")


def check_round_trip(compressor: Any) -> None:
    """Check that `decode` gives a finite float64 vector, `add_to` the same, no length exceeds its bound, x is kept."""
    for x64 in vectors():
        for dtype in (np.float64, np.float32):
            if dtype is np.float32 and np.abs(x64).max() > FLOAT16_MAX:
                continue
            with np.errstate(under="ignore"):
                x: Array = x64.astype(dtype)
            x.setflags(write=False)
            on_smallest(functools.partial(_round_trip, compressor), x, show)


def _round_trip(compressor: Any, x: Array) -> None:
    payload = encode_or_refuse(compressor, x)
    if payload is None:
        return
    require(isinstance(payload.data, bytes), f"a payload's data is bytes. Got {type(payload.data).__name__}")
    y = compressor.decode(payload.data, x.size, key_of(1))
    _check_vector(y, x.size)
    if not x.any() and getattr(compressor, "maps_zero_to_zero", True):
        require(not y.any(), "zeros decode to something else, which maps_zero_to_zero = False must say")
    bound, length = compressor.max_size_bytes(x.size), len(payload.data)
    sentence = f"the payload has {length} bytes; max_size_bytes({x.size}) promises at most {bound}"
    require(bound is None or length <= bound, sentence)
    require(0 <= payload.paper_bit < math.inf, f"paper_bit is a number >= 0. Got {payload.paper_bit}")
    start = np.random.default_rng(21).standard_normal(x.size)
    acc = start.copy()
    compressor.add_to(payload.data, acc, -0.3, key_of(1))
    difference = np.flatnonzero(acc != start + -0.3 * y)
    if difference.size:
        i = difference[0]
        text = f"add_to makes {acc[i]!r} of entry {i}, which decode makes {(start + -0.3 * y)[i]!r}"
        raise ContractError(f"add_to and decode disagree: {text}")


def _check_vector(y: Any, dim: int) -> None:
    got = f"{y.dtype} of shape {y.shape}" if isinstance(y, np.ndarray) else type(y).__name__
    require(got == f"float64 of shape ({dim},)", f"decode gives {got}; float64 of shape ({dim},) is promised")
    require(np.isfinite(y).all(), "decode gives an entry that is not finite")


def check_contiguity(compressor: Any) -> None:
    """Check that a strided view and whole numbers give the same bytes as the plain float64 vector."""
    on_smallest(
        functools.partial(_contiguity, compressor),
        np.random.default_rng(22).integers(-9, 9, 60).astype(np.float64),
        show,
    )


def _contiguity(compressor: Any, x: Array) -> None:
    plain = compressor.encode(x, np.random.default_rng(1))
    others = {"a strided view": np.repeat(x, 3)[::3], "int16": x.astype(np.int16), "big-endian": x.astype(">f8")}
    for what, same in others.items():
        require(compressor.encode(same, np.random.default_rng(1)) == plain, f"{what} gives another payload")


def check_seed(compressor: Any) -> None:
    """Check that equal seeds give equal bytes, and that `encode` takes two 64-bit words of the stream."""
    for x in (np.ones(1), np.zeros(3), np.random.default_rng(23).standard_normal(50)):
        on_smallest(functools.partial(_seed, compressor), x, show)


def _seed(compressor: Any, x: Array) -> None:
    used, plain = np.random.default_rng(5), np.random.default_rng(5)
    first = compressor.encode(x, used)
    require(first == compressor.encode(x, np.random.default_rng(5)), "equal streams give two payloads")
    plain.integers(0, 2**64, size=2, dtype=np.uint64)
    same = used.bit_generator.state == plain.bit_generator.state
    require(same, "encode takes two 64-bit words of the stream, no less and no more; it took others")


def check_refusals(compressor: Any) -> None:
    """Check that NaN and infinity are refused by the codec's name and their index, a wrong shape by the shape."""
    rng = np.random.default_rng(24)
    for dim, place in ((1, 0), (40, 17), (200, 199)):
        for bad, word in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
            for dtype in (np.float64, np.float32):
                x = rng.standard_normal(dim).astype(dtype)
                x[place] = bad
                with on(f"{word} at {place} of {dim} {np.dtype(dtype)} entries"):
                    _refusal(compressor, x, (compressor.name, str(place), word))
    for shape in ((0,), (), (2, 3)):
        _refusal(compressor, np.zeros(shape), (compressor.name,))
    _refusal(compressor, np.zeros(3, np.complex128), ("complex",))


def _refusal(compressor: Any, x: Any, words: tuple[str, ...]) -> None:
    what = "an entry that is not finite" if x.ndim == 1 and x.size and x.dtype.kind == "f" else f"{x.dtype} {x.shape}"
    text = refusal(lambda: compressor.encode(x, np.random.default_rng(1)), EncodeError, f"{what} must be refused")
    missing = [word for word in words if word not in text]
    require(not missing, f"the refusal of {what} must name {', '.join(missing)}. Got {text!r}")


def check_key(compressor: Any) -> None:
    """Check that only a code that shares its randomness needs the key to decode; one without draws encodes alike."""
    for x in (np.ones(1), np.random.default_rng(28).standard_normal(50)):
        with on(show(x)):
            data = compressor.encode_keyed(x, key_of(1)).data
            if compressor.shares_randomness:
                promise = "shares_randomness says that decoding without a key is refused"
                decode = functools.partial(compressor.decode, data, x.size)
                require("key" in refusal(decode, DecodeError, promise), promise)
            else:
                same = np.array_equal(compressor.decode(data, x.size), compressor.decode(data, x.size, key_of(1)))
                require(same, "decode uses the key; shares_randomness must be True")
            if not compressor.draws:
                same = compressor.encode_keyed(x, key_of(2)).data == data
                require(same, "another key gives another payload; draws must be True")


def check_work(compressor: Any) -> None:
    """Check that operations are stated and grow with the vector, and those of decoding a payload are a number."""
    for name in ("encode_flop", "decode_flop"):
        small, large = getattr(compressor, name)(10), getattr(compressor, name)(1000)
        require(0 <= small <= large < math.inf, f"{name} must grow with d. Got {small} at 10 and {large} at 1000")
    for x in (np.zeros(10), np.random.default_rng(29).standard_normal(10)):
        work = compressor.decode_flop_of(compressor.encode_keyed(x, key_of(1)).data, x.size)
        require(0 <= work < math.inf, f"decode_flop_of is a number >= 0. Got {work}")


def check_contraction(compressor: Any) -> None:
    """Check that ||Q - x||^2 <= (1 - delta) ||x||^2 on every draw, where a delta is stated.

    Rounding on the wire moves a decoded entry by a share u of itself and at most half a denormal, so the error's norm
    by at most u ||Q|| + sqrt(d) tiny, and ||Q|| <= 2 ||x|| for a contraction; 1e-12 is for this check's own arithmetic.
    """
    for x in (*vectors(), *(_spread(d, r) for d in (2, 7, 100) for r in (0.0, 0.5, 0.99, 1.0))):
        if compressor.contraction(x.size) is None:
            return
        on_smallest(functools.partial(_contraction, compressor), x, show)


def _contraction(compressor: Any, x: Array) -> None:
    delta, (u, tiny) = compressor.contraction(x.size), rounding(compressor)
    require(0 < delta <= 1, f"contraction({x.size}) lies in (0, 1]. Got {delta}")
    payload = encode_or_refuse(compressor, x)
    peak = float(np.abs(x).max())
    if payload is None or peak == 0:
        return
    y = compressor.decode(payload.data, x.size, key_of(1))
    error, norm = np.linalg.norm((y - x) / peak), np.linalg.norm(x / peak)
    bound = math.sqrt(1 - delta) * norm + 2 * u * norm + math.sqrt(x.size) * (tiny / peak)
    if error > bound * (1 + 1e-12):
        share, entries = float(error / norm) ** 2, ", ".join(repr(float(value)) for value in y[:SHOWN])
        promise = f"at most 1 - contraction({x.size}) = {1 - delta:.6g}"
        raise ContractError(
            f"decode gives [{entries}], whose ||Q - x||^2 is {share:.6g} ||x||^2; promised is {promise}"
        )


def check_unbiased(compressor: Any, draws: int | None = None) -> None:
    """Check that E Q(x) = x by a z-test of each coordinate, and the mean squared error against w.

    A false alarm needs |z| > 5 in one of 36 coordinates (5.7e-7 each) or a mean of `draws` errors 5 standard errors
    above its bound (2.9e-7): below 3e-5 a codec. Where `draws` is None there are 500, and up to 1500 where
    a large w says that jumps are rare.
    """
    if not getattr(compressor, "is_unbiased", False):
        return
    rng = np.random.default_rng(25)
    if draws is None:
        draws = int(min(max(500.0, 40 * (compressor.variance_bound(36) or 0.0)), 1500.0))
    x = np.concatenate([rng.uniform(0.5, 2.0, 24) * rng.choice([-1.0, 1.0], 24), np.repeat([3.0, -1.0, 0.5], 4)])
    keys = [draw_key(rng) for _ in range(draws)]
    on_smallest(functools.partial(_unbiased, compressor, keys), x, show)


def _unbiased(compressor: Any, keys: list[Key], x: Array) -> None:
    u, tiny = rounding(compressor)
    draws = len(keys)
    y = np.stack([compressor.decode(compressor.encode_keyed(x, key).data, x.size, key) for key in keys])
    mean, spread = y.mean(axis=0), y.std(axis=0, ddof=1) / math.sqrt(draws)
    slack = (2 * u + 1e-12) * np.abs(y).max(axis=0) + tiny
    slack += 15 / draws * np.abs(x)  # jumps so rare that fewer were seen than their spread tells: exp(-15) = 3e-7
    far = np.flatnonzero(np.abs(mean - x) > 5 * spread + slack)
    if far.size:
        i = far[0]
        text = f"{draws} draws of entry {i}, {x[i]:.6g}, have the mean {mean[i]:.6g} with a standard error of"
        raise ContractError(f"is_unbiased does not hold: {text} {spread[i]:.2g}")
    w = compressor.variance_bound(x.size)
    if w is not None:
        share = np.square(y - x).sum(axis=1) / np.square(x).sum()
        most = w + 5 * share.std(ddof=1) / math.sqrt(draws) + (4 * u + 1e-12) * (1 + w)
        sentence = (
            f"the mean of ||Q - x||^2 over {draws} draws is {share.mean():.6g} ||x||^2; variance_bound says {w:.6g}"
        )
        require(share.mean() <= most, sentence)


def check_hostile(compressor: Any, cases: int = 667, seed: int = 26) -> None:
    """Check that damaged, cut, extended and random bytes decode to a finite vector or raise DecodeError."""
    rng = np.random.default_rng(seed)
    for dim in (1, 5, 200):
        key = draw_key(rng)
        base = compressor.encode_keyed(rng.standard_normal(dim), key).data
        refused = 0
        for case in range(cases):
            data = _damage(bytearray(base), case % 6, rng)
            try:
                y = compressor.decode(data, dim, key)
                _check_vector(y, dim)
                require(case % 6 != 0, "bytes after the end of a payload must be refused with DecodeError")
            except DecodeError:
                refused += 1
                if refused % 8 == 0:  # slows down alike
                    with on(_bytes(data, dim)):
                        _untouched(compressor, data, dim, key)
            except Exception as error:
                raise broken(error, _bytes(data, dim)) from error


def _untouched(compressor: Any, data: bytes, dim: int, key: Key) -> None:
    acc = np.ones(dim)
    refusal(lambda: compressor.add_to(data, acc, 1.0, key), DecodeError, "add_to refuses what decode refuses")
    require((acc == 1).all(), "add_to changes the sum before it refuses a payload")


def _bytes(data: bytes, dim: int) -> str:
    return f"d = {dim}, payload {data[:40].hex() or 'of no bytes'}{'...' if len(data) > 40 else ''} ({len(data)} bytes)"


def _spread(dim: int, ratio: float) -> Array:
    """Return geometric magnitudes: ratio 0 is one nonzero entry, 1 all equal, the two ends of every contraction."""
    return ratio ** np.arange(dim) * np.where(np.arange(dim) % 2, -1.0, 1.0)


def _damage(data: bytearray, how: int, rng: np.random.Generator) -> bytes:
    first, *rest = rng.integers(2**31, size=17).tolist()  # one call: numbers one by one take longer than decoding
    if how == 0:
        return bytes(data + rng.bytes(first % 8 + 1))
    if how == 1 or not data:
        return rng.bytes(first % (2 * len(data) + 8))
    if how == 2:
        return bytes(data[: first % (len(data) + 1)])
    for place, byte in zip(rest[: first % 8 + 1], rest[8:], strict=False):
        data[place % min(len(data), 4 if how == 3 else len(data))] = (0xFF, 0x00)[byte % 2] if how == 4 else byte % 256
    return bytes(data)
