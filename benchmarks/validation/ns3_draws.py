"""The random streams of ns-3, MRG32k3a by seed, stream and run; and a contending cell that draws from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from channels.media.lrwpan.csma.nodes import ContendingNodes, Streams
from channels.media.lrwpan.reception import LOWEST_SINR
from channels.media.roster import Members
from netsim.interfaces import FrameSink, Node

_M = (4294967087, 4294944443)
_A = (((0, 1, 0), (0, 0, 1), (-810728, 1403580, 0)), ((0, 1, 0), (0, 0, 1), (-1370589, 0, 527612)))
_STREAM, _RUN = 127, 76  # logarithms of how far streams and a stream's runs are apart
_DEVICE = 3  # streams of a device of lr-wpan: receptions, backoffs, sequence numbers

Matrix = tuple[tuple[int, ...], ...]


class Mrg32k3a:
    """A stream of ns-3's `RngStream`: uniform numbers in (0, 1).

    Parameters
    ----------
    seed
        `RngSeedManager::SetSeed`, 1 .. 4294944442.
    stream
        0 .. 2^64 - 1; those that ns-3 gives out by itself count from 0.
    run
        `RngSeedManager::SetRun`.

    References
    ----------
    P. L'Ecuyer, R. Simard, E. J. Chen, W. D. Kelton, "An object-oriented random-number package with many long streams
    and substreams", Operations Research 50(6), 2002.

    Examples
    --------
    >>> draws = Mrg32k3a(12345, 0, 0)
    >>> round(draws.uniform(), 10), round(draws.uniform(), 10)
    (0.127011122, 0.3185275654)
    """

    def __init__(self, seed: int, stream: int, run: int) -> None:
        self.state = [
            value
            for k in (0, 1)
            for value in _times(_jump(k, _RUN, run), _times(_jump(k, _STREAM, stream), (seed,) * 3, k), k)
        ]

    def uniform(self) -> float:
        """The next number."""
        s = self.state
        p1 = (1403580 * s[1] - 810728 * s[0]) % _M[0]
        p2 = (527612 * s[5] - 1370589 * s[3]) % _M[1]
        self.state = [s[1], s[2], p1, s[4], s[5], p2]
        return (p1 - p2 if p1 > p2 else p1 - p2 + _M[0]) * 2.328306549295727688e-10


def open_as_ns3(
    link: Any, nodes: Sequence[Node], run: int, seed: int = 1, first_stream: int = 0, frames: FrameSink | None = None
) -> ContendingNodes:
    """Return the medium of a link whose every event, counter and nanosecond is that of ns-3.44's lr-wpan module.

    Parameters
    ----------
    link
        An ``ieee802154`` with ``mac: csma_ca``, ``cca: ns3``, ``per: 0``, radios that are always on, and ``path_loss:
        log_distance`` that says its `noise_dbm`. ``collisions: capture`` is ns-3's error model, ``strict`` one that
        loses what is below 14.8 dB.
    nodes
        Devices were created in the order server, then the others.
    run, seed
        `RngSeedManager::SetRun` and `SetSeed`.
    first_stream
        Random variables that were created before the first device: `RngSeedManager::GetNextStreamIndex()` there.
    frames
        Gets every frame when it begins.
    """
    # A receiver of ns-3 hears what is not 5 dB below the noise.
    path_loss = replace(link.path_loss, sensitivity_dbm=link.path_loss.noise_dbm + 10 * math.log10(LOWEST_SINR))
    order = sorted(range(len(nodes)), key=lambda row: not nodes[row].is_server)
    draws, reach = ns3_draws(order, seed, run, first_stream), path_loss.reach(nodes, link.radio)
    members = Members(nodes, link.radio, frames)
    return ContendingNodes(members, link.fragmentation(), link.mac.rules(link), reach, 0, draws)


def ns3_draws(order: Sequence[int], seed: int, run: int, first_stream: int) -> Streams:
    """Return the draws of devices that were created in that order (rows of nodes), the first with `first_stream`."""
    states, numbers = np.empty((2, len(order), 6), np.int64), np.empty(len(order), np.int64)
    for k, row in enumerate(order):
        reception, backoff, number = (Mrg32k3a(seed, first_stream + _DEVICE * k + i, run) for i in range(_DEVICE))
        states[0, row], states[1, row] = backoff.state, reception.state
        numbers[row] = int(256.0 * number.uniform())
    return Streams(states.reshape(-1, 6), numbers)


@cache
def _jump(k: int, doublings: int, times: int) -> Matrix:
    """The component's matrix to the power of `times` 2^doublings."""
    out: Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    while times:
        if times & 1:
            out = _product(out, _square(k, doublings), k)
        times, doublings = times >> 1, doublings + 1
    return out


@cache
def _square(k: int, doublings: int) -> Matrix:
    if doublings == 0:
        return _A[k]
    half = _square(k, doublings - 1)
    return _product(half, half, k)


def _product(a: Matrix, b: Matrix, k: int) -> Matrix:
    columns = tuple(zip(*b, strict=True))
    return tuple(tuple(sum(x * y for x, y in zip(row, c, strict=True)) % _M[k] for c in columns) for row in a)


def _times(a: Matrix, v: Sequence[int], k: int) -> tuple[int, ...]:
    return tuple(sum(x * y for x, y in zip(row, v, strict=True)) % _M[k] for row in a)
