"""LoRa: slow frames over kilometres, seldom because of the duty cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any, ClassVar

import numpy as np

from channels.energy.sx1276 import Sx1276
from channels.media.aloha import Air
from channels.media.radio_books import RadioPolicy
from channels.media.wires.frames import Datagrams
from channels.policies.sleep_when_idle import SleepWhenIdle
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeInt, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import NS_PER_S

MAX_FRAME_BYTES = 255


@component("channel")
@dataclass(frozen=True)
class Lora:
    """Frames of a LoRa modem, each as soon as the duty cycle lets its sender; nobody listens before.

    A message of M bytes is ceil(M / payload_bytes) frames of PL = overhead_bytes + payload bytes. A frame lasts
    (preamble_symbols + 4.25 + 8 + max(ceil((8 PL - 4 SF + 28 + 16 CRC - 20 IH) / (4 (SF - 2 DE))) (CR + 4), 0)) symbols
    of 2^SF / BW, and then its sender is silent for 1 / duty_cycle - 1 times that. DE, the low data rate optimisation,
    is on where a symbol lasts 16 ms or more. A message to several nodes is sent once; there is no acknowledgement.

    Parameters
    ----------
    spreading_factor
        SF, 7 .. 12.
    bandwidth_hz
        BW; 125, 250 and 500 kHz are usual.
    coding_rate
        CR, 1 .. 4 for 4/5 .. 4/8.
    preamble_symbols
        Programmed ones, to which the modem adds 4.25.
    crc, implicit_header
        Whether frames end in a check sequence, and whether they go without a header.
    payload_bytes, overhead_bytes
        Of a message in a frame, and beside it; 51 is what LoRaWAN allows at SF12 in Europe, and 13 its headers.
        Together at most 255.
    duty_cycle
        Share of the time in which a node may send, on average after each frame: 0.01 in Europe's bands.
    collisions
        Whether frames of two senders that overlap in time are both lost (ALOHA), and with one frame its message.
    radio
        Power of every node's radio.
    radio_policy
        ``sleep_when_idle``: who sends and who receives wakes before every frame; a message begins when its sender is
        awake. ``always_on``: all listen. The server listens in any case. There is no ``duty_cycle`` of listening.

    Notes
    -----
    Scope and limits: one frequency and one spreading factor, no capture, no loss by distance, no windows for reception,
    no propagation delay (10 km are 33 us). Nodes know when a frame is for them.
    Who sends hears nothing. A message ends, lost or not, with its last frame.

    Validation: airtimes against those of Semtech's calculator; ALOHA's loss against 1 - exp(-2 G).

    References
    ----------
    Semtech, AN1200.13, "LoRa modem designer's guide", 2013. ETSI EN 300 220. N. Abramson, "The ALOHA system", 1970.

    Examples
    --------
    >>> Lora().airtime_ns(51 + 13)
    118016000
    >>> Lora(spreading_factor=12).airtime_ns(51 + 13)
    2793472000
    """

    is_radio: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"spreading_factor": 12, "duty_cycle": 0.1, "payload_bytes": 40},
        {"spreading_factor": 9, "bandwidth_hz": 500e3, "coding_rate": 3, "duty_cycle": 1.0, "collisions": True,
         "implicit_header": True, "crc": False, "preamble_symbols": 10},
        {"radio_policy": {"name": "sleep_when_idle", "wake_s": 5e-3, "wake_j": 1e-4}, "duty_cycle": 0.5},
        {"radio_policy": "always_on", "collisions": True},
    )  # fmt: skip
    frames: ClassVar[type[Datagrams]] = Datagrams

    spreading_factor: Annotated[int, Range(ge=7, le=12)] = 7
    bandwidth_hz: Annotated[float, Range(ge=7.8e3, le=1.6e6)] = 125e3
    coding_rate: Annotated[int, Range(ge=1, le=4)] = 1
    preamble_symbols: Annotated[int, Range(ge=6, le=65535)] = 8
    crc: bool = True
    implicit_header: bool = False
    payload_bytes: Annotated[int, Range(ge=1, le=MAX_FRAME_BYTES)] = 51
    overhead_bytes: NonNegativeInt = 13
    duty_cycle: Annotated[float, Range(gt=0, le=1)] = 0.01
    collisions: bool = False
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Sx1276)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=SleepWhenIdle)

    def __post_init__(self) -> None:
        if self.radio_policy.next_change_ns(0) is not None:
            allowed = "always_on or sleep_when_idle; windows in which nodes listen are not modelled"
            raise ConfigError([Fault(("radio_policy",), allowed, getattr(self.radio_policy, "name", "another"))])
        if self.payload_bytes + self.overhead_bytes > MAX_FRAME_BYTES:
            allowed = f"payload_bytes + overhead_bytes is at most {MAX_FRAME_BYTES}"
            raise ConfigError([Fault(("payload_bytes",), allowed, f"{self.payload_bytes} + {self.overhead_bytes}")])

    @property
    def reliable_delivery(self) -> bool:
        """False where frames collide."""
        return not self.collisions

    def airtime_ns(self, frame_bytes: int) -> int:
        """Return the nanoseconds of a frame with this PL, half up."""
        sf, symbol_s = self.spreading_factor, 2**self.spreading_factor / Fraction(self.bandwidth_hz)
        low_rate = symbol_s >= Fraction(16, 1000)
        bits = 8 * frame_bytes - 4 * sf + 28 + 16 * self.crc - 20 * self.implicit_header
        payload = 8 + max(-(-bits // (4 * (sf - 2 * low_rate))) * (self.coding_rate + 4), 0)
        return int((payload + self.preamble_symbols + Fraction(17, 4)) * symbol_s * NS_PER_S + Fraction(1, 2))

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; draws nothing from `rng`."""
        full = self.payload_bytes + self.overhead_bytes
        airtime_ns = [self.airtime_ns(size) for size in range(full + 1)]
        pause_ns = [max(airtime, int(airtime / self.duty_cycle + 0.5)) for airtime in airtime_ns]
        return Air(
            nodes, self.payload_bytes, airtime_ns, pause_ns, self.collisions, self.radio, self.radio_policy, frames
        )  # fmt: skip
