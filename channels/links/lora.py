"""LoRa: slow frames over kilometres, seldom because of the duty cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np

from channels.energy.sx1276 import Sx1276
from channels.media.aloha import Air
from channels.media.confirmed import ConfirmedAir
from channels.media.radio_books import RadioPolicy
from channels.media.roster import Members
from channels.media.wires.frames import Datagrams
from channels.policies.sleep_when_idle import SleepWhenIdle
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeInt, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import NS_PER_S, seconds_to_ns

MAX_FRAME_BYTES = 255
# What LoRaWAN lets a frame carry by spreading factor, in the bands of Europe at 125 kHz (RP002, EU863-870, column N).
EUROPE_HZ = 125e3
LIMIT_BYTES = {7: 222, 8: 222, 9: 115, 10: 51, 11: 51, 12: 51}


@component("channel")
@dataclass(frozen=True)
class Lora:
    """Frames of a LoRa modem, each as soon as the duty cycle lets its sender; nobody listens before.

    A message of M bytes is ceil(M / payload_bytes) frames of PL = overhead_bytes + payload bytes. A frame lasts
    (preamble_symbols + 4.25 + 8 + max(ceil((8 PL - 4 SF + 28 + 16 CRC - 20 IH) / (4 (SF - 2 DE))) (CR + 4), 0)) symbols
    of 2^SF / BW, and then its sender is silent for 1 / duty_cycle - 1 times that. DE, the low data rate optimisation,
    is on where a symbol lasts 16 ms or more. A message to several nodes is sent once. Frames of two senders that
    overlap in time are lost (ALOHA), and without `acknowledged` with one frame its message. Nodes that send hear
    nothing.

    With `acknowledged` a node confirms each frame of its messages to a server before it sends the next, as LoRaWAN's
    class A does: a gateway that got a frame answers 1 s after its end with a frame of overhead_bytes at the same rate
    (RX1), again if it had the frame before. The gateway does not answer while it sends, is about to send, or has to be
    silent by its duty cycle; answers are on the air like any frame, and while it sends one it hears nothing. A sender
    without an answer waits until the duty cycle lets it and then for 1 to 3 s, drawn uniformly (ACK_TIMEOUT), and sends
    the frame again. Delays and timeout are recalled from LoRaWAN.

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
        Of a message in a frame, and beside it; 13 are LoRaWAN's headers. Together at most 255, and of the message at
        most what LoRaWAN allows in Europe at 125 kHz: 222 bytes with SF 7 and 8, 115 with SF 9, 51 from SF 10 on.
    duty_cycle
        Share of the time in which a node may send, on average after each frame: 0.01 in Europe's bands.
    collisions
        Whether frames that overlap are lost; false: none is, and nodes hear while they send.
    start_window_s
        A node's message begins up to this later, drawn uniformly, as nodes that answer a gateway at one instant would
        all collide; the server's begins at once.
    capture_db
        A frame is heard all the same where it is this much stronger at the receiver than each that overlaps with it
        there, as LoRa's are from about 6 dB on; None: never.
    shadowing_db
        Standard deviation of a message's power at a receiver, in dB: all have the same mean. 0: all are equally strong,
        so that none captures.
    acknowledged
        Whether messages of a node to a server alone are confirmed; all others go without acknowledgement.
    max_transmissions
        Of one confirmed frame (LoRaWAN's NbTrans, 1 .. 15): its message is given up after so many without an answer.
    radio
        Power of every node's radio.
    radio_policy
        ``sleep_when_idle``: who sends and who receives wakes before every frame; a message begins when its sender is
        awake. ``always_on``: all listen. The server listens in any case. There is no ``duty_cycle`` of listening.

    Notes
    -----
    Scope and limits: one frequency and one spreading factor, no loss by distance, no propagation delay (10 km are
    33 us). Nodes know when a frame is for them; there is no window for reception but that of acknowledgements. A
    message ends, lost or not, with its last frame. Costs have half of `start_window_s` and no losses.

    A confirmed message ends at both ends when its sender's last receive window closes: arrived if all its frames were
    acknowledged, lost if one was given up, even where the gateway has it. So more are lost than without acknowledgement
    where more answers are due than the gateway's duty cycle lets it send: one in 4.6 s with the defaults. A window
    lasts as long as an acknowledgement, with or without one (a modem without one closes it earlier); a node that sleeps
    otherwise wakes for it and is ``rx``. There is no second window (RX2), no slower rate for repeats, and no message on
    the back of an acknowledgement. A real gateway does not learn that a sender gave up, and messages down can be lost
    without a word: so the channel does not say `tells_failure`.

    Validation: airtimes against those of Semtech's calculator; ALOHA's loss against 1 - exp(-2 G); capture of two
    frames that overlap against Q(capture_db / (shadowing_db sqrt 2)); acknowledged messages against a simulation frame
    by frame, and their loss between two nodes in closed form.

    References
    ----------
    Semtech, AN1200.13, "LoRa modem designer's guide", 2013. ETSI EN 300 220. N. Abramson, "The ALOHA system", 1970.
    LoRa Alliance, RP002-1.0.4, "Regional parameters", and TS001-1.0.4, "LoRaWAN L2 specification" (recalled). M. Bor,
    U. Roedig, T. Voigt, J. Alonso, "Do LoRa low-power wide-area networks scale?", MSWiM 2016 (capture).

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
        {"spreading_factor": 9, "bandwidth_hz": 500e3, "coding_rate": 3, "duty_cycle": 1.0, "start_window_s": 0.5,
         "implicit_header": True, "crc": False, "preamble_symbols": 10},
        {"radio_policy": {"name": "sleep_when_idle", "wake_s": 5e-3, "wake_j": 1e-4}, "duty_cycle": 0.5},
        {"radio_policy": "always_on", "capture_db": 6, "shadowing_db": 7.8},
        {"collisions": False, "start_window_s": 0},
        {"acknowledged": True, "start_window_s": 2.0, "duty_cycle": 0.1},
        {"acknowledged": True, "max_transmissions": 3, "payload_bytes": 200, "duty_cycle": 1.0, "capture_db": 6,
         "shadowing_db": 7.8, "radio_policy": {"name": "sleep_when_idle", "wake_s": 5e-3, "wake_j": 1e-4}},
        {"acknowledged": True, "radio_policy": "always_on", "start_window_s": 0, "duty_cycle": 0.5},
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
    collisions: bool = True
    start_window_s: Annotated[float, Range(ge=0, le=86_400)] = 10.0
    capture_db: Annotated[float, Range(gt=0, le=100)] | None = None
    shadowing_db: Annotated[float, Range(ge=0, le=50)] = 0.0
    acknowledged: bool = False
    max_transmissions: Annotated[int, Range(ge=1, le=15)] = 8
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Sx1276)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=SleepWhenIdle)

    def __post_init__(self) -> None:
        if self.radio_policy.next_change_ns(0) is not None:
            allowed = "always_on or sleep_when_idle; windows in which nodes listen are not modelled"
            raise ConfigError([Fault(("radio_policy",), allowed, getattr(self.radio_policy, "name", "another"))])
        if self.payload_bytes + self.overhead_bytes > MAX_FRAME_BYTES:
            allowed = f"payload_bytes + overhead_bytes is at most {MAX_FRAME_BYTES}"
            raise ConfigError([Fault(("payload_bytes",), allowed, f"{self.payload_bytes} + {self.overhead_bytes}")])
        limit = LIMIT_BYTES[self.spreading_factor]
        if self.bandwidth_hz == EUROPE_HZ and self.payload_bytes > limit:
            allowed = f"at most {limit} with SF {self.spreading_factor} at 125 kHz"
            raise ConfigError([Fault(("payload_bytes",), allowed, str(self.payload_bytes))])
        if (self.capture_db is not None or self.shadowing_db) and not self.collisions:
            raise ConfigError([Fault(("collisions",), "true with capture_db or shadowing_db", "False")])
        if self.acknowledged and not self.collisions:
            allowed = "false with collisions: false, where no frame is lost"
            raise ConfigError([Fault(("acknowledged",), allowed, "True")])

    @property
    def contends(self) -> bool:
        """Whether a frame may be sent again after it has arrived."""
        return self.acknowledged

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
        """Return a medium at time 0, keyed by one 64-bit draw from `rng`."""
        full = self.payload_bytes + self.overhead_bytes
        airtime_ns = [self.airtime_ns(size) for size in range(full + 1)]
        pause_ns = [max(airtime, int(airtime / self.duty_cycle + 0.5)) for airtime in airtime_ns]
        air = partial(ConfirmedAir, self.max_transmissions) if self.acknowledged else Air
        return air(
            Members(nodes, self.radio, frames), payload_bytes=self.payload_bytes, airtime_ns=airtime_ns,
            pause_ns=pause_ns, collides=self.collisions, policy=self.radio_policy,
            key=int(rng.integers(1 << 64, dtype=np.uint64)), window_ns=seconds_to_ns(self.start_window_s),
            capture_db=self.capture_db, shadowing_db=self.shadowing_db,
        )  # fmt: skip
