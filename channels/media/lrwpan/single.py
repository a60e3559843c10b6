"""One IEEE 802.15.4 cell that serves one message at a time: the medium of ``mac: single``."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from channels.media.lrwpan.backoff import backoffs
from channels.media.lrwpan.cost import cell_cost
from channels.media.lrwpan.exchange import Exchange, Progress
from channels.media.lrwpan.timing import ACK_OCTETS
from channels.media.radio_books import RadioBooks, RadioPolicy, wake_power_w
from channels.media.roster import Members, Roster
from netsim.interfaces import CostModel, Delivery, NodeId, TransferId, Usage
from netsim.units import NS_PER_S


class SingleCell(Roster):
    """All nodes share one half-duplex medium; see `channels.links.ieee802154` for the rules.

    Parameters
    ----------
    payload_bytes
        Of the message in a frame.
    policy
        What a radio does while its node takes no part in the message that is served, and when a message may begin.
    key
        64-bit key of the backoff draws.
    """

    broadcasts = True

    def __init__(self, members: Members, payload_bytes: int, policy: RadioPolicy, key: int) -> None:
        super().__init__(members, "radio")
        self._payload_bytes, self._policy, self._key = payload_bytes, policy, key
        self._wake_w = wake_power_w(policy, self._power_w)
        self._books = RadioBooks(len(self._row), policy, self._power_w)
        self._free_ns = 0
        self._queue: list[tuple[int, NodeId, TransferId, Exchange]] = []
        self._served: Exchange | None = None
        self._own: dict[NodeId, list[tuple[int, int]]] = {}
        # Of each node: bytes and frames sent.
        self._sent = [[0, 0] for _ in self._row]

    # --- messages ------------------------------------------------------------------------------------

    def _take(self, now_ns: int, transfer: TransferId, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> None:
        frames = -(-size_bytes // self._payload_bytes)
        message = Exchange(
            transfer, src, dst, size_bytes, self._payload_bytes, now_ns, backoffs(self._key, transfer, frames),
            self._policy.lead_ns,
        )  # fmt: skip
        message.dst = self._reachable(now_ns, transfer, src, dst, size_bytes)
        if message.dst:
            heapq.heappush(self._queue, (now_ns, src, transfer, message))

    def _next_ns(self) -> int | None:
        served = self._served
        if served is not None and not served.is_delivered:
            return served.start_ns + served.deliver_ns
        if not self._queue:
            return None
        free_ns = self._free_ns if served is None else served.start_ns + served.free_ns
        message = self._queue[0][3]
        return self._policy.next_start_ns(max(message.submit_ns, free_ns)) + message.deliver_ns

    def _run(self, to_ns: int) -> None:
        while True:
            if self._served is None:
                # At its own instant a message may still be overtaken by one of a smaller sender.
                if not self._queue:
                    return
                start_ns = self._policy.next_start_ns(max(self._queue[0][0], self._free_ns))
                if start_ns >= to_ns:
                    return
                self._served = heapq.heappop(self._queue)[3]
                self._served.start_ns = start_ns
            elif not self._serve(self._served, to_ns):
                return

    def _serve(self, message: Exchange, to_ns: int) -> bool:
        """Go on with the message that has the medium; return whether it ended by `to_ns`."""
        if self._frames is not None:
            for frame in message.frames_until(to_ns):
                self._frames.add(frame)
        if not message.is_delivered and message.start_ns + message.deliver_ns <= to_ns:
            message.is_delivered = True
            self._deliver(message)
        if message.start_ns + message.end_ns > to_ns:
            return False
        self._release(message, message.start_ns + message.end_ns, message.start_ns + message.free_ns)
        return True

    def _release(self, message: Exchange, at_ns: int, free_ns: int) -> None:
        """Book what the message did until `at_ns`; the medium is free again at `free_ns`."""
        self._book(self._books, self._sent, message, message.start_ns, at_ns, (message.src, *message.dst))
        self._own.setdefault(message.src, []).append((message.start_ns, free_ns))
        self._served, self._free_ns = None, free_ns

    def _deliver(self, message: Exchange) -> None:
        at_ns = message.start_ns + message.deliver_ns
        done = message.whole
        service_s = (at_ns - message.submit_ns - self._own_queueing_ns(message)) / NS_PER_S
        energy_j = self._extra_j(done, message.end_ns)
        first = min(message.dst)
        for node in message.dst:
            # A broadcast is one transmission: it counts at its smallest destination.
            packets, wire_bytes, airtime_ns = _counts(done) if node == first else (0, 0, 0)
            self._end(Delivery(
                message.transfer, node, at_ns, True, packets, packets, wire_bytes, airtime_ns, message.src,
                message.size_bytes, service_s, energy_j,
            ))  # fmt: skip

    def _give_up(self, message: Exchange, node: NodeId, now_ns: int) -> None:
        """End one destination of a message; what was sent so far counts at the last one to end so."""
        message.dst = tuple(n for n in message.dst if n != node)
        done = message.progress(now_ns - message.start_ns if message.start_ns >= 0 else 0)
        packets, wire_bytes, airtime_ns = (0, 0, 0) if message.dst else _counts(done)
        energy_j = self._extra_j(done, max(0, now_ns - message.start_ns)) if message.start_ns >= 0 else 0.0
        self._end(Delivery(
            message.transfer, node, now_ns, False, packets, packets, wire_bytes, airtime_ns, message.src,
            message.size_bytes, 0.0, energy_j,
        ))  # fmt: skip

    def _own_queueing_ns(self, message: Exchange) -> int:
        """Return how long the message waited while earlier ones of its sender had the medium."""
        earlier = [(a, b) for a, b in self._own.get(message.src, ()) if b > message.submit_ns]
        self._own[message.src] = earlier
        return sum(b - max(a, message.submit_ns) for a, b in earlier)

    def _extra_j(self, done: Progress, elapsed_ns: int) -> float:
        power, base_w = self._power_w, self._power_w[self._policy.base_state]
        wake_ns = min(elapsed_ns, self._policy.lead_ns)
        listen_ns = elapsed_ns - done.data_ns - done.ack_ns - wake_ns
        spent = power["tx"] * done.data_ns + power["rx"] * done.ack_ns + power["listen"] * listen_ns
        return (spent + self._wake_w * wake_ns - base_w * elapsed_ns) / NS_PER_S

    # --- nodes that go down ------------------------------------------------------------------------------

    def _come_up(self, now_ns: int, node: NodeId, since_ns: int) -> None:
        self._books.be_down(self._row[node], since_ns, now_ns)

    def _go_down(self, now_ns: int, node: NodeId) -> None:
        """End messages whose sender or last destination this is; the medium is free at once."""
        if self._served is not None:
            self._interrupt(self._served, now_ns, node)
        for *_, message in self._queue:
            for lost in self._lost(message.src, message.dst):
                self._give_up(message, lost, now_ns)
        self._queue = [entry for entry in self._queue if entry[3].dst]
        heapq.heapify(self._queue)

    def _interrupt(self, message: Exchange, now_ns: int, node: NodeId) -> None:
        if node != message.src and node not in message.dst:
            return
        if node != message.src and len(message.dst) > 1:
            self._book(self._books, self._sent, message, message.start_ns, now_ns, (node,))
            lost: tuple[NodeId, ...] = (node,)
        else:
            self._release(message, now_ns, now_ns)
            lost = message.dst
        for one in lost if not message.is_delivered else ():
            self._give_up(message, one, now_ns)

    # --- what it costs and what it did ---------------------------------------------------------------------

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost: the expectation over backoffs, the same for all pairs."""
        base_w, policy = self._power_w[self._policy.base_state], self._policy
        lead_s = policy.lead_ns / NS_PER_S
        wait_s = lead_s + policy.mean_wait_s
        lead_j = (self._wake_w - base_w) * lead_s
        return cell_cost(quantity, self._payload_bytes, self._power_w, base_w, wait_s, lead_j)

    def max_power_w(self, node: NodeId) -> float:
        """See `netsim.interfaces.PowerBound`."""
        return self._books.max_power_w

    def _used(self, at_ns: int) -> Usage:
        books, sent = self._books.copy(), [row.copy() for row in self._sent]
        for message, start_ns in self._from_now():
            if start_ns >= at_ns:
                break
            self._book(books, sent, message, start_ns, at_ns, (message.src, *message.dst))
        for node, since_ns in self._down.items():
            books.be_down(self._row[node], since_ns, at_ns)
        state_ns = books.states_ns(at_ns)
        tx_bytes, tx_frames = np.array(sent, np.int64).T
        return Usage(self._interfaces, state_ns, books.energy_j(state_ns), tx_bytes, tx_frames)

    def _from_now(self) -> Iterator[tuple[Exchange, int]]:
        """Yield the messages that have the medium from now on, and when."""
        free_ns = self._free_ns
        if self._served is not None:
            yield self._served, self._served.start_ns
            free_ns = self._served.start_ns + self._served.free_ns
        for submit_ns, *_, message in sorted(self._queue):
            start_ns = self._policy.next_start_ns(max(submit_ns, free_ns))
            yield message, start_ns
            free_ns = start_ns + message.free_ns

    def _book(
        self, books: RadioBooks, sent: list[list[int]], message: Exchange, start_ns: int, at_ns: int,
        nodes: tuple[NodeId, ...],
    ) -> None:  # fmt: skip
        """Add what a message did until `at_ns` to the books of these of its nodes."""
        elapsed_ns = min(at_ns - start_ns, message.end_ns)
        done = message.progress(elapsed_ns)
        data = (done.data_ns, done.data_octets, done.frames)
        acks = (done.ack_ns, done.acks * ACK_OCTETS, done.acks)
        wake_ns = min(elapsed_ns, message.lead_ns)
        for node in nodes:
            ours, theirs = (data, acks) if node == message.src else (acks, data)
            row = self._row[node]
            books.take_part(row, start_ns, start_ns + elapsed_ns, ours[0], theirs[0], wake_ns)
            sent[row][0] += ours[1]
            sent[row][1] += ours[2]


def _counts(done: Progress) -> tuple[int, int, int]:
    """Return frames, bytes and nanoseconds on the air."""
    return done.frames, done.data_octets + done.acks * ACK_OCTETS, done.data_ns + done.ack_ns
