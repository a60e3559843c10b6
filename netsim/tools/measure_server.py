"""The side of `netsim measure` that answers."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from typing import Any

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
        self._parts: dict[tuple[Any, int], set[int]] = {}
        self._buffers: dict[socket.socket, bytearray] = {}
        opened: list[socket.socket] = []
        try:
            family, _, _, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_DGRAM)[0]
            opened.append(socket.socket(family, socket.SOCK_DGRAM))
            opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
            opened[0].bind(address)
            opened.append(socket.create_server((bind, port), family=family))
            self._udp, self._tcp = opened
        except OSError as error:
            for one in opened:
                one.close()
            raise ConfigError(f"measure serve: {bind}:{port} cannot be used: {error.strerror or error}") from None
        self._zmq_address = f"tcp://{bind}:{port + 1}" if has_zmq() else ""

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
        if self._zmq_address:
            zmq_thread.start()
        with selectors.DefaultSelector() as selector:
            selector.register(self._udp, selectors.EVENT_READ)
            selector.register(self._tcp, selectors.EVENT_READ)
            while not self._is_over():
                for key, _ in selector.select(0.1):
                    self._answer(selector, key.fileobj)
        for one in (self._udp, self._tcp, *self._buffers):
            one.close()
        if self._zmq_address:
            zmq_thread.join()

    def _is_over(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._end_s or self.answered >= 10 * MAX_MESSAGES

    def _answer(self, selector: selectors.BaseSelector, which: Any) -> None:
        if which is self._udp:
            self._answer_datagram()
        elif which is self._tcp:
            connection, _ = self._tcp.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(1.0)
            self._buffers[connection] = bytearray()
            selector.register(connection, selectors.EVENT_READ)
        elif not self._answer_stream(which):
            selector.unregister(which)
            del self._buffers[which]
            which.close()

    def _answer_datagram(self) -> None:
        data, address = self._udp.recvfrom(65535)
        if len(data) < HEAD_BYTES:
            return
        number, index, count = struct.unpack_from(">IHH", data)
        if len(self._parts) > 1024:  # of messages that never became whole
            self._parts.clear()
        seen = self._parts.setdefault((address, number), set())
        seen.add(index)
        if len(seen) >= count:
            del self._parts[address, number]
            self.answered += 1
            self._udp.sendto(data[:HEAD_BYTES], address)

    def _answer_stream(self, connection: socket.socket) -> bool:
        """Read what is there; False where the other side has gone or sends nonsense."""
        buffer = self._buffers[connection]
        try:
            data = connection.recv(1 << 18)
            buffer += data
            while len(buffer) >= HEAD_BYTES:
                _, size = struct.unpack_from(">II", buffer)
                if not HEAD_BYTES <= size <= MAX_BYTES:
                    return False
                if len(buffer) < size:
                    break
                self.answered += 1
                connection.sendall(buffer[:HEAD_BYTES])
                del buffer[:size]
        except OSError:
            return False
        return bool(data)

    def _serve_zmq(self) -> None:
        zmq = _zmq()
        context = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        try:
            router.bind(self._zmq_address)
            while not self._is_over():
                if router.poll(100):
                    sender, message = router.recv_multipart()
                    self.answered += 1
                    router.send_multipart([sender, message[:HEAD_BYTES]])
        finally:
            context.destroy(linger=0)
