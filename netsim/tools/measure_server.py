"""The side of `netsim measure` that answers."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from netsim import memory
from netsim.errors import ConfigError

PORT = 47_100  # UDP and TCP; ZMQ has the next one
DATAGRAM_BYTES = 1472
HEAD_BYTES = 8
SOCKET_BYTES = 4 << 20

# Hard limits, whatever is asked for.
MAX_MESSAGES = 100_000
MAX_BYTES = 16 << 20
MAX_TOTAL_BYTES = 8 << 30
MAX_S = 3600.0
MAX_CONNECTIONS = 128  # of TCP; one more ends the one that was silent for longest
MAX_UNFINISHED = 1024  # messages in datagrams of which some are missing; one more ends the oldest
MAX_ZMQ_BYTES = 512 << 20  # of what ZMQ keeps for all its peers; with more they are all dropped
_LOOK_MS = 20
MAX_PARTS = -(-MAX_BYTES // DATAGRAM_BYTES)


def check_port(port: int) -> None:
    """Refuse what is no port, or has none after it."""
    if not 1 <= port <= 65534:
        raise ConfigError(f"--port: 1 to 65534, the next one being for ZMQ. Got {port}")


def _zmq() -> Any:
    try:
        import zmq
    except ImportError:
        raise ConfigError("measure: pyzmq is not installed; pip install 'netsim-learn[measure]', or leave zmq out of "
                          "--protocols") from None  # fmt: skip
    return zmq


def has_zmq() -> bool:
    """Return whether pyzmq is installed."""
    try:
        import zmq
    except ImportError:
        return False
    return hasattr(zmq, "Context")


class Server:
    """Answers every whole message with its first eight bytes; bounded in time, in messages and in memory.

    Parameters
    ----------
    bind
        An address of this host.
    port
        Of UDP and TCP; ZMQ has the next one, where pyzmq is installed.
    limit_s
        After which it ends.

    Raises
    ------
    ConfigError
        If the port is taken or the address not of this host.
    """

    def __init__(self, bind: str = "127.0.0.1", port: int = PORT, limit_s: float = MAX_S) -> None:
        check_port(port)
        if not 0.0 < limit_s <= MAX_S:
            raise ConfigError(f"--limit: a time up to {MAX_S:g} s. Got {limit_s:g} s")
        self.answered = 0
        self._stop = threading.Event()
        self._end_s = time.monotonic() + limit_s
        self._parts: dict[tuple[Any, int], int] = {}  # bit i: datagram i of a message is here; oldest first
        self._streams: dict[socket.socket, _Stream] = {}  # the one that was silent for longest first
        opened: list[socket.socket] = []
        try:
            family, _, _, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_DGRAM)[0]
            opened.append(socket.socket(family, socket.SOCK_DGRAM))
            opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
            opened[0].bind(address)
            opened.append(socket.create_server((bind, port), family=family))
            self._udp, self._tcp = opened
            self._zmq_place = int(family), str(address[0]), port + 1
            self._router: Any = _router(*self._zmq_place) if has_zmq() else None
        except OSError as error:
            for one in opened:
                one.close()
            raise ConfigError(f"measure serve: {bind}:{port} cannot be used: {error.strerror or error}") from None

    def __enter__(self) -> Server:
        self._threads = [threading.Thread(target=self.serve, daemon=True)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def serve(self) -> None:
        """Answer until the time or the messages are used up."""
        zmq_thread = threading.Thread(target=self._serve_zmq, daemon=True)
        if self._router is not None:
            zmq_thread.start()
        with selectors.DefaultSelector() as selector:
            selector.register(self._udp, selectors.EVENT_READ)
            selector.register(self._tcp, selectors.EVENT_READ)
            while not self._is_over():
                for key, _ in selector.select(0.1):
                    self._answer(selector, key.fileobj)
        for one in (self._udp, self._tcp, *self._streams):
            one.close()
        if self._router is not None:
            zmq_thread.join()

    def _is_over(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._end_s or self.answered >= 10 * MAX_MESSAGES

    def _answer(self, selector: selectors.BaseSelector, which: Any) -> None:
        if which is self._udp:
            self._answer_datagram()
        elif which is self._tcp:
            self._accept(selector)
        elif which in self._streams and not self._answer_stream(which):
            self._drop(selector, which)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        if len(self._streams) >= MAX_CONNECTIONS:
            self._drop(selector, next(iter(self._streams)))
        try:
            connection, _ = self._tcp.accept()
        except OSError:  # it has gone already, or there is no descriptor left
            if self._streams:
                self._drop(selector, next(iter(self._streams)))
            return
        connection.setblocking(False)
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._streams[connection] = _Stream()
        selector.register(connection, selectors.EVENT_READ)

    def _drop(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        selector.unregister(connection)
        del self._streams[connection]
        connection.close()

    def _answer_datagram(self) -> None:
        # Nobody can be answered at port 0, and the answer to one who has gone comes back as an error.
        with suppress(OSError):
            data, address = self._udp.recvfrom(65535)
            if len(data) < HEAD_BYTES:
                return
            number, index, count = struct.unpack_from(">IHH", data)
            if not index < count <= MAX_PARTS:
                return
            seen = self._parts.pop((address, number), 0) | 1 << index
            if seen.bit_count() < count:
                self._parts[address, number] = seen  # the newest
                if len(self._parts) > MAX_UNFINISHED:
                    del self._parts[next(iter(self._parts))]
                return
            self.answered += 1
            self._udp.sendto(data[:HEAD_BYTES], address)

    def _answer_stream(self, connection: socket.socket) -> bool:
        """Read what is there; False where the other side has gone, sends nonsense or reads no answers."""
        stream = self._streams[connection] = self._streams.pop(connection)  # the one heard last is the last to go
        try:
            data = connection.recv(1 << 18)
            for head in stream.heads(data):
                self.answered += 1
                if connection.send(head) < HEAD_BYTES:
                    return False
        except BlockingIOError:
            return not stream.is_answering  # else it does not read its answers
        except (OSError, ValueError):
            return False
        return bool(data)

    def _serve_zmq(self) -> None:
        zmq: Any = _zmq()
        allowed_bytes = memory.taken_bytes() + MAX_ZMQ_BYTES
        try:
            while not self._is_over():
                if memory.taken_bytes() > allowed_bytes:
                    # ZMQ keeps the frames of a message until its last one is there: only a new socket forgets them.
                    self._router.context.destroy(linger=0)
                    self._router = _router(*self._zmq_place)
                with suppress(zmq.ZMQError):
                    if self._router.poll(_LOOK_MS):
                        sender, *before, message = self._router.recv_multipart()
                        if not any(before):  # a REQ socket puts an empty frame in front
                            self.answered += 1
                            self._router.send_multipart([sender, *before, message[:HEAD_BYTES]], zmq.DONTWAIT)
        finally:
            self._router.context.destroy(linger=0)


def _router(family: int, address: Any, port: int) -> Any:
    """Return a ZMQ socket that listens; OSError says why it cannot."""
    zmq = _zmq()
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    for option, value in ((zmq.LINGER, 0), (zmq.MAXMSGSIZE, MAX_BYTES), (zmq.RCVHWM, 2), (zmq.SNDHWM, 64)):
        router.setsockopt(option, value)
    router.setsockopt(zmq.IPV6, int(family == socket.AF_INET6))
    try:
        router.bind(f"tcp://[{address}]:{port}" if family == socket.AF_INET6 else f"tcp://{address}:{port}")
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise OSError(error.errno, f"{error.strerror} (port {port}, for ZMQ)") from None
    return router


class _Stream:
    """What has come over a connection: the head of a message, and how much of its body is still to come."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self.is_answering = False

    def heads(self, data: bytes) -> Iterator[bytes]:
        """Yield the head of every message that `data` makes whole; the bodies are thrown away.

        Raises
        ------
        ValueError
            If a message says that it is shorter than its head, or too long.
        """
        at = 0
        while at < len(data) or (len(self._head) == HEAD_BYTES and not self._left):
            if len(self._head) < HEAD_BYTES:
                part = data[at : at + HEAD_BYTES - len(self._head)]
                self._head, at = self._head + part, at + len(part)
                if len(self._head) < HEAD_BYTES:
                    return
                _, size = struct.unpack(">II", self._head)
                if not HEAD_BYTES <= size <= MAX_BYTES:
                    raise ValueError(size)
                self._left = size - HEAD_BYTES
            part_bytes = min(self._left, len(data) - at)
            self._left, at = self._left - part_bytes, at + part_bytes
            if not self._left:
                head, self._head, self.is_answering = self._head, b"", True
                yield head
                self.is_answering = False
