"""Random numbers: named streams, and counter-based draws that depend on no order of events."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Key

_MASK = np.uint64(0xFFFFFFFF)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_SHARED = zlib.crc32(b"shared")


def stream(seed: int, replication: int, node: int, purpose: str) -> np.random.Generator:
    """Return the random stream of one purpose at one node.

    Streams differ in any of the four arguments and are independent of who asks first: changing
    the compressor never changes which samples a worker draws.

    Parameters
    ----------
    seed, replication, node
        Non-negative integers; `node` may be -1 for what belongs to no node.
    purpose
        ``"data"``, ``"compressor"``, ``"compute"``, ``"channel"`` or a name of your own.

    Examples
    --------
    >>> a, b = stream(7, 0, 3, "data"), stream(7, 0, 3, "data")
    >>> bool((a.integers(9, size=5) == b.integers(9, size=5)).all())
    True
    """
    key = (replication, node + 1, zlib.crc32(purpose.encode()))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def shared_key(seed: int, replication: int, round: int, sender: int) -> Key:
    """Return the key of one message's draws, which sender and receivers compute alike: it is not sent.

    Two words of a seed sequence over all four names, so that keys of different messages are as good as independent of
    each other and of every `stream`.

    Parameters
    ----------
    seed, replication, round
        Non-negative integers.
    sender
        The id of the node that encodes.

    Examples
    --------
    >>> shared_key(7, 0, 3, 1) == shared_key(7, 0, 3, 1), shared_key(7, 0, 3, 1) == shared_key(7, 0, 1, 3)
    (True, False)
    """
    names = (replication, sender + 1, _SHARED, round)
    key, counter = np.random.SeedSequence(seed, spawn_key=names).generate_state(2, np.uint64)
    return Key(int(key), int(counter))


def philox(key: int, counter_high: int, counter_low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Return four 32-bit words for each counter, by Philox4x32-10.

    Parameters
    ----------
    key
        64-bit key.
    counter_high
        Upper 64 bits of the counter.
    counter_low
        Lower 64 bits, shape (n,): a coordinate, frame or draw index.

    Returns
    -------
    Words of shape (n, 4).

    References
    ----------
    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> [f"{word:08x}" for word in philox(0, 0, np.zeros(1, np.uint64))[0]]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    low = np.asarray(counter_low, np.uint64)
    c0, c1 = low & _MASK, low >> np.uint64(32)
    c2 = np.full_like(low, counter_high & 0xFFFFFFFF)
    c3 = np.full_like(low, counter_high >> 32)
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _MASK, p0 & _MASK
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def uniforms(key: int, counter_high: int, counter_low: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return one uniform in [0, 1) for each counter, of 32 bits: word 0 of `philox` times 2**-32."""
    return philox(key, counter_high, counter_low)[:, 0].astype(np.float64) * 2.0**-32
