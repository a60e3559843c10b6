"""Analog transmission on one frequency: what several nodes send at one time arrives as the sum of their amplitudes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels.energy.wifi import Wifi
from channels.media.roster import Members
from channels.media.superposed import Superposed, Uses
from channels.media.wires.frames import Datagrams
from channels.policies.always_on import AlwaysOn
from netsim.fields import NonNegativeFloat, PositiveFloat, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component


@component("channel")
@dataclass(frozen=True)
class OverTheAir:
    """A number travels as the amplitude of one channel use; senders that overlap add up at every receiver.

    A message of n bytes takes ceil(n / sample_bytes) channel uses of 1 / bandwidth_hz each: one for every number of the
    payload, and those of the header, which stand for the preamble by which receivers estimate gains. So a vector of d
    floats takes d / bandwidth_hz beside the preamble, however many nodes send it at the same time. A byte of a payload
    is no bit on the air here: sample_bytes of them say which amplitude is sent.

    What a receiver gets of a round's senders is y = sum_m h_m s_m + z, s_m being the amplitudes, h_m the gain of node m
    in that round and z normal with variance noise_w in each use. The algorithm asks for h, z and the power limit
    (`netsim.interfaces.Superposes`) and does the arithmetic; algorithms that do not ask find a link that delivers
    every message exactly, which no analog link does.

    Parameters
    ----------
    bandwidth_hz
        Channel uses a second, each with one real number.
    sample_bytes
        Bytes of a payload for one use: those of its floats.
    noise_w
        Variance of the receiver's noise in one use, in squared amplitudes.
    fading
        ``rayleigh``: |h| is drawn for each node and round, with mean square 1. ``none``: h = 1.
    power_limit_w
        The largest mean squared amplitude over the uses of a message; None: no limit.
    radio
        Power of every node's radio, which listens while it does not send or receive. What a message costs its sender is
        its airtime at the power of ``tx``, whatever its amplitudes.

    Notes
    -----
    Scope and limits: nodes are in step to a sample, know their own |h| (and phase) without error, and one gain holds
    for a message. A sum is one superposition only where its senders begin at one instant, as they do behind a broadcast
    where all compute as long; where they do not, time and energy are those of messages that overlap in part, and the
    noise is counted once all the same. Nobody hears whether the air is free, and who sends can be sent to.

    Validation: closed forms; nothing measured. With noise_w 0, no fading and no limit a sum is the sum of the messages,
    bit for bit.

    References
    ----------
    B. Nazer, M. Gastpar, "Computation over multiple-access channels", IEEE TIT 2007. M. M. Amiri, D. Gunduz, "Machine
    learning at the wireless edge: distributed stochastic gradient descent over-the-air", IEEE TSP 2020. G. Zhu, Y.
    Wang, K. Huang, "Broadband analog aggregation for low-latency federated edge learning", IEEE TWC 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> nodes = [Node(0), Node(1), Node(2, is_server=True)]
    >>> medium = OverTheAir(bandwidth_hz=1e6).open(nodes, np.random.default_rng(0))
    >>> medium.submit(0, 0, (2,), 8 + 4 * 1000), medium.submit(0, 1, (2,), 8 + 4 * 1000)
    (0, 1)
    >>> [delivery.at_ns for delivery in medium.advance(10_000_000)]
    [1002000, 1002000]
    """

    is_radio: ClassVar[bool] = True
    reliable_delivery: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"bandwidth_hz": 1e6},
        {"bandwidth_hz": 2e5, "noise_w": 0.01, "fading": "rayleigh", "power_limit_w": 1.0, "radio": "cc2420"},
    )
    frames: ClassVar[type[Datagrams]] = Datagrams

    bandwidth_hz: Annotated[float, Range(gt=0, le=1e9)]
    sample_bytes: Literal[4, 8] = 4
    noise_w: NonNegativeFloat = 0.0
    fading: Literal["none", "rayleigh"] = "none"
    power_limit_w: PositiveFloat | None = None
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Wifi)

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; its draws hang on one number of `rng`."""
        key = int(rng.integers(1 << 64, dtype=np.uint64)) if self.noise_w or self.fading != "none" else 0
        members, uses = Members(nodes, self.radio, frames), Uses(self.sample_bytes, self.bandwidth_hz)
        fades = self.fading == "rayleigh"
        return Superposed(members, uses, AlwaysOn(), key, self.noise_w, fades, self.power_limit_w)
