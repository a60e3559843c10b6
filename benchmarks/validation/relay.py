"""A bottleneck, a delay and losses between network namespaces, made by a process that hands on IP packets.

Each node is a network namespace with a TUN device, the server's having address 1 and worker i address i + 2. What a
namespace sends is read here, crosses two queues (of the worker's link and of the server's port), waits for the
propagation, and is written into the device of its destination. Queues count in the packets' own times, so a packet
that is handed on late delays no other. Linux's ``tc`` with netem does the same where the kernel has it.

``python -m benchmarks.validation.relay LINK`` with the devices' descriptors is started by `Relay`.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

MTU_BYTES = 1500
LATE_NS = 1_000_000
PRIORITY = 20  # of SCHED_FIFO
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_TUN, _PROC = Path("/dev/net/tun"), Path("/proc/thread-self")


@dataclass(frozen=True)
class Link:
    """What the relay does with packets.

    Parameters
    ----------
    rate_bps, server_bps
        Of each worker's link and of the server's port, in each direction.
    one_way_s
        Propagation.
    loss
        Probability that a packet, of whatever kind, is lost behind the queues.
    overhead_bytes
        Of a packet on the wire, beside the IP packet.
    seed
        Of the losses.
    """

    rate_bps: float
    server_bps: float
    one_way_s: float
    loss: float = 0.0
    overhead_bytes: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Record:
    """What the relay did.

    Parameters
    ----------
    packets, lost
        How many it handed on, and how many it lost.
    late
        Those that it handed on more than a millisecond after their time.
    latest_ns
        The largest delay of one beyond its time.
    """

    packets: int = 0
    lost: int = 0
    late: int = 0
    latest_ns: int = 0


def address(node: int) -> str:
    """Return the IPv4 address of a node; 0 is the server."""
    return f"10.77.0.{node + 1}"


def missing() -> str:
    """Return what this machine lacks for a measurement; nothing where it lacks nothing."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces and TUN devices need root"
    if not _TUN.exists():
        return "there is no /dev/net/tun"
    try:
        subprocess.run(["ip", "-V"], check=True, capture_output=True)
        with in_namespaces(1, {}) as (devices, _):
            os.close(devices[0])
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no namespace with a TUN device can be made here ({error})"
    return ""


def _in_namespace(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def in_namespaces(nodes: int, settings: dict[str, str]) -> Iterator[tuple[list[int], list[int]]]:
    """Make a namespace with a TUN device for each node; they end with the last descriptor and socket.

    Parameters
    ----------
    nodes
        How many, the server counted.
    settings
        Below ``/proc/sys/net/ipv4``.

    Yields
    ------
    Descriptors of the devices and of the namespaces. Where the block ends this thread is in its own namespace again.
    """
    home = os.open(_PROC / "ns/net", os.O_RDONLY)
    devices, spaces = list[int](), list[int]()
    try:
        for node in range(nodes):
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            spaces.append(os.open(_PROC / "ns/net", os.O_RDONLY))
            device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
            devices.append(device)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"link0", _IFF_TUN | _IFF_NO_PI))
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1", encoding="utf-8")
            for words in (
                f"addr add {address(node)}/24 dev link0",
                f"link set link0 mtu {MTU_BYTES} txqueuelen 10000 up",
            ):
                subprocess.run(["ip", *words.split()], check=True, capture_output=True)
            for key, value in settings.items():
                Path("/proc/sys/net/ipv4", key).write_text(value, encoding="utf-8")
        yield devices, spaces
    finally:
        _in_namespace(home)
        for descriptor in (home, *spaces):
            os.close(descriptor)


@contextmanager
def inside(space: int) -> Iterator[None]:
    """Let this thread be in a namespace; sockets that it makes there stay there."""
    home = os.open(_PROC / "ns/net", os.O_RDONLY)
    try:
        _in_namespace(space)
        yield
    finally:
        _in_namespace(home)
        os.close(home)


def counters(space: int, names: Sequence[str]) -> dict[str, int]:
    """Return counters of a namespace's TCP, by their names in ``/proc/net/netstat`` and ``snmp``."""
    with inside(space):
        text = "".join((_PROC / "net" / name).read_text(encoding="utf-8") for name in ("netstat", "snmp"))
    found = dict[str, int]()
    lines = text.splitlines()
    for heads, values in zip(lines[::2], lines[1::2], strict=True):
        found |= dict(zip(heads.split()[1:], map(int, values.split()[1:]), strict=True))
    return {name: found[name] for name in names}


def hurry() -> None:
    """Let this thread run before all that is not as urgent."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))


def dawdle() -> None:
    """Let this thread run as others do."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Relay:
    """The relay in a process of its own.

    Parameters
    ----------
    devices
        Descriptors of TUN devices, the server's first.
    link
        What it does with their packets.
    """

    def __init__(self, devices: Sequence[int], link: Link) -> None:
        command = [sys.executable, "-m", "benchmarks.validation.relay", json.dumps(asdict(link)), *map(str, devices)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=devices)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it is ready

    def stop(self) -> Record:
        """End it, and return what it did."""
        out, _ = self._process.communicate()
        return Record(**json.loads(out))


class Queues:
    """The queues of a star: what is in them, when it leaves, and what is lost.

    Parameters
    ----------
    link
        Their rates, the propagation and the losses.
    nodes
        How many, node 0 being the server.

    Examples
    --------
    Two packets of 1000 bytes on the wire, the second one behind the first, at 1 Mbit/s and 8 Mbit/s:

    >>> queues = Queues(Link(rate_bps=8e6, server_bps=1e6, one_way_s=0.01, overhead_bytes=0), 3)
    >>> queues.enter(0, 1, 0, bytes(1000)), queues.enter(0, 2, 0, bytes(1000))
    (None, None)
    >>> [(at_ns, node) for at_ns, node, packet in queues.leave(10**9)]
    [(19000000, 0), (27000000, 0)]
    """

    def __init__(self, link: Link, nodes: int) -> None:
        self._link, self._random = link, random.Random(link.seed)
        self._delay_ns = round(link.one_way_s * 1e9)
        # Of each queue, by direction and node: when it is empty.
        self._free_ns = {(way, node): 0 for way in ("up", "down") for node in range(nodes)}
        self._events = list[tuple[int, int, int, int, bytes]]()
        self._serial = self.lost = 0

    def enter(self, at_ns: int, src: int, dst: int, packet: bytes) -> None:
        """Take a packet of `src`."""
        self._push(at_ns, src, dst, packet)

    def _push(self, at_ns: int, here: int, dst: int, packet: bytes) -> None:
        self._serial += 1
        heapq.heappush(self._events, (at_ns, self._serial, here, dst, packet))

    @property
    def next_ns(self) -> int | None:
        """When something happens next."""
        return self._events[0][0] if self._events else None

    def leave(self, now_ns: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield when, where and what comes out until `now_ns`.

        An event is a packet's coming to its sender's queue (`here` is the sender), to the receiver's (-1) or out (-2).
        """
        while self._events and self._events[0][0] <= now_ns:
            at_ns, _, here, dst, packet = heapq.heappop(self._events)
            if here >= 0:
                self._push(self._through(at_ns, ("up", here), packet), -1, dst, packet)
            elif here == -1:
                left_ns = self._through(at_ns, ("down", dst), packet)
                if self._random.random() < self._link.loss:
                    self.lost += 1
                else:
                    self._push(left_ns + self._delay_ns, -2, dst, packet)
            else:
                yield at_ns, dst, packet

    def _through(self, at_ns: int, queue: tuple[str, int], packet: bytes) -> int:
        rate_bps = self._link.rate_bps if queue[1] else self._link.server_bps
        lasts_ns = round(8e9 * (len(packet) + self._link.overhead_bytes) / rate_bps)
        self._free_ns[queue] = max(at_ns, self._free_ns[queue]) + lasts_ns
        return self._free_ns[queue]


def run(link: Link, devices: Sequence[int]) -> Record:
    """Hand packets on until standard input ends."""
    queues, stop = Queues(link, len(devices)), sys.stdin.fileno()
    node_of = {device: node for node, device in enumerate(devices)}
    packets = late = latest_ns = 0
    while True:
        next_ns = queues.next_ns
        timeout_s = None if next_ns is None else max(0.0, (next_ns - time.monotonic_ns()) / 1e9)
        ready, _, _ = select.select([*devices, stop], [], [], timeout_s)
        if stop in ready:
            return Record(packets, queues.lost, late, latest_ns)
        for device in ready:
            while True:
                try:
                    packet = os.read(device, MTU_BYTES)
                except BlockingIOError:
                    break
                if packet[0] >> 4 == 4 and 0 <= (dst := packet[19] - 1) < len(devices):
                    queues.enter(time.monotonic_ns(), node_of[device], dst, packet)
        for at_ns, dst, packet in queues.leave(time.monotonic_ns()):
            os.write(devices[dst], packet)
            after_ns = time.monotonic_ns() - at_ns
            packets, late, latest_ns = packets + 1, late + (after_ns > LATE_NS), max(latest_ns, after_ns)


def main() -> int:
    """Run as the process of `Relay`."""
    gc.disable()
    hurry()
    print("ready", flush=True)
    record = run(Link(**json.loads(sys.argv[1])), [int(word) for word in sys.argv[2:]])
    print(json.dumps(asdict(record)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
