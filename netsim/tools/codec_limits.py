"""How far from optimal a codec is: measured bits and error beside what no codec can beat.

Three instruments. The *average* bound: x uniform in the unit ball, a code of b bits in the mean and of relative error
D = E||Q(x) - x||^2 / E||x||^2 has D 4^(b/d) >= 1. The *covering* bound: 2^b payloads whose decoded vectors are within
a ||x||^2 of every x of the unit sphere are 2^b caps that cover it. The *entropy* of the payload's bytes: what a coder
that knows how often each byte occurs, and nothing else, would send in their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from netsim import registry
from netsim.interfaces import Code
from netsim.rng import shared_key

Floats = npt.NDArray[np.float64]


class Codec(Code, Protocol):
    """What is measured of a compressor."""

    @property
    def is_unbiased(self) -> bool: ...
    def max_size_bytes(self, dim: int) -> int | None:
        """Return the longest payload; None where there is no bound."""

    def variance_bound(self, dim: int) -> float | None:
        """Return w of E||Q(x) - x||^2 <= w ||x||^2; None where there is none."""

    def contraction(self, dim: int) -> float | None:
        """Return delta of ||Q(x) - x||^2 <= (1 - delta) ||x||^2; None where there is none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One codec on many vectors.

    Parameters
    ----------
    payload_bit
        Mean length of a payload.
    error
        D = E||Q(x) - x||^2 / E||x||^2.
    best_error
        The same of c Q with the best constant c: D / (1 + D) of an unbiased code. It costs no bit, so the bound holds
        for it too, and it compares codes that shrink with those that do not.
    entropy_bit
        Mean length times the order-0 entropy of all payloads' bytes, 8 bits a byte at most. No coder that takes the
        bytes one by one does better; one that sees their order or meaning may, so it bounds the information in a
        payload (but for that in its length) from above, and no code from below.
    promise
        What the codec states of its worst case: 1 - delta of a contraction; of another code its w, but w / (1 + w)
        where it is unbiased, which is the error of Q / (1 + w); None where it states nothing.
    most_bit
        The longest payload; None where there is no bound.
    least_bit
        No code with that promise has a shorter longest payload; 0 without promise.
    """

    dim: int
    payload_bit: float
    error: float
    best_error: float
    entropy_bit: float
    promise: float | None
    most_bit: float | None
    least_bit: float

    @property
    def excess(self) -> float:
        """D 4^(b/d) of the best multiple: 1 at the bound, more above it; infinite beyond float64."""
        power = math.log2(self.best_error) + 2 * self.payload_bit / self.dim
        return 2.0**power if power < 1000 else math.inf

    @property
    def above_bit(self) -> float:
        """Bits of a payload beyond those of the bound at the same error."""
        return self.payload_bit - average_bit(self.best_error, self.dim)


def average_bit(error: float, dim: int) -> float:
    """Return the least mean bits b of relative error D on the unit ball: D 4^(b/d) >= 1.

    A payload of probability p stands for a set of share p of the ball; the set of that volume with the least mean
    squared distance from a point is a ball, p^(2/d) d/(d+2). So D >= sum p p^(2/d) >= 2^(-2H/d) by Jensen's
    inequality, with the entropy H <= b. It holds for each outcome of a code's draws, hence on average.

    References
    ----------
    Safaryan, Shulgin, Richtarik, "Uncertainty principle for communication compression in distributed and federated
    learning and the search for an optimal compressor", Information and Inference, 2022 (arXiv 2002.08958).

    Examples
    --------
    >>> average_bit(1 / 16, 100), average_bit(2.0, 100)
    (200.0, 0.0)
    """
    return max(-dim / 2 * math.log2(error), 0.0)


def cap_log2(error: float, dim: int) -> float:
    """Return log2 of the share P(a, d) of the unit sphere that one decoded vector serves with ||y - x||^2 <= a.

    The best y is c z with |z| = 1 and c = sqrt(1 - a); it serves the cap <x, z> >= c, of which the share is
    0.5 I_a((d-1)/2, 1/2) with the regularised incomplete beta function I.

    Parameters
    ----------
    error
        a, 0 < a < 1.
    dim
        d >= 1.

    Examples
    --------
    >>> round(2 ** cap_log2(0.75, 2), 12), round(2 ** cap_log2(0.75, 3), 12)
    (0.333333333333, 0.25)
    """
    from scipy import special

    if dim == 1:
        return -1.0
    p = (dim - 1) / 2
    share = float(special.betainc(p, 0.5, error))
    if share > 1e-290:
        return math.log2(share) - 1
    # I_a(p, 1/2) = a^p sqrt(1-a) / (p B(p, 1/2)) 2F1(p + 1/2, 1; p + 1; a), where it is too small for a float.
    rest = math.log(float(special.hyp2f1(p + 0.5, 1.0, p + 1.0, error)))
    log = p * math.log(error) + 0.5 * math.log1p(-error) - math.log(p) - float(special.betaln(p, 0.5)) + rest
    return log / math.log(2) - 1


def covering_bit(error: float, dim: int) -> float:
    """Return the least bits b of worst-case error a on the unit sphere: 2^b P(a, d) >= 1, without ||x||; 0: a >= 1."""
    return 0.0 if error >= 1 else -cap_log2(error, dim) if error > 0 else math.inf


def byte_entropy(payloads: Sequence[bytes]) -> float:
    """Return the order-0 entropy of all bytes together, in bits a byte; 0 where there are none.

    The estimate from counts is too low by (kinds - 1) / (2 n ln 2) in the first order, which is added (Miller, Madow).

    Examples
    --------
    >>> round(byte_entropy([bytes(1000), bytes([255] * 1000)]), 2)
    1.0
    """
    counts = np.bincount(np.frombuffer(b"".join(payloads), np.uint8))
    counts = counts[counts > 0]
    if not counts.size:
        return 0.0
    total = int(counts.sum())
    share = counts / total
    estimate = float(-(share * np.log2(share)).sum()) + (counts.size - 1) / (2 * total * math.log(2))
    return min(estimate, 8.0)


def ball(dim: int, draws: int, seed: int = 0) -> Floats:
    """Return vectors uniform in the unit ball, shape (draws, dim)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((draws, dim))
    x *= (rng.random(draws) ** (1 / dim) / np.sqrt(np.square(x).sum(axis=1)))[:, None]
    return x


def measure(codec: Codec, dim: int = 256, draws: int = 100, seed: int = 0) -> Measured:
    """Encode and decode `draws` vectors uniform in the unit ball; the same seed gives the same figures.

    The codec is bound to its layout, where it has one.

    Raises
    ------
    EncodeError, DecodeError
        If the codec cannot encode vectors of that dimension.
    """
    x = ball(dim, draws, seed)
    q, data = np.empty_like(x), list[bytes]()
    for i, row in enumerate(x):
        key = shared_key(seed, 0, i, 0)
        data.append(codec.encode_keyed(row, key).data)
        q[i] = codec.decode(data[-1], dim, key)
    norm = float(np.square(x).sum())
    # Each float stands for the real numbers that round to it: no code is more accurate than floats.
    grain = float(np.square(np.spacing(x)).sum()) / 12
    energy = float(np.square(q).sum())
    best = float((q * x).sum()) / energy if energy else 0.0
    error, scaled = (float(np.square(c * q - x).sum()) for c in (1.0, best))
    payload_bit = 8.0 * sum(map(len, data)) / draws
    promise, least_bit = _promise(codec, dim)
    most_bytes = codec.max_size_bytes(dim)
    return Measured(
        dim,
        payload_bit,
        (error + grain) / norm,
        (min(scaled, error) + grain) / norm,
        payload_bit / 8 * byte_entropy(data),
        promise,
        None if most_bytes is None else 8.0 * most_bytes,
        least_bit,
    )


def settings(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield a compressor's settings, as YAML keys and as built: its `examples`, then its `sweep`, each once."""
    cls: Any = registry.get("compressor", name)
    seen = []
    for keys in (*getattr(cls, "examples", ()), *getattr(cls, "sweep", ())):
        codec = registry.build("compressor", {"name": name, **keys})
        if codec not in seen:
            seen.append(codec)
            yield dict(keys), codec


def _promise(codec: Codec, dim: int) -> tuple[float | None, float]:
    """Return the stated worst case, and the least bits of any code that keeps it."""
    delta, w = codec.contraction(dim), codec.variance_bound(dim)
    if delta is not None:
        return 1 - delta, 0.0 if delta == 1 else covering_bit(1 - delta, dim)
    if w is not None:
        # A mean over the code's draws: the covering argument needs every draw, the average one does not.
        error = w / (1 + w) if codec.is_unbiased else w
        return error, average_bit(error, dim) if error > 0 else 0.0
    return None, 0.0
