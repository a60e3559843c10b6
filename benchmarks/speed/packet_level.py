"""Links packet by packet in simpy: the slow twins that closed forms and kernels are compared with.

Every function takes and gives integer nanoseconds. They make about the fewest events that a packet-level simulation can
make, and know nothing of energy or lost nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import simpy

NS_PER_S = 10**9
PAYLOAD_MAX_BYTES, OVERHEAD_BYTES, LEAST_BYTES = 1472, 66, 84  # of a UDP datagram over Ethernet, gap included

Process = Generator[Any, Any, None]


class PacketMessage(NamedTuple):
    """A message as its packets.

    Parameters
    ----------
    at_ns, src
        When its sender submits it, and who that is.
    wire_ns, port_ns
        What each packet takes on the sender's wire and on the port.
    """

    at_ns: int
    src: int
    wire_ns: Sequence[int]
    port_ns: Sequence[int]


def datagrams_ns(size_bytes: int, rate_bps: int) -> list[int]:
    """What each UDP datagram of a message takes on a link, rounded to a nanosecond, half up."""
    full, rest = divmod(size_bytes, PAYLOAD_MAX_BYTES)
    payloads = [PAYLOAD_MAX_BYTES] * full + ([rest] if rest else [])
    frames = [max(LEAST_BYTES, payload + OVERHEAD_BYTES) for payload in payloads]
    return [(8 * frame * NS_PER_S * 2 + rate_bps) // (2 * rate_bps) for frame in frames]


def fifo_transfer(service_ns: Sequence[int]) -> int:
    """When the last of some packets has left one FIFO link: one timeout a packet."""
    env = simpy.Environment()

    def link() -> Process:
        for packet_ns in service_ns:
            yield env.timeout(packet_ns)

    env.process(link())
    env.run()
    return int(env.now)


def shared_port(messages: Sequence[PacketMessage], delay_ns: int) -> list[int]:
    """When each message's last packet leaves a FIFO port: two timeouts a packet, one on the wire and one on the port.

    Parameters
    ----------
    messages
        In order of submission. Packets at the port are served by arrival, at equal instants by sender.
    delay_ns
        Propagation between the senders' wires and the port.
    """
    env = simpy.Environment()
    done = [0] * len(messages)
    waiting: list[tuple[int, int, int, int]] = []
    idle: list[simpy.Event] = []

    def wire(src: int) -> Process:
        for i, message in enumerate(messages):
            if message.src != src:
                continue
            # The propagation is the same for all: every wire may run late by it.
            if env.now < message.at_ns + delay_ns:
                yield env.timeout(message.at_ns + delay_ns - env.now)
            for j, packet_ns in enumerate(message.wire_ns):
                yield env.timeout(packet_ns)
                heapq.heappush(waiting, (int(env.now), src, i, j))
                if idle:
                    idle.pop().succeed()

    def port() -> Process:
        while True:
            if not waiting:
                idle.append(env.event())
                yield idle[0]
            if waiting[0][0] == env.now:
                yield env.timeout(0)  # all that arrive at this instant are here before one is chosen
            _, _, i, j = heapq.heappop(waiting)
            yield env.timeout(messages[i].port_ns[j])
            done[i] = int(env.now)

    for src in sorted({message.src for message in messages}):
        env.process(wire(src))
    env.process(port())
    env.run()
    return done


def from_port(port_ns: Sequence[int], wire_ns: Sequence[int], copies: int, delay_ns: int) -> list[int]:
    """When copies of a message, each through one FIFO port and a wire of its own, are there: two timeouts a packet.

    Parameters
    ----------
    port_ns, wire_ns
        What each packet takes on the port and on the wires. The port sends one copy after the other.
    delay_ns
        Propagation behind the wires.
    """
    env = simpy.Environment()
    done, arrived = [0] * copies, [0] * copies
    idle: dict[int, simpy.Event] = {}

    def wire(copy: int) -> Process:
        for j, packet_ns in enumerate(wire_ns):
            if arrived[copy] <= j:
                idle[copy] = env.event()
                yield idle[copy]
            yield env.timeout(packet_ns)
        done[copy] = int(env.now) + delay_ns

    def port() -> Process:
        for copy in range(copies):
            for packet_ns in port_ns:
                yield env.timeout(packet_ns)
                arrived[copy] += 1
                if copy in idle:
                    idle.pop(copy).succeed()

    for copy in range(copies):
        env.process(wire(copy))
    env.process(port())
    env.run()
    return done
