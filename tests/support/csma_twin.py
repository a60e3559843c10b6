"""Contending IEEE 802.15.4 nodes, one simpy process a node: slow, plain, and what the compiled medium must equal.

Written from the rules and not from the kernel: each node is a process that waits, listens, sends and waits for its
acknowledgement; radios are objects that lock onto frames. It knows no outages. Events of one instant have the order of
the kernel: ends of frames, then outcomes, then clear channel assessments, then starts of frames, those of a kind in
the order in which they were waited for (acknowledgements by node).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy

from channels.media.lrwpan.backoff import words as philox_words
from channels.media.lrwpan.csma.nodes import Rules
from channels.media.lrwpan.framing import Framing, frames_of
from channels.media.lrwpan.reach import Reach
from channels.media.lrwpan.reception import LOWEST_SINR, log_success
from channels.media.roster import Members
from netsim.interfaces import STATES, Delivery, NodeId, Usage
from netsim.rng import philox

US = 1000
UNIT, CCA, TURN, OCTET, ACK_AIR, ACK_WAIT = 320 * US, 128 * US, 192 * US, 32 * US, 352 * US, 864 * US
NEVER = 1 << 62
TX_END, ACK_END, ACKED, FOREIGN, TIMEOUT, PAUSE, CCA_END, CCA2_END, START = range(9)
Process = Generator[simpy.Event, Any, Any]


class Frame:
    """An interval on the air."""

    def __init__(self, start: int, end: int, src: Station, message: Message, ref: Frame | None = None) -> None:
        self.start, self.end, self.src, self.message, self.ref = start, end, src, message, ref
        self.number = message.transmissions
        self.order = 0


class Message:
    """A message on its way through its sender's MAC."""

    def __init__(self, transfer: int, src: Station, dst: list[Station], size: int, octets: list[int], at: int) -> None:
        self.transfer, self.src, self.dst, self.size, self.octets, self.submit = transfer, src, dst, size, octets, at
        self.start = self.fragment = self.draws = self.transmissions = 0
        self.words: list[int] = []
        self.sent, self.done = set[int](), set[Station]()
        self.has = [set[Station]() for _ in octets]  # who has each fragment
        self.there = Counter[Station]()  # how many each has
        self.tx = self.wire = self.air = self.tx_ns = self.acks = 0
        self.is_told = False


class Station:
    """A node: its queue, its radio, its counters."""

    def __init__(self, number: int, name: NodeId) -> None:
        self.number, self.name = number, name
        self.queue: deque[Message] = deque()
        self.wakeup: simpy.Event | None = None
        self.waiting: simpy.Event | None = None
        self.current: Frame | None = None
        self.free = self.duty_until = 0
        self.duty: Frame | None = None
        self.rx_from = self.lock_start = self.lock_end = self.rx_ns = self.tx_ns = 0
        self.lock: Frame | None = None
        self.previous: Frame | None = None  # what it was locked onto before; at its sender that may not have ended yet
        self.previous_end = 0
        self.is_awake, self.since, self.awake_ns, self.parts = True, 0, 0, 0
        self.bytes = self.frames = 0
        self.debt = [0, 0, 0]
        self.count = dict.fromkeys(
            ("frames", "delivered", "acked", "no_ack", "caf", "dup", "tx", "cca", "busy", "cca2", "busy2",
             "service_ns", "sojourn_ns", "last_end_ns"), 0
        )  # fmt: skip

    def deafen(self, now: int) -> None:
        if self.lock_end > now:
            self.rx_ns -= self.lock_end - max(now, self.lock_start)
            self.lock_end = now
        if self.previous_end > now:
            self.rx_ns -= self.previous_end - now
            self.previous_end = now
        self.lock = self.previous = None
        self.rx_from = NEVER


class Twin:
    """The medium; parameters as of `channels.media.lrwpan.csma.nodes.ContendingNodes`."""

    def __init__(self, members: Members, framing: Framing, rules: Rules, reach: Reach, key: int) -> None:
        self.env = simpy.Environment()
        self.rules, self.reach, self.framing, self.key = rules, reach, framing, key
        self.stations = [Station(i, node.id) for i, node in enumerate(members.nodes)]
        self.by_name = {s.name: s for s in self.stations}
        self.power_w = {state: members.power.power_w(state) for state in STATES}
        self.air: deque[Frame] = deque()
        self.ended: list[Delivery] = []
        self.clear = reach.clear()
        self.transfers = self.pending = 0
        self.starts = 0
        self.begun = set[int]()  # numbers of the frames on the air
        for s in self.stations:
            if rules.sleeps:
                s.is_awake, s.rx_from = False, NEVER
            self.env.process(self.mac(s))

    # --- time -------------------------------------------------------------------------------------------

    def at(self, when: int, kind: int, entity: int, since: int = 0) -> simpy.Event:
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        rank = entity if kind == ACK_END else since or 2 * self.env.now
        self.env.schedule(event, 10 + (kind << 64) + rank, when - self.env.now)
        return event

    def call(self, when: int, kind: int, entity: int, what: Callable[[], None]) -> None:
        self.at(when, kind, entity).callbacks.append(lambda _: what())  # type: ignore[union-attr]

    def slot(self, when: int) -> int:
        return -(-when // UNIT) * UNIT if self.rules.slotted else when

    def draw(self, m: Message, exponent: int) -> int:
        if m.draws == len(m.words):
            blocks = np.arange(m.draws // 4, m.draws // 4 + 32, dtype=np.uint64)
            m.words += philox(self.key, m.transfer, blocks).ravel().tolist()
        m.draws += 1
        return m.words[m.draws - 1] & ((1 << exponent) - 1)

    # --- the process of a node ----------------------------------------------------------------------------

    def mac(self, s: Station) -> Process:
        env, rules = self.env, self.rules
        while True:
            if not s.queue:
                s.wakeup = env.event()
                yield s.wakeup
            m = s.queue[0]
            base = m.start = max(s.free, m.submit)
            began = max(m.submit, env.now)
            is_cast, failures = len(m.dst) > 1, 0
            # What is to be sent, and to whom.
            left: deque[tuple[int, Station | None]] = deque(
                (fragment, None if is_cast else m.dst[0]) for fragment in range(len(m.octets))
            )
            while left:
                m.fragment, target = left.popleft()
                result = yield from self.request(s, m, m.octets[m.fragment], target, base, began)
                ifs = (192 if m.octets[m.fragment] <= 24 else 640) * US
                is_through = result in ("acked", "sent")
                base = env.now + (ifs if is_through else 0)
                began = env.now
                wanted = [target] if target else m.dst
                if not is_through and rules.reliable and any(self.hears(s, d) for d in wanted):
                    # A broadcast again at once; what is for one node behind the message's other frames.
                    (left.appendleft if is_cast else left.append)((m.fragment, target))
                    if result == "no_ack" and self.reach.has_hidden:
                        failures += 1
                        word = philox_words(self.key ^ 0xD1B54A32D192ED03, m.transfer, m.transmissions)[0]
                        base = yield from self.pause(s, word & ((1 << min(5 + failures, 12)) - 1))
                    continue
                failures = 0
                if target is None and rules.reliable:
                    missing = [d for d in m.dst if d not in m.has[m.fragment] | m.done and self.hears(s, d)]
                    left.extendleft((m.fragment, d) for d in reversed(missing))
                s.count["frames"] += not left or left[0][0] != m.fragment
            s.count["last_end_ns"] = env.now
            for d in m.dst:
                if d not in m.done:
                    self.emit(m, d, env.now, False)
                d.parts -= 1
                self.rest(d)
            for i, value in enumerate((m.tx, m.wire, m.air)):
                s.debt[i] += value
            s.queue.popleft()
            s.free = base
            s.parts -= 1
            self.rest(s)

    def request(self, s: Station, m: Message, octets: int, target: Station | None, base: int, began: int) -> Process:
        """One frame through channel access, transmission and retries."""
        env, rules, count = self.env, self.rules, s.count
        for _ in range(rules.max_retries + 1):
            if not (yield from self.access(s, m, base)):
                count["caf"] += 1
                return "caf"
            m.transmissions += 1
            frame = s.current = self.send(Frame(env.now + TURN, env.now + TURN + octets * OCTET, s, m))
            s.deafen(env.now)
            yield self.at(frame.end, TX_END, s.number)
            count["tx"] += 1
            s.bytes, s.frames = s.bytes + octets, s.frames + 1
            m.tx, m.wire, m.air = m.tx + 1, m.wire + octets, m.air + octets * OCTET
            m.tx_ns += octets * OCTET
            m.sent.add(m.fragment)
            s.rx_from = env.now + TURN
            if target is None:
                for d in m.dst:
                    if self.received(frame, d):
                        self.arrive(m, d, env.now + self.delay(s, d))
                return "sent"
            there = env.now + self.delay(s, target)
            is_there = self.received(frame, target)
            if not rules.acknowledge:
                if is_there:
                    self.arrive(m, target, there)
                count["service_ns"] += env.now - began
                count["sojourn_ns"] += env.now - m.submit
                return "sent"
            if is_there:
                m.wire, m.air, m.acks = m.wire + 11, m.air + ACK_AIR, m.acks + 1
                self.arrive(m, target, there)
                self.acknowledge(target, frame, there)
            answer = s.waiting = env.event()
            self.call(env.now + ACK_WAIT, TIMEOUT, s.number, lambda a=answer: self.expire(s, a))  # type: ignore[misc]
            if (yield answer):
                count["acked"] += 1
                count["service_ns"] += env.now - began
                count["sojourn_ns"] += env.now - m.submit
                return "acked"
            base = env.now
        count["no_ack"] += 1
        return "no_ack"

    def pause(self, s: Station, periods: int) -> Process:
        yield self.at(self.env.now + periods * UNIT, PAUSE, s.number)
        return self.env.now

    def access(self, s: Station, m: Message, base: int) -> Process:
        """Backoffs and clear channel assessments; whether the channel was free."""
        exponent, busy = self.rules.min_be, None
        for _ in range(self.rules.max_backoffs + 1):
            base = self.slot(base)
            since = 2 * base + (busy is None)
            yield self.at(base + self.draw(m, exponent) * UNIT + CCA, CCA_END, s.number, since)
            s.count["cca"] += 1
            busy = self.is_busy(s)
            s.count["busy"] += busy
            if self.rules.slotted and not busy:
                yield self.at(self.env.now + UNIT, CCA2_END, s.number)
                s.count["cca2"] += 1
                busy = self.is_busy(s)
                s.count["busy2"] += busy
            if not busy:
                return True
            exponent, base = min(exponent + 1, self.rules.max_be), self.env.now
        return False

    def expire(self, s: Station, answer: simpy.Event) -> None:
        if s.waiting is answer:
            s.waiting = None
            answer.succeed(False)

    # --- the air --------------------------------------------------------------------------------------------

    def hears(self, a: Station, b: Station) -> bool:
        return self.reach.is_everyone or bool(self.reach.hears[a.number, b.number])

    def delay(self, a: Station, b: Station) -> int:
        return 0 if self.reach.is_everyone else int(self.reach.delay_ns[a.number, b.number])

    def power(self, a: Station, b: Station) -> float:
        return 1.0 if self.reach.is_everyone else float(self.reach.power_mw[a.number, b.number])

    def send(self, frame: Frame) -> Frame:
        while self.air and self.air[0].end < self.env.now - 5000 * US:
            self.air.popleft()
        self.air.append(frame)
        self.starts += 1
        frame.order = self.starts
        self.call(frame.start, START, self.starts, lambda: self.begin(frame))
        return frame

    def begin(self, frame: Frame) -> None:
        """The frame begins: radios lock onto it, unless another arrives there before."""
        src = frame.src
        src.tx_ns += frame.end - frame.start
        around = [f for f in self.air if f.end > frame.start - US and f is not frame]
        if self.reach.is_everyone:
            around = [f for f in around if f.end > frame.start and f.order in self.begun]
            self.begun = {f.order for f in around} | {frame.order}
        for s in self.stations:
            late = frame.start + self.delay(src, s)
            if s is src or s.rx_from > late or not self.hears(src, s) or s.lock_start <= late < s.lock_end:
                continue
            noise = self.reach.noise_mw
            for f in around:
                if f.src is not s and (self.reach.is_everyone or self.precedes(f, frame, s)):
                    noise += self.power(f.src, s)
            if self.power(src, s) > LOWEST_SINR * noise:
                if s.lock is not None and s.lock_end > late:
                    s.rx_ns -= s.lock.end - s.lock.start
                else:
                    s.previous, s.previous_end = s.lock, s.lock_end
                s.lock, s.lock_start, s.lock_end = frame, late, frame.end + self.delay(src, s)
                s.rx_ns += frame.end - frame.start

    def precedes(self, f: Frame, frame: Frame, s: Station) -> bool:
        """Whether it arrives there before the other does, and is still there then."""
        late, delay = frame.start + self.delay(frame.src, s), self.delay(f.src, s)
        return (f.start + delay, f.start, f.order) < (late, frame.start, frame.order) and f.end + delay > late

    def is_busy(self, s: Station) -> bool:
        now = self.env.now
        if s.duty_until > now - CCA:
            return True
        if self.reach.is_everyone:
            for f in self.air:
                if f.src is s or f.start >= now:
                    continue
                if f.end >= now or f.start >= now - CCA or (not self.rules.ns3_cca and f.end > now - CCA):
                    return True
            return False
        if s.previous_end > now or (s.lock is not None and s.lock_start < now < s.lock_end):
            return True
        heard = []
        for f in self.air:
            delay = self.delay(f.src, s)
            if f.src is not s and f.start + delay < now and self.power(f.src, s) > 0:
                heard.append((f.start + delay, f.end + delay, self.power(f.src, s)))
        moments = [start for start, _, _ in heard if start >= now - CCA] + [now]
        if not self.rules.ns3_cca:
            moments.append(now - CCA)
        return any(sum(p for a, b, p in heard if a <= at < b) >= self.reach.cca_mw for at in moments)

    def received(self, frame: Frame, d: Station) -> bool:
        if frame not in (d.lock, d.previous):
            return False
        shift = self.delay(frame.src, d)
        start, end = frame.start + shift, frame.end + shift
        others = []
        for f in self.air:
            a, b = f.start + self.delay(f.src, d), f.end + self.delay(f.src, d)
            if f is not frame and f.src is not d and a < end and b > start:
                others.append((f, a, b))
        heard = any(self.hears(f.src, d) for f, _, _ in others)
        if self.rules.strict and heard:
            return False
        clear = 0.0 if self.reach.is_everyone else float(self.clear[frame.src.number, d.number])
        logp = clear * ((end - start) // 4000)
        if heard:
            logp, now = 0.0, start
            signal = self.power(frame.src, d)
            while now < end:
                then = min([t for _, a, b in others for t in (a, b) if now < t < end] + [end])
                noise = 0.0
                for f, a, b in others:
                    if a <= now < b:
                        noise += self.power(f.src, d)
                right = log_success(signal / (noise + self.reach.noise_mw)) if noise else clear
                logp += -(-(then - now) // 4000) * right
                now = then
        p = math.exp(logp) * (1.0 if frame.ref else 1.0 - self.rules.per)
        low = frame.number << 32 | d.number << 1 | (frame.ref is not None)
        return p >= 1.0 or self.uniform(frame.message.transfer, low) < p

    def uniform(self, high: int, low: int) -> float:
        return philox_words(self.key ^ 0x9E3779B97F4A7C15, high, low)[0] * 2.0**-32

    def acknowledge(self, d: Station, frame: Frame, there: int) -> None:
        start = self.slot(there + TURN)
        ack = self.send(Frame(start, start + ACK_AIR, d, frame.message, frame))
        d.deafen(there)
        d.duty, d.duty_until = ack, ack.end + TURN
        self.call(ack.end, ACK_END, len(self.stations) + d.number, lambda: self.acknowledged(d, ack))

    def acknowledged(self, d: Station, ack: Frame) -> None:
        """An acknowledgement ends: whoever waits for one and got it takes it, or takes it for a failure."""
        d.duty = None
        d.bytes, d.frames = d.bytes + 11, d.frames + 1
        for s in self.stations:
            if s.waiting is not None and self.received(ack, s):
                answer, s.waiting = s.waiting, None
                is_mine = s.current is ack.ref
                answer._ok, answer._value = True, is_mine
                kind = ACKED if is_mine else FOREIGN
                delay = self.delay(d, s)
                self.env.schedule(answer, 10 + (kind << 64) + 2 * self.env.now, delay)
        if d.is_awake:
            d.rx_from = self.env.now + TURN
        self.rest(d)

    # --- messages ---------------------------------------------------------------------------------------------

    def arrive(self, m: Message, d: Station, when: int) -> None:
        if d in m.has[m.fragment]:
            m.src.count["dup"] += 1
            return
        m.has[m.fragment].add(d)
        m.there[d] += 1
        m.src.count["delivered"] += 1
        if m.there[d] == len(m.octets) and d not in m.done:
            self.emit(m, d, when, True)

    def emit(self, m: Message, d: Station, when: int, is_ok: bool) -> None:
        m.done.add(d)
        self.pending -= 1
        packets = 0 if m.is_told else len(m.sent)
        m.is_told = True
        debt = m.src.debt
        told = (max(m.tx + debt[0], packets), max(m.wire + debt[1], 0), max(m.air + debt[2], 0))
        for i, value in enumerate((m.tx, m.wire, m.air)):
            debt[i] += value - told[i]
        m.tx = m.wire = m.air = 0
        tail = TURN + ACK_AIR if is_ok and len(m.dst) == 1 and self.rules.acknowledge else 0
        elapsed, ack_ns = when + tail - m.start, m.acks * ACK_AIR
        power, idle = self.power_w, self.power_w["sleep" if self.rules.sleeps else "idle"]
        listen = max(elapsed - m.tx_ns - ack_ns, 0)
        spent = power["tx"] * m.tx_ns + power["rx"] * ack_ns + power["listen"] * listen
        service_s = (when - m.start) / 1e9 if is_ok else 0.0
        self.ended.append(
            Delivery(m.transfer, d.name, when, is_ok, packets, *told, m.src.name, m.size, service_s,
                     (spent - idle * elapsed) / 1e9)
        )  # fmt: skip

    def rest(self, s: Station) -> None:
        if self.rules.sleeps and s.is_awake and s.parts == 0 and s.duty is None:
            s.is_awake = False
            s.awake_ns += self.env.now - s.since
            s.deafen(self.env.now)

    # --- as a medium ------------------------------------------------------------------------------------------

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> int:
        self.run(now_ns)
        s, targets = self.by_name[src], [self.by_name[d] for d in sorted(dst)]
        m = Message(self.transfers, s, targets, size_bytes, frames_of(self.framing, size_bytes), now_ns)
        self.transfers += 1
        self.pending += len(dst)
        for one in (s, *targets):
            one.parts += 1
            if not one.is_awake:
                one.is_awake, one.since, one.rx_from = True, now_ns, now_ns
        s.queue.append(m)
        if s.wakeup is not None:
            s.wakeup.succeed()
            s.wakeup = None
            self.env.step()
        return m.transfer

    def run(self, to_ns: int) -> None:
        while self.env.peek() <= to_ns:
            self.env.step()
        if self.env.now < to_ns:
            self.env.run(until=self.at(to_ns, START, NEVER))

    def next_event_ns(self) -> int | None:
        times = [d.at_ns for d in self.ended]
        if self.pending:
            times.append(int(self.env.peek()))
        return min(times, default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        self.run(to_ns)
        due = sorted((d for d in self.ended if d.at_ns <= to_ns), key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))
        self.ended = [d for d in self.ended if d.at_ns > to_ns]
        return due

    def finish(self) -> list[Delivery]:
        """All that is left."""
        while self.pending:
            self.env.step()
        due, self.ended = self.ended, []
        return sorted(due, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))

    def counters(self) -> dict[str, list[int]]:
        return {name: [s.count[name] for s in self.stations] for name in self.stations[0].count}

    def usage(self, at_ns: int) -> Usage:
        self.run(at_ns)
        state_ns = np.zeros((len(self.stations), len(STATES)), np.int64)
        for row, s in zip(state_ns, self.stations, strict=True):
            left = sum(f.end - at_ns for f in self.air if f.src is s and f.start <= at_ns < f.end)
            awake = s.awake_ns + (at_ns - s.since if s.is_awake else 0)
            row[0] = s.tx_ns - left
            row[1] = s.rx_ns - max(s.lock_end - max(s.lock_start, at_ns), 0) - max(s.previous_end - at_ns, 0)
            row[2], row[4] = awake - row[0] - row[1], at_ns - awake
        energy_j = state_ns / 1e9 * np.array([self.power_w[state] for state in STATES])
        return Usage(
            [(s.name, "radio") for s in self.stations], state_ns, energy_j,
            np.array([s.bytes for s in self.stations]), np.array([s.frames for s in self.stations]),
        )  # fmt: skip
