"""A local network in which the server asks one node after the other: time division multiple access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np

from channels.energy.ethernet import Ethernet
from channels.media.radio_books import RadioPolicy
from channels.media.roster import Members
from channels.media.turns import Rounds
from channels.media.wires.frames import Datagrams
from channels.policies.always_on import AlwaysOn
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, PositiveFloat, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import seconds_to_ns, serialisation_ns


@component("channel")
@dataclass(frozen=True)
class Tdma:
    """Round robin: turns go round the nodes in increasing id, the server last, and one node sends at a time.

    Who has something to send in its turn takes one slot: `overhead_bytes`, then up to c = floor((slot_s - guard_s)
    rate_bps / 8) - overhead_bytes bytes of its oldest message, then the guard. A message of M bytes takes ceil(M / c)
    slots of its node and is there when the last of its bytes is. Who has nothing is passed over in `poll_s`, and a slot
    ends with its bytes and the guard: with `poll_s` 0, the default, no time is lost, and nodes that send nu_m bits
    without overhead need sum_m nu_m / r, as in the LENA paper. With ``poll_s: null`` every turn is as long as a slot,
    used or not, which is a fixed schedule. A message to several nodes is sent once.

    Parameters
    ----------
    rate_bps
        While a node sends.
    slot_s, guard_s
        The longest slot, and how much of it stays free at its end.
    overhead_bytes
        Preamble, headers and the server's call in each slot.
    poll_s
        Time to pass over a node that has nothing; null: as long as a slot.
    power
        Of a node's one interface.
    radio_policy
        ``always_on``: an interface is ``idle`` where no bytes are from or for it. ``sleep_when_idle``: it sleeps, and
        knows its slots. Whoever sends or receives in a slot wakes `wake_s` before it begins, in state ``idle``, for
        `wake_j`; where its last slot ended less than `wake_s` before, it stays awake instead, at the power of ``idle``.
        A message is known when it is submitted, so it may use slots that begin `wake_s` later: one that has to wait for
        its turn that long is not delayed. Turns are the schedule, so there is no ``duty_cycle``.

    Notes
    -----
    Scope and limits: one collision domain, no loss, no propagation delay, no acknowledgements, clocks agree. A slot
    holds bytes of one message only. A message may use a slot that begins at the very instant at which it is submitted,
    or for which its nodes can be awake. Where a node goes down and a slot would now come before its nodes can be
    awake, all who wait wake anew. An interface is ``tx`` or ``rx`` while bytes from or for it are on the medium. A
    message's joules are its sender's, waking and staying awake before its slots included. Costs in seconds of a lone
    message are means over the instant of the round at which it comes.

    Validation: closed forms; nothing measured. With ``poll_s: null`` node i of N finishes its slot k at ((k - 1) N + i)
    slot_s, a slot's bytes later, and N nodes with k slots each need N k slots.

    References
    ----------
    H. S. Ghadikolaei, S. Stich, M. Jaggi, "LENA: communication-efficient distributed learning with self-triggered
    gradient uploads", AISTATS 2021, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> nodes = [Node(0), Node(1, is_server=True)]
    >>> medium = Tdma(rate_bps=1e6, slot_s=0.01, overhead_bytes=50).open(nodes, np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 3000)
    0
    >>> medium.next_event_ns(), float(medium.cost("packet", 0, 1)(8 * 3000))
    (25200000, 3.0)
    """

    is_radio: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rate_bps": 1e6},
        {"rate_bps": 250e3, "slot_s": 0.01, "guard_s": 0.001, "overhead_bytes": 17, "poll_s": None},
        {"rate_bps": 10e6, "slot_s": 0.001, "guard_s": 1e-5, "overhead_bytes": 20, "poll_s": 1e-4,
         "power": {"name": "ethernet", "idle_w": 0.05}},
        {"rate_bps": 250e3, "slot_s": 0.01, "power": "cc2420", "radio_policy": "sleep_when_idle"},
        {"rate_bps": 250e3, "slot_s": 0.01, "guard_s": 0.001, "overhead_bytes": 17, "poll_s": None, "power": "cc2420",
         "radio_policy": {"name": "sleep_when_idle", "wake_s": 3e-3, "wake_j": 2e-5}},
        {"rate_bps": 1e6, "slot_s": 0.004, "guard_s": 2e-4, "poll_s": 1e-4, "power": "cc2420",
         "radio_policy": {"name": "sleep_when_idle", "wake_s": 1e-3}},
    )  # fmt: skip
    frames: ClassVar[type[Datagrams]] = Datagrams
    reliable_delivery: ClassVar[bool] = True
    has_slots: ClassVar[bool] = True

    rate_bps: Annotated[float, Range(gt=0, le=1e12)]
    slot_s: PositiveFloat = 0.01
    guard_s: NonNegativeFloat = 0.0
    overhead_bytes: NonNegativeInt = 0
    poll_s: NonNegativeFloat | None = 0.0
    power: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Ethernet)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=AlwaysOn)

    def __post_init__(self) -> None:
        faults = []
        if self.guard_s >= self.slot_s:
            faults.append(Fault(("guard_s",), f"a time shorter than the slot, {self.slot_s:g} s", f"{self.guard_s:g}"))
        elif self.slot_bytes < 1:
            allowed = f"a slot that holds {self.overhead_bytes} bytes of overhead and at least one of a message"
            got = f"{self.slot_s:g} s, which holds {self.slot_bytes + self.overhead_bytes} at {self.rate_bps:g} bit/s"
            faults.append(Fault(("slot_s",), allowed, got))
        elif serialisation_ns(1, self.rate_bps) < 1:
            faults.append(Fault(("rate_bps",), "a rate at which a byte takes a nanosecond", f"{self.rate_bps:g}"))
        policy = self.radio_policy
        if policy.next_change_ns(0) is not None:
            allowed = "always_on or sleep_when_idle: turns are the schedule"
            faults.append(Fault(("radio_policy",), allowed, getattr(policy, "name", "another")))
        if faults:
            raise ConfigError(faults)

    @property
    def slot_bytes(self) -> int:
        """Bytes of a message in a slot: as many as end before the guard begins, to the nanosecond."""
        room_ns = seconds_to_ns(self.slot_s) - seconds_to_ns(self.guard_s)
        size = int(room_ns * 1e-9 * self.rate_bps / 8) + 1
        while size > 0 and serialisation_ns(size, self.rate_bps) > room_ns:
            size -= 1
        return size - self.overhead_bytes

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0; draws nothing from `rng`."""
        slot_ns = seconds_to_ns(self.slot_s)
        poll_ns = slot_ns if self.poll_s is None else seconds_to_ns(self.poll_s)
        return Rounds(
            Members(nodes, self.power, frames), self.rate_bps, slot_ns, seconds_to_ns(self.guard_s), poll_ns,
            self.poll_s is None, self.slot_bytes, self.overhead_bytes, self.radio_policy,
        )  # fmt: skip
