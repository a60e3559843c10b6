"""The server of ``netsim measure`` among peers that break it if they can, and its client in front of such a server."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from netsim import memory
from netsim.errors import ConfigError
from netsim.tools import measure
from netsim.tools.measure import Plan
from netsim.tools.measure_server import MAX_BYTES, MAX_CONNECTIONS, MAX_UNFINISHED, MAX_ZMQ_BYTES, Server
from tests.netsim.tools.test_measure import port

__all__ = ["port"]
HOST = "127.0.0.1"


def udp(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for datagram in datagrams:
            one.sendto(datagram, (HOST, port))


def from_port_0(port: int) -> None:
    """A datagram that can have no answer; needs a raw socket."""
    with suppress(PermissionError), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        body = struct.pack(">IHH", 1, 0, 1)
        raw.sendto(struct.pack(">HHHH", 0, port, 8 + len(body), 0) + body, (HOST, 0))


def half_sent(port: int) -> None:
    udp(port, *(struct.pack(">IHH", number, 0, 2) for number in range(MAX_UNFINISHED + 200)))


def many_parts(port: int) -> None:
    udp(port, *(struct.pack(">IHH", 1, index, 65535) for index in range(0, 65535, 97)))


def gone(port: int) -> None:
    for _ in range(20):
        udp(port, struct.pack(">IHH", 1, 0, 1))


def streams(count: int, data: bytes) -> Callable[[int], list[socket.socket]]:
    def make(port: int) -> list[socket.socket]:
        out = []
        for _ in range(count):
            one = socket.create_connection((HOST, port), timeout=5)
            out.append(one)
            with suppress(OSError):
                one.sendall(data)
        return out

    return make


def no_reader(port: int) -> list[socket.socket]:
    """Messages without end, whose answers nobody reads."""
    one = socket.create_connection((HOST, port), timeout=0.5)
    with suppress(OSError):
        for _ in range(20):
            one.sendall(struct.pack(">II", 1, 8) * 50_000)
    return [one]


def zmq_frames(kind: str, *frames: bytes) -> Callable[[int], list[object]]:
    def make(port: int) -> list[object]:
        zmq = pytest.importorskip("zmq")
        context = zmq.Context()
        one = context.socket(getattr(zmq, kind))
        one.setsockopt(zmq.LINGER, 0)
        one.connect(f"tcp://{HOST}:{port + 1}")
        one.send_multipart(frames)
        if kind == "REQ":
            assert one.poll(2000)
            assert one.recv() == frames[0][:8]
        else:
            time.sleep(0.2)
        context.destroy(linger=0)
        return []

    return make


def zmq_socket(kind: str, *messages: bytes, count: int = 1, identity: bytes = b"") -> Callable[[int], list[object]]:
    """Sockets of a kind that is none of ours, each sending its messages and reading nothing."""

    def make(port: int) -> list[object]:
        zmq = pytest.importorskip("zmq")
        context = zmq.Context()
        kept = [context.socket(getattr(zmq, kind)) for _ in range(count)]
        for one in kept:
            one.setsockopt(zmq.LINGER, 0)
            one.setsockopt(zmq.SNDTIMEO, 100)
            if identity:
                one.setsockopt(zmq.IDENTITY, identity)
            if kind == "SUB":
                one.setsockopt(zmq.SUBSCRIBE, b"")
            one.connect(f"tcp://{HOST}:{port + 1}")
            time.sleep(0.05)
            for message in messages:
                with suppress(zmq.ZMQError):
                    one.send(message)
        time.sleep(0.2)
        context.destroy(linger=0)
        return []

    return make


def raw_at_zmq(data: bytes, count: int = 1) -> Callable[[int], list[socket.socket]]:
    """Connections to ZMQ's port that do not speak its protocol."""

    def make(port: int) -> list[socket.socket]:
        pytest.importorskip("zmq")
        return streams(count, data)(port + 1)

    return make


def endless_message(size: int, count: int) -> Callable[[int], list[socket.socket]]:
    """One ZMQ message of frames without end, in ZMTP 3.0: what comes of it is bounded by what the server allows."""

    def make(port: int) -> list[socket.socket]:
        pytest.importorskip("zmq")
        one = socket.create_connection((HOST, port + 1), timeout=2)
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        frame = (b"\x03" + struct.pack(">Q", size) if size > 255 else bytes([1, size])) + bytes(size)
        before = most = memory.taken_bytes()
        with suppress(OSError):
            one.sendall(greeting + b"\x04" + bytes([len(ready)]) + ready)
            for _ in range(count):
                one.sendall(frame)
                most = max(most, memory.taken_bytes())
        assert most - before < MAX_ZMQ_BYTES + (256 << 20)
        return [one]

    return make


ATTACKS: dict[str, Callable[[int], object]] = {
    "port 0": from_port_0,
    "half-sent datagrams": half_sent,
    "a message in 65535 datagrams": many_parts,
    "no datagrams": lambda port: udp(port, struct.pack(">IHH", 1, 5, 0), b"", b"1234567"),
    "a sender that has gone": gone,
    "16 MiB a connection": streams(20, struct.pack(">II", 1, MAX_BYTES) + bytes(1 << 16)),
    "more connections than allowed": streams(MAX_CONNECTIONS + 40, b""),
    "one byte": streams(3, b"\x00"),
    "too short": streams(3, struct.pack(">II", 1, 7)),
    "too long": streams(3, struct.pack(">II", 1, MAX_BYTES + 1)),
    "nobody reads": no_reader,
    "three frames": zmq_frames("DEALER", b"a", b"b", b"12345678"),
    "an empty frame": zmq_frames("DEALER", b""),
    "a REQ socket": zmq_frames("REQ", b"12345678-"),
    "twenty thousand frames": zmq_frames("DEALER", *[b"12345678"] * 20_000),
    "short messages": zmq_socket("DEALER", b"", b"1", b"1234567"),
    "a PUSH socket": zmq_socket("PUSH", b"12345678"),
    "a PUB socket": zmq_socket("PUB", b"12345678"),
    "a SUB socket": zmq_socket("SUB"),
    "a ROUTER socket": zmq_socket("ROUTER", b"12345678"),
    "one identity twice": zmq_socket("DEALER", b"12345678", count=2, identity=b"x" * 255),
    "nobody reads ZMQ": zmq_socket("DEALER", *[b"12345678"] * 20_000),
    "frames of 15 MiB without end": endless_message(15 << 20, 100),
    "frames of 1 MiB without end": endless_message(1 << 20, 1500),
    "small frames without end": endless_message(200, 50_000),
    "a message above the limit": zmq_socket("DEALER", bytes(MAX_BYTES + 1)),
    "HTTP at ZMQ's port": raw_at_zmq(b"GET / HTTP/1.0\r\n\r\n"),
    "nonsense at ZMQ's port": raw_at_zmq(b"\xff" * 64),
    "half a greeting": raw_at_zmq(b"\xff\0\0\0\0\0\0\0\x01\x7f", 30),
    "silent connections at ZMQ's port": raw_at_zmq(b"", 200),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_server_goes_on(port: int, attack: Callable[[int], object]) -> None:
    protocols = ("udp", "tcp", "zmq") if measure.has_zmq() else ("udp", "tcp")
    with Server(HOST, port) as server:
        kept = attack(port)
        found = measure.run(Plan(HOST, port, protocols, (64, 4000), 2, 1))
        assert [row["lost"] for row in found] == ["0"] * 2 * len(protocols)
        assert len(server._streams) <= MAX_CONNECTIONS
        assert len(server._parts) <= MAX_UNFINISHED
        for one in kept if isinstance(kept, list) else ():
            one.close()


def test_the_limit_of_descriptors(port: int) -> None:
    """With nearly none left, the oldest connection makes room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server(HOST, port):
        clients = [socket.socket() for _ in range(40)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(one.fileno() for one in clients) + 20, hard))
        try:
            for one in clients:
                one.settimeout(5)
                one.connect((HOST, port))
            time.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in clients:
                one.close()
        (row,) = measure.run(Plan(HOST, port, ("tcp",), (64,), 2, 1))
        assert row["lost"] == "0"


@contextmanager
def flood(port: int, protocol: str) -> Iterator[None]:
    """A server that answers something else, without end."""
    over = threading.Event()
    listener = socket.create_server((HOST, port)) if protocol == "tcp" else socket.socket(type=socket.SOCK_DGRAM)
    if protocol == "udp":
        listener.bind((HOST, port))
    listener.settimeout(5)

    def answer() -> None:
        with suppress(OSError):
            if protocol == "tcp":
                one, _ = listener.accept()
                one.settimeout(1)
                with one:
                    while not over.is_set():
                        one.sendall(b"\xff" * 80)
            else:
                _, address = listener.recvfrom(65535)
                while not over.is_set():
                    listener.sendto(b"\xff" * 64, address)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_flood_does_not_outlast_the_limit(port: int, protocol: str) -> None:
    with flood(port, protocol):
        start_s = time.monotonic()
        with pytest.raises(ConfigError, match=r"were not enough|nobody answers"):
            measure.run(Plan(HOST, port, (protocol,), (64,), 50, 2, timeout_s=0.3, limit_s=1.0))
        assert time.monotonic() - start_s < 2.5


def test_a_port_that_zmq_cannot_have(port: int) -> None:
    pytest.importorskip("zmq")
    with socket.create_server((HOST, port + 1)), pytest.raises(ConfigError, match=r"cannot be used.*for ZMQ"):
        Server(HOST, port)
    with Server("localhost", port):
        (row,) = measure.run(Plan("localhost", port, ("zmq",), (64,), 2, 1))
        assert row["lost"] == "0"
