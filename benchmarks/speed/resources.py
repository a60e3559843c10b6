"""Links packet by packet as SimPy's own documentation would write them: a Resource a link, a process a packet.

The same nanoseconds as in `packet_level`, which makes the fewest events instead.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from benchmarks.speed.packet_level import PacketMessage

Process = Generator[Any, Any, None]


def _cross(env: simpy.Environment, link: simpy.Resource, packet_ns: int) -> Process:
    with link.request() as turn:
        yield turn
        yield env.timeout(packet_ns)


def shared_port(messages: Sequence[PacketMessage], delay_ns: int) -> list[int]:
    """When each message's last packet leaves the port; arguments as in `packet_level.shared_port`."""
    env = simpy.Environment()
    port = simpy.Resource(env)
    wires = {message.src: simpy.Resource(env) for message in messages}
    done = [0] * len(messages)

    def packet(i: int, message: PacketMessage, j: int) -> Process:
        yield env.timeout(message.at_ns)
        yield from _cross(env, wires[message.src], message.wire_ns[j])
        yield env.timeout(delay_ns)
        yield from _cross(env, port, message.port_ns[j])
        done[i] = int(env.now)

    for i, message in enumerate(messages):
        for j in range(len(message.wire_ns)):
            env.process(packet(i, message, j))
    env.run()
    return done


def from_port(port_ns: Sequence[int], wire_ns: Sequence[int], copies: int, delay_ns: int) -> list[int]:
    """When copies of a message are there; arguments as in `packet_level.from_port`."""
    env = simpy.Environment()
    port = simpy.Resource(env)
    wires = [simpy.Resource(env) for _ in range(copies)]
    done = [0] * copies

    def packet(copy: int, j: int) -> Process:
        yield from _cross(env, port, port_ns[j])
        yield from _cross(env, wires[copy], wire_ns[j])
        yield env.timeout(delay_ns)
        done[copy] = int(env.now)

    for copy in range(copies):
        for j in range(len(port_ns)):
            env.process(packet(copy, j))
    env.run()
    return done
