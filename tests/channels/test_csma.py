"""Contending IEEE 802.15.4 nodes: the compiled medium against one simpy process a node, by hand, and against ns-3."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.validation import ns3_draws as draws_module
from benchmarks.validation import ns3_lrwpan
from benchmarks.validation.check import Check
from benchmarks.validation.links import PARK, TOGETHER
from benchmarks.validation.ns3_draws import Mrg32k3a, ns3_draws, open_as_ns3
from channels.macs import csma_ca
from channels.media.lrwpan.backoff import backoffs, words
from channels.media.lrwpan.csma import tables
from channels.media.lrwpan.csma.nodes import ContendingNodes
from channels.media.lrwpan.reception import bit_error, log_success
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Delivery, Medium, Node
from netsim.simulation.engine import Engine
from netsim.simulation.world import World
from netsim.testing import channels as contract
from netsim.testing import checks
from netsim.testing.contract import check_configuration
from netsim.testing.scripts import FrameLog
from tests.support.csma_twin import Twin
from tests.support.lrwpan import NS3, cell
from tests.support.toys import scenario

US = 1000


def star(nodes: int) -> list[Node]:
    return [Node(i, i == nodes) for i in range(nodes + 1)]


def twin_of(channel: Any, nodes: Sequence[Node], seed: int, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """The slow medium of a channel."""
    with monkeypatch.context() as patch:
        patch.setattr(csma_ca, "ContendingNodes", Twin)
        medium: Twin = channel.open(nodes, np.random.default_rng(seed))
    return medium


Call = tuple[int, int, tuple[int, ...], int]


def traffic(nodes: int, messages: int, seed: int, gap_us: int, peers: bool) -> list[Call]:
    """Random messages; some at one instant, some to several nodes, some from the last node."""
    rng = np.random.default_rng(seed)
    now, calls = 0, list[Call]()
    for _ in range(messages):
        now += int(rng.choice([0, 0, 320 * US, int(rng.integers(1, 2 * gap_us * US))]))
        src = int(rng.integers(nodes + 1)) if peers else int(rng.integers(nodes))
        others = [n for n in range(nodes + 1) if n != src]
        dst: tuple[int, ...] = (nodes,) if src != nodes else (int(rng.integers(nodes)),)
        if peers and rng.random() < 0.3:
            dst = tuple(rng.permutation(others)[: int(rng.integers(2, 4))].tolist())
        calls.append((now, src, dst, int(rng.choice([1, 7, 20, 100, 101, 350]))))
    return calls


def play(medium: Any, calls: Sequence[Call], cuts: Sequence[int] = ()) -> list[Delivery]:
    out, before = list[Delivery](), -1

    def advance(to_ns: int) -> None:
        nonlocal before
        ended = medium.advance(to_ns)
        assert all(before < d.at_ns <= to_ns for d in ended), "each comes in its time"
        out.extend(ended)
        before = to_ns

    for now in sorted({*(c[0] for c in calls), *cuts}):
        advance(now)
        for at, src, dst, size in calls:
            if at == now:
                medium.submit(at, src, dst, size)
                if cuts:
                    medium.next_event_ns()  # which looks ahead, in vain where a message comes before
    while (next_ns := medium.next_event_ns()) is not None:
        assert next_ns < 10**11, "it never ends"
        advance(next_ns)
    return out


PLACES = [(0.0, 0.0), (30.0, 0.0), (60.0, 0.0), (0.0, 40.0), (30.0, 40.0), (65.0, 35.0), (20.0, 20.0)]
VARIANTS: dict[str, dict[str, Any]] = {
    "strict": {},
    "any overlap": {"cca": "any_overlap"},
    "not reliable": {"reliable": False},
    "capture": {"collisions": "capture"},
    "capture, not reliable": {"collisions": "capture", "reliable": False, "cca": "any_overlap"},
    "loss": {"per": 0.2, "payload_bytes": 30},
    "more than 64 frames": {"per": 0.4, "payload_bytes": 3, "max_retries": 1},
    "no acknowledgements": {"acknowledge": False, "reliable": False},
    "6LoWPAN": {"framing": "sixlowpan", "radio_policy": "sleep_when_idle"},
    "sleep": {"radio_policy": "sleep_when_idle", "reliable": False},
    "slotted": {"mac": "slotted"},
    "slotted, capture": {"mac": "slotted", "collisions": "capture", "reliable": False},
    "hidden": {"path_loss": "disc", "range_m": 45.0},
    "hidden, capture": {"path_loss": "disc", "range_m": 45.0, "collisions": "capture"},
    "path loss": {**NS3, "exponent": 3.2},
    "path loss, capture": {**NS3, "collisions": "capture", "tx_power_dbm": 2},
    "weak": {**NS3, "collisions": "capture", "reliable": False, "tx_power_dbm": -7},
}


@pytest.mark.parametrize("peers", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_one_process_a_node(variant: str, peers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries with all their counters, MAC counters, state times: equal, however time is cut."""
    channel = cell(**VARIANTS[variant])
    nodes = [Node(i, i == 6, place) for i, place in enumerate(PLACES)]
    for seed, gap in ((1, 3_000), (2, 20_000), (3, 100_000)):
        calls = traffic(6, 60, seed, gap, peers)
        slow = twin_of(channel, nodes, seed, monkeypatch)
        expected = play(slow, calls)
        rng = np.random.default_rng(seed)
        cuts = [int(t) for t in rng.integers(0, calls[-1][0] + 10**8, 100)]
        for some in ((), cuts):
            fast = channel.open(nodes, np.random.default_rng(seed))
            assert isinstance(fast, ContendingNodes)
            assert play(fast, calls, some) == expected
            end = expected[-1].at_ns + 10**8
            fast.advance(end)
            slow.run(end)
            theirs = slow.counters()
            assert {name: c.tolist() for name, c in fast.counters().items()} == theirs
            a, b = fast.usage(end), slow.usage(end)
            np.testing.assert_array_equal(a.state_ns, b.state_ns)
            np.testing.assert_array_equal(a.tx_bytes, b.tx_bytes)
            np.testing.assert_array_equal(a.tx_frames, b.tx_frames)


@pytest.mark.parametrize("variant", ["strict", "capture", "slotted", "sleep", "hidden"])
def test_counters_and_radios_at_any_instant(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of backoffs and frames, where the kernel has looked ahead: those of one process a node."""
    channel = cell(**VARIANTS[variant])
    nodes = [Node(i, i == 6, place) for i, place in enumerate(PLACES)]
    calls = traffic(6, 60, 4, 3_000, True)
    cuts = [int(t) for t in np.random.default_rng(4).integers(0, 2 * calls[-1][0], 200)]
    seen = []
    for medium in (channel.open(nodes, np.random.default_rng(4)), twin_of(channel, nodes, 4, monkeypatch)):
        at: list[Any] = []
        for now in sorted({*(c[0] for c in calls), *cuts}):
            medium.advance(now)
            for call in calls:
                if call[0] == now:
                    medium.submit(*call)
            medium.next_event_ns()
            if now in cuts:
                counters = {name: list(map(int, column)) for name, column in medium.counters().items()}
                at.append((now, counters, medium.usage(now).state_ns.tolist()))
        seen.append(at)
    assert seen[0] == seen[1]


def test_a_lone_message_is_that_of_single() -> None:
    """Alone, with any framing of both: the same draws, instants, bytes and joules as ``mac: single``."""
    for keys in ({}, {"payload_bytes": 116}, {"payload_bytes": 7, "radio": "nrf52840"}):
        media = [cell(**keys, mac=mac).open(star(3), np.random.default_rng(4)) for mac in ("single", "csma_ca")]
        now = 0
        for size, src, dst in ((1, 0, (3,)), (250, 1, (3,)), (250, 3, (0, 1, 2)), (1000, 3, (2,)), (116, 2, (0,))):
            ended = []
            for medium in media:
                medium.advance(now)
                medium.submit(now, src, dst, size)
                ended.append(medium.advance(now + 10**9))
            assert ended[0] == ended[1]
            now += 10**9
        for a, b in ((0, 1), (1, 2)):
            for quantity in ("bit", "packet", "s", "j"):
                sizes = 8.0 * np.arange(1, 500)
                np.testing.assert_array_equal(*(m.cost(quantity, a, b)(sizes) for m in media))


@pytest.mark.parametrize(("size", "cca", "delivery", "failure", "latency_us"), TOGETHER)
def test_two_nodes_that_start_together(
    size: int, cca: str, delivery: float, failure: float | None, latency_us: float
) -> None:
    """10 000 pairs; each figure within 4 standard errors, false alarm 7e-5. The loss by collision is 1/8 exactly."""
    pairs = 10_000
    channel = cell(acknowledge=False, reliable=False, payload_bytes=116, cca=cca)
    medium = channel.open(star(2), np.random.default_rng(11))
    late = []
    for i in range(pairs):
        now = i * 10**8
        medium.submit(now, 0, (2,), size)
        medium.submit(now, 1, (2,), size)
        late += [(d.at_ns - now) / US for d in medium.advance(now + 10**8 - 1) if d.ok]
    total = {name: int(column.sum()) for name, column in medium.counters().items()}
    assert total["frames"] == 2 * pairs
    # Both or none of a pair collide: the pairs are independent, the frames are not.
    p = total["delivered"] / total["frames"]
    assert abs(p - delivery) <= 4 * np.sqrt(1 / 8 * 7 / 8 / pairs)
    assert abs(np.mean(late) - latency_us) <= 4 * np.std(late) * np.sqrt(2 / len(late))
    if failure is not None:
        assert abs(total["caf"] / total["frames"] - failure) <= 4 * np.sqrt(failure / total["frames"])


@pytest.mark.parametrize(
    ("nodes", "alone"), [(2, 7 / 8), (3, 105 / 128), (5, 0.7135010), (10, 0.4904975), (20, 0.2086457)]
)
def test_the_first_transmission_is_alone(nodes: int, alone: float) -> None:
    """N / 8 sum_j (j / 8)^(N - 1) of N nodes that start together; 2000 rounds, 4 standard errors, false alarm 7e-5."""
    log = FrameLog()
    medium = cell(acknowledge=False, reliable=False).open(star(nodes), np.random.default_rng(5), frames=log)
    rounds, count = 2000, 0
    for i in range(rounds):
        now = i * 10**9
        for node in range(nodes):
            medium.submit(now, node, (nodes,), 100)
        medium.advance(now + 10**9 - 1)
        first = min(f[0] for f in log.frames)
        count += sum(f[0] == first for f in log.frames) == 1
        log.frames.clear()
    assert abs(count / rounds - alone) <= 4 * np.sqrt(alone * (1 - alone) / rounds)


# --- hidden nodes, by hand -----------------------------------------------------------------------------------

AIR = 32 * 117 * US
DELAY = 100  # 30 m


def frame_start(seed: int, transfer: int, now: int) -> int:
    """Of a lone frame's first attempt."""
    key = int(np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64))
    return now + (320 * int(backoffs(key, transfer, 1)[0]) + 128 + 192) * US


def survivors(starts: Sequence[int]) -> list[bool]:
    """Whose frame reaches a sink that hears all, where nobody hears another: the one that overlaps with no other."""
    return [all(i == j or abs(a - b) >= AIR for j, b in enumerate(starts)) for i, a in enumerate(starts)]


@pytest.mark.parametrize("senders", [2, 3])
def test_hidden_senders_collide_as_computed_by_hand(senders: int) -> None:
    """They surround the sink at 30 m and are 60 m or 52 m from each other: none of them defers."""
    angles = [2 * np.pi * i / senders for i in range(senders)]
    nodes = [Node(i, False, (30 * float(np.cos(a)), 30 * float(np.sin(a)))) for i, a in enumerate(angles)]
    nodes.append(Node(senders, True, (0.0, 0.0)))
    channel = cell(path_loss="disc", range_m=40.0, reliable=False, acknowledge=False)
    rng, seen = np.random.default_rng(0), set[tuple[bool, ...]]()
    for seed in range(200):
        medium = channel.open(nodes, np.random.default_rng(seed))
        offsets = sorted(int(t) for t in rng.integers(0, 12_000 * US, senders))
        starts = [frame_start(seed, i, now) for i, now in enumerate(offsets)]
        ended = play(medium, [(now, i, (senders,), 100) for i, now in enumerate(offsets)])
        expected = survivors(starts)
        assert [d.ok for d in sorted(ended, key=lambda d: d.src)] == expected
        assert all(d.at_ns == starts[d.src] + AIR + (DELAY if d.ok else 0) for d in ended)
        seen.add(tuple(expected))
    assert len(seen) == {2: 2, 3: 4}[senders]


def test_hidden_senders_begin_afresh_with_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses grow with what was given up in this message, and not in the ones before; as one process a node."""
    nodes = [Node(0, False, (-40.0, 0.0)), Node(1, False, (40.0, 0.0)), Node(2, True, (0.0, 0.0))]
    calls = [(at, n, (2,), 100) for at in (0, 2 * 10**9) for n in (0, 1)]
    for seed in range(4):
        slow = twin_of(cell(path_loss="disc", range_m=45.0), nodes, seed, monkeypatch)
        assert play(cell(path_loss="disc", range_m=45.0).open(nodes, np.random.default_rng(seed)), calls) == play(
            slow, calls
        )


def test_acknowledgements_among_hidden_senders() -> None:
    """The sink is deaf while it acknowledges; and a sender that hears an acknowledgement defers to it."""
    nodes = [Node(0, False, (-30.0, 0.0)), Node(1, False, (30.0, 0.0)), Node(2, True, (0.0, 0.0))]
    channel = cell(path_loss="disc", range_m=40.0, reliable=False, max_retries=0, max_backoffs=0)
    seen = set[str]()
    for seed in range(200):
        key_start = frame_start(seed, 0, 0)
        end = key_start + AIR
        # Where node 1 has its assessment relative to the end of node 0's frame, at which its backoff is known.
        offset = int(np.random.default_rng([seed, 1]).integers(-500 * US, 900 * US))
        submit = end + offset - (frame_start(seed, 1, 0) - 192 * US)
        medium = channel.open(nodes, np.random.default_rng(seed))
        ended = {d.src: d for d in play(medium, [(0, 0, (2,), 100), (submit, 1, (2,), 100)])}
        assessed, begins = end + offset, end + offset + 192 * US
        acked = (end + 192 * US, end + 544 * US)
        if begins < end:
            what = "both collide"
        elif acked[0] < assessed - 2 * DELAY <= acked[1] or acked[0] <= assessed - 128 * US - 2 * DELAY < acked[0]:
            what = "defers"
        elif begins < end + 736 * US:
            what = "deaf"
        else:
            what = "late"
        seen.add(what)
        assert ended[0].ok == (what != "both collide"), (seed, what)
        assert ended[1].ok == (what == "late"), (seed, what)
        assert (ended[1].attempts == 0) == (what == "defers"), (seed, what)
    assert seen == {"both collide", "defers", "deaf", "late"}


def test_two_hear_each_other_and_the_third_is_hidden() -> None:
    """0 and 1 are neighbours, 2 is hidden from both: 1 defers to 0 and gives up, 2 sends into what is on the air."""
    nodes = [
        Node(0, False, (-30.0, 0.0)),
        Node(1, False, (-30.0, 10.0)),
        Node(2, False, (30.0, 0.0)),
        Node(3, True, (0.0, 0.0)),
    ]
    channel = cell(path_loss="disc", range_m=40.0, reliable=False, max_retries=0, max_backoffs=0)
    for seed in range(30):
        medium = channel.open(nodes, np.random.default_rng(seed))
        medium.submit(0, 0, (3,), 100)
        begun = frame_start(seed, 0, 0)
        # Node 1's assessment falls into node 0's frame wherever its backoff ends.
        medium.advance(begun + 300 * US)
        medium.submit(begun + 300 * US, 1, (3,), 100)
        medium.submit(begun + 300 * US, 2, (3,), 100)
        assessed = frame_start(seed, 1, begun + 300 * US) - 192 * US
        ended = {d.src: d for d in play(medium, [])}
        assert assessed < begun + AIR
        assert (ended[1].ok, ended[1].at_ns, ended[1].attempts) == (False, assessed, 0)
        assert not ended[0].ok
        assert not ended[2].ok
        assert medium.counters()["caf"].tolist() == [0, 1, 0, 0]
        assert medium.counters()["no_ack"].tolist() == [1, 0, 1, 0]


def test_a_radio_locks_onto_what_arrives_first() -> None:
    """Two frames begin together, 20 and 25 m away: the near one is there 16 ns earlier and 2.9 dB stronger, and is
    heard (1 - 1e-4); the far one alone would not be too weak to lock onto.
    """
    seed = next(s for s in range(100) if frame_start(s, 0, 0) == frame_start(s, 1, 0))
    channel = cell(**NS3, collisions="capture", reliable=False, acknowledge=False)
    for near in (0, 1):
        nodes = [Node(n, False, (20.0 if n == near else -25.0, 0.0)) for n in (0, 1)] + [Node(2, True, (0.0, 0.0))]
        medium = channel.open(nodes, np.random.default_rng(seed))
        medium.submit(0, 0, (2,), 100)
        medium.submit(0, 1, (2,), 100)
        ended = {d.src: (d.at_ns, d.ok) for d in play(medium, [])}
        assert ended[near] == (frame_start(seed, 0, 0) + AIR + 67, True)
        assert not ended[1 - near][1]
        end = ended[near][0] + 10**6
        medium.advance(end)
        assert medium.usage(end).state_ns[:, 1].tolist() == [0, 0, AIR]


@pytest.mark.parametrize("ahead_ns", [1, 100, 266, 267, 300])
def test_a_frame_that_begins_before_another_ends_may_arrive_behind_it(ahead_ns: int) -> None:
    """Senders 10 and 90 m from the sink that do not notice each other: 33 and 300 ns. The far one's frame begins up to
    267 ns before the near one's ends, arrives behind it, and both are there; a nanosecond earlier, and neither is.
    """
    channel = cell(**NS3, reliable=False, acknowledge=False)
    nodes = [Node(0, False, (-10.0, 0.0)), Node(1, False, (90.0, 0.0)), Node(2, True, (0.0, 0.0))]
    medium = channel.open(nodes, np.random.default_rng(0))
    medium.submit(0, 0, (2,), 100)
    end = frame_start(0, 0, 0) + AIR
    submitted = end - ahead_ns - frame_start(0, 1, 0)
    medium.advance(submitted)
    medium.submit(submitted, 1, (2,), 100)
    ended = {d.src: (d.at_ns, d.ok) for d in play(medium, [])}
    if ahead_ns <= 267:
        assert ended == {0: (end + 33, True), 1: (end - ahead_ns + AIR + 300, True)}
    else:
        assert not ended[0][1]
        assert not ended[1][1]


@pytest.mark.parametrize("collisions", ["strict", "capture"])
def test_reliable_broadcast_over_a_mesh(collisions: str) -> None:
    """Ten nodes on a square of 100 m that hear each other within 45 m, all at once: all in range get everything."""
    rng = np.random.default_rng(12)
    nodes = [Node(i, False, (float(x), float(y))) for i, (x, y) in enumerate(rng.uniform(0, 100, (10, 2)))]
    channel = cell(path_loss="disc", range_m=45.0, collisions=collisions)
    medium = channel.open(nodes, np.random.default_rng(3))
    expected = set()
    for a in nodes:
        near = tuple(b.id for b in nodes if b is not a and np.hypot(*np.subtract(a.position_m, b.position_m)) <= 45)
        far = tuple(b.id for b in nodes if b is not a and b.id not in near)[:1]
        transfer = medium.submit(0, a.id, near + far, 250)
        expected |= {(transfer, b, b in near) for b in near + far}
    ended = play(medium, [])
    assert {(d.transfer, d.dst, d.ok) for d in ended} == expected
    end = ended[-1].at_ns + 10**9
    medium.advance(end)
    usage = medium.usage(end)
    np.testing.assert_array_equal(usage.state_ns.sum(axis=1), end)
    # What the deliveries told, and what was repeated behind a sender's last one, is what the radios sent.
    told, sent = sum(d.wire_bytes for d in ended), int(usage.tx_bytes.sum())
    assert 0 <= sent - told <= 0.02 * sent
    assert usage.state_ns[:, 0].sum() == 32 * US * sent
    packets = {d.transfer: d.packets for d in ended if d.packets}
    assert packets == dict.fromkeys(range(10), 3)
    assert all(d.energy_j > 0 for d in ended)


# --- what was given up goes behind the message's other frames, by hand ------------------------------------------


def lossy_pair(tx_power_dbm: float, **keys: Any) -> tuple[Any, list[Node], float, float]:
    """Two nodes that lose frames to noise alone, and the probabilities of a full frame and an acknowledgement."""
    nodes = [Node(0, False, (0.0, 0.0)), Node(1, True, (30.0, 0.0))]
    quiet = {**NS3, "sensitivity_dbm": -120.0, "cca_threshold_dbm": -120.0}
    signal_dbm = tx_power_dbm - 46.6777 - 30 * np.log10(30.0)
    per_chip = log_success(10 ** ((signal_dbm + 106.987) / 10))
    return cell(tx_power_dbm=tx_power_dbm, **quiet, **keys), nodes, np.exp(8 * 117 * per_chip), np.exp(88 * per_chip)


def by_hand(
    seed: int, frames: int, tries: int, p_data: float, p_ack: float, transfer: int = 0
) -> tuple[list[tuple[int, int]], int, int]:
    """(frame, attempt) of every transmission, the one with which all have arrived, and how many acknowledgements were
    lost: a queue whose first frame goes to its end where all its tries failed.
    """
    key = int(np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64)) ^ 0x9E3779B97F4A7C15

    def is_right(number: int, node: int, is_ack: bool, p: float) -> bool:
        return bool(words(key, transfer, number << 32 | node << 1 | is_ack)[0] * 2.0**-32 < p)

    queue, sent, there, last, lost = deque(range(frames)), list[tuple[int, int]](), set[int](), 0, 0
    while queue:
        frame = queue.popleft()
        for attempt in range(1, tries + 1):
            sent.append((frame, attempt))
            number = len(sent)
            if not is_right(number, 1, False, p_data):
                continue
            if frame not in there:
                there.add(frame)
                last = number
            if is_right(number, 0, True, p_ack):
                break
            lost += 1
        else:
            queue.append(frame)
    return sent, last, lost


@pytest.mark.parametrize(("frames", "tries"), [(1, 1), (2, 1), (3, 2), (70, 1)])
def test_given_up_frames_go_behind_the_others_by_hand(frames: int, tries: int) -> None:
    """A lone sender loses data and acknowledgements to noise: each transmission, the delivery and the counters."""
    channel, nodes, p_data, p_ack = lossy_pair(-17.0, payload_bytes=100, max_retries=tries - 1)
    assert 0.3 < p_data < 0.7
    acks_lost, orders = 0, set[tuple[int, ...]]()
    for seed in range(100 if frames < 10 else 5):
        sent, last, lost = by_hand(seed, frames, tries, p_data, p_ack)
        log = FrameLog()
        medium = channel.open(nodes, np.random.default_rng(seed), frames=log)
        medium.submit(0, 0, (1,), 100 * frames)
        (delivery,) = medium.advance(10**11)
        data = [f for f in log.frames if f[7] == "data"]
        assert [(f[4] // 100, f[6]) for f in data] == sent
        assert all(f[5] == 100 for f in data)
        assert (delivery.ok, delivery.at_ns) == (True, data[last - 1][0] + AIR + DELAY)
        assert (delivery.packets, delivery.attempts) == (frames, last)
        counts = {name: int(column[0]) for name, column in medium.counters().items()}
        assert (counts["frames"], counts["acked"], counts["delivered"]) == (frames, frames, frames)
        assert (counts["tx"], counts["dup"]) == (len(sent), lost)
        acks_lost += lost
        orders.add(tuple(frame for frame, _ in sent))
    assert acks_lost > 10
    if (frames, tries) == (2, 1):
        # The first given up and the second there at once; then also given up; and each with its acknowledgement lost.
        assert {(0, 1, 0), (0, 1), (0, 1, 0, 1), (0, 1, 1)} <= orders


def test_what_was_given_up_ends_with_its_message() -> None:
    """The sender goes down and comes up in the middle of one message: its next one has all of its own frames only."""
    channel, nodes, p_data, p_ack = lossy_pair(-17.0, payload_bytes=100, max_retries=0)
    for seed in range(10):
        log = FrameLog()
        medium = channel.open(nodes, np.random.default_rng(seed), frames=log)
        medium.submit(0, 0, (1,), 2000)
        medium.advance(80_000 * US)
        medium.set_up(80_000 * US, 0, False)
        assert [d.ok for d in medium.advance(80_000 * US)] == [False]
        began = [f[4] // 100 for f in log.frames if f[7] == "data"]
        assert began == [frame for frame, _ in by_hand(seed, 20, 1, p_data, p_ack)[0]][: len(began)]
        medium.set_up(90_000 * US, 0, True)
        medium.submit(90_000 * US, 0, (1,), 1000)
        sent, last, _ = by_hand(seed, 10, 1, p_data, p_ack, transfer=1)
        (delivery,) = medium.advance(10**11)
        data = [f for f in log.frames if f[7] == "data" and f[3] == 1]
        assert [(f[4] // 100, f[6]) for f in data] == sent
        assert delivery.at_ns == data[last - 1][0] + AIR + DELAY


def test_the_error_curve() -> None:
    """BER 1.6e-4 at 0 dB; a frame of 117 octets overlapped as a whole survives as in ns-3."""
    assert bit_error(1.0) == pytest.approx(1.6e-4, rel=0.02)
    for decibel, survives in ((0, 0.860), (1, 0.988), (2, 0.9995), (-1, 0.34), (-3, 0.0)):
        p = np.exp(117 * 8 * log_success(10 ** (decibel / 10)))
        assert p == pytest.approx(survives, abs=0.006 if decibel < 0 else 0.001)
    assert bit_error(0.0) == pytest.approx(0.5)


# --- ns-3 and Park ---------------------------------------------------------------------------------------------

QUICK = (
    "burst strict N=1 100 B", "burst strict N=2 100 B", "burst strict N=10 100 B",
    "burst capture N=10 100 B", "burst capture N=10 1000 B", "burst_reliable strict N=10 100 B",
    "burst_reliable capture N=2 1000 B",
)  # fmt: skip
REPEATED = (
    "burst strict N=1 100 B", "burst strict N=2 100 B", "burst strict N=10 1000 B", "burst capture N=10 1000 B",
    "burst_reliable strict N=10 100 B", "poisson capture N=10 100 B 15/s",
)  # fmt: skip


@pytest.mark.parametrize(("numbers", "is_taken"), [((255, 0, 7), True), ((254, 0, 7), False)])
def test_acknowledgements_of_ns3_name_no_node(
    numbers: tuple[int, ...], is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second frame after number 255 and another node's first one have number 0: now and then one acknowledgement is
    taken by both. Where their numbers differ, never.
    """
    monkeypatch.setattr(
        draws_module, "ns3_draws", lambda *a: replace(ns3_draws(*a), first_numbers=np.array(numbers, np.int64))
    )
    channel = cell(**NS3, collisions="capture", reliable=False)
    nodes = [Node(0, False, (10.0, 0.0)), Node(1, False, (-10.0, 0.0)), Node(2, True, (0.0, 0.0))]
    taken = 0
    for run in range(1, 101):
        medium: Any = open_as_ns3(channel, nodes, run)
        medium.submit(0, 0, (2,), 200)
        # Where node 0's next backoffs may end, too: its acknowledgement and 640 us later, twice 33 ns beyond the grid.
        medium.advance(5_888_066)
        medium.submit(5_888_066, 1, (2,), 100)
        play(medium, [])
        medium.advance(10**9)
        counts = medium.counters()
        assert counts["frames"].tolist() == [2, 1, 0]
        taken += int(counts["acked"].sum() > counts["delivered"].sum())
    assert (taken > 0) == is_taken


def test_draws_of_ns3_with_outages_however_time_is_cut() -> None:
    """Deliveries, counters, and where every stream stands."""
    nodes = [Node(i, i == 6, place) for i, place in enumerate(PLACES)]
    channel = cell(**NS3, collisions="capture", reliable=False)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        calls = traffic(6, 60, seed, 3_000, peers=True)
        outages = sorted((int(rng.integers(calls[-1][0])), int(rng.integers(7))) for _ in range(40))
        ends = []
        for is_cut in (False, True):
            medium = open_as_ns3(channel, nodes, 4, frames=FrameLog() if is_cut else None)
            down, told = set[int](), list[Delivery]()
            for at, what in sorted([*((c[0], c) for c in calls), *outages], key=lambda event: event[0]):
                if is_cut:
                    for _ in range(3):
                        if (next_ns := medium.next_event_ns()) is not None and next_ns < at:
                            told += medium.advance(next_ns)
                told += medium.advance(at)
                if isinstance(what, tuple):
                    medium.submit(*what)
                else:
                    medium.set_up(at, what, what in down)
                    down ^= {what}
                radio = medium._tables.radio
                assert not radio[tables.OPEN, radio[tables.LOCK_ID] < 0].any(), "nothing is left to decide"
                if is_cut:
                    medium.next_event_ns()
                    medium.usage(at + int(rng.integers(10**7)))
            told += medium.advance(calls[-1][0] + 10**9)
            counts = {name: c.tolist() for name, c in medium.counters().items()}
            ends.append((told, counts, medium._tables.mrg.tolist()))
        assert ends[0] == ends[1]


class AsNs3:
    """What opens cells with the draws of one of ns-3's runs."""

    def __init__(self, collisions: str) -> None:
        self.link = cell(**NS3, collisions=collisions)
        self.contends, self.reliable_delivery = True, False

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameLog | None = None) -> Medium:
        return open_as_ns3(self.link, nodes, 3 + int(rng.integers(100)), frames=frames)


LEFT_OUT = (check_configuration, contract.check_interface)  # it is no component


@pytest.mark.parametrize("collisions", ["strict", "capture"])
@pytest.mark.parametrize("check", [c for c in checks("channel") if c not in LEFT_OUT], ids=lambda check: check.__name__)
def test_contract_with_the_draws_of_ns3(collisions: str, check: Callable[[Any], None]) -> None:
    check(AsNs3(collisions))


def test_streams_of_ns3() -> None:
    """MRG32k3a as its authors' package has it: the states behind a stream and behind a substream of seed 12345."""
    assert Mrg32k3a(12345, 1, 0).state == [3692455944, 1366884236, 2968912127, 335948734, 4161675175, 475798818]
    assert Mrg32k3a(12345, 0, 1).state == [870504860, 2641697727, 884013853, 339352413, 2374306706, 3651603887]


def met(checks: Sequence[Check]) -> None:
    off = [check for check in checks if not check.is_met]
    assert not off, "\n".join(ns3_lrwpan.table(off))


@pytest.mark.parametrize("name", QUICK)
def test_agrees_with_ns3(name: str) -> None:
    """Draws of our own, columns with a standard error: Student's quantile at 6e-5 for ns-3's number of runs."""
    met(ns3_lrwpan.drawn(next(row for row in ns3_lrwpan.rows() if row.name == name))[0])


@pytest.mark.parametrize("name", REPEATED)
def test_repeats_the_runs_of_ns3(name: str) -> None:
    """With ns-3's draws every column, and every standard error, is that of ns-3 3.44 to a unit of its last digit."""
    met(ns3_lrwpan.replayed(next(row for row in ns3_lrwpan.rows() if row.name == name)))


@pytest.mark.slow
@pytest.mark.parametrize("row", ns3_lrwpan.rows(), ids=lambda row: row.name)
def test_agrees_with_all_of_ns3(row: ns3_lrwpan.Row) -> None:
    """With 20 runs at least, and run by run."""
    met(ns3_lrwpan.drawn(row, max(row.runs, 20))[0])
    met(ns3_lrwpan.replayed(row))


@pytest.mark.parametrize("cca", ["ns3", "any_overlap"])
@pytest.mark.parametrize("nodes", PARK)
def test_slotted_access_agrees_with_park(nodes: int, cca: str) -> None:
    """Busy first and second assessments within 6 % of the fixed point."""
    channel = cell(mac="slotted", reliable=False, cca=cca)
    medium = channel.open(star(nodes), np.random.default_rng(1))
    for node in range(nodes):
        medium.submit(0, node, (nodes,), 100 * 10_000 // nodes)
    medium.advance(10**13)
    total = {name: int(column.sum()) for name, column in medium.counters().items()}
    alpha, beta = total["busy"] / total["cca"], total["busy2"] / total["cca2"]
    assert alpha == pytest.approx(PARK[nodes][0], rel=0.06)
    assert beta == pytest.approx(PARK[nodes][1], rel=0.06)


# --- in the engine -----------------------------------------------------------------------------------------------


class Cut:
    """A medium of which the engine asks again and again: it says that something may happen long before it does.

    In between somebody looks at its counters and at what its radios will have used.
    """

    def __init__(self, medium: Any, seed: int) -> None:
        self._medium, self._rng, self._now_ns, self.cuts = medium, np.random.default_rng(seed), 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._medium, name)

    def next_event_ns(self) -> int | None:
        next_ns: int | None = self._medium.next_event_ns()
        if next_ns is None or next_ns - self._now_ns < 2 or self._rng.random() < 0.4:
            return next_ns
        self.cuts += 1
        if self._rng.random() < 0.2:
            self._medium.usage(int(self._rng.integers(self._now_ns, 2 * next_ns - self._now_ns)))
            self._medium.counters()
        return int(self._rng.integers(self._now_ns + 1, next_ns))

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        self._now_ns = to_ns
        ended: Sequence[Delivery] = self._medium.advance(to_ns)
        return ended


DIGITS = {
    "name": "logistic_regression", "dataset": {"name": "digits", "positive_class": 0, "interactions": True},
    "l2": 1e-3, "nodes": 20, "partition": "iid",
}  # fmt: skip


@pytest.mark.parametrize(
    ("rounds", "collisions", "problem_keys"),
    [(5, "capture", {}), (50, "strict", {}), pytest.param(50, "strict", DIGITS, marks=pytest.mark.slow)],
    ids=["capture", "strict", "digits"],
)
def test_a_learning_scenario_equals_the_oracle(
    rounds: int, collisions: str, problem_keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 contending workers: all tables of a run with the kernel, and of one whose time is cut anywhere, are those of a
    run with one process a node. With the digits' long messages it is the scenario that ``make bench`` times.
    """
    case = scenario(
        {"name": "gd"}, nodes=20, stop={"rounds": rounds}, compute={"gradient_s": 0.003}, record={"messages": True},
        network={"link": {"name": "ieee802154", "mac": "csma_ca", "collisions": collisions}},
        **({"problem": problem_keys} if problem_keys else {}),
    )  # fmt: skip
    problem = case.problem.open(case.seed)

    def cut_world(*given: Any) -> World:
        world = World(*given)
        world.media = tuple(Cut(medium, 3) for medium in world.media)
        return world

    def learn(is_cut: bool = False) -> tuple[Any, dict[str, list[int]], Any]:
        with pytest.MonkeyPatch.context() as patch:
            if is_cut:
                patch.setattr("netsim.simulation.engine.World", cut_world)
            engine = Engine(case, case.algorithms[0], 0, problem)
        (carrier,) = engine.world.media
        result = engine.run()
        assert result.rounds == rounds
        assert not is_cut or carrier.cuts > 20 * rounds  # type: ignore[attr-defined]
        counters = {name: list(map(int, column)) for name, column in carrier.counters().items()}  # type: ignore[attr-defined]
        return result, counters, carrier.usage(engine.now_ns)

    runs = [learn(), learn(is_cut=True)]
    monkeypatch.setattr(csma_ca, "ContendingNodes", Twin)
    slow, expected, theirs = learn()
    for fast, counters, used in runs:
        assert counters == expected
        for name in slow.tables:
            pd.testing.assert_frame_equal(
                fast.tables[name].to_pandas(), slow.tables[name].to_pandas(), check_exact=True
            )
        np.testing.assert_array_equal(used.state_ns, theirs.state_ns)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"payload_bytes": 117}, "payload_bytes: a whole number >= 1 and <= 116"),
        ({"per": 1.0}, "per: a number >= 0 and < 1"),
        ({"collisions": "some"}, "collisions: one of strict, capture"),
        ({"min_be": 6}, "mac.min_be: at most max_be"),
        ({"acknowledge": False}, "mac.acknowledge: true where reliable"),
        ({"path_loss": "disc"}, "path_loss.range_m: a value is needed, a number > 0 in m"),
        ({"ns3_run": 1}, "ns3_run: no key of ieee802154"),
        (
            {"mac": "single", "path_loss": "log_distance"},
            "path_loss: only with contention or slots; mac single has no loss "
            "and no framing of its own. Got log_distance.",
        ),
        ({"mac": "single", "per": 0.1}, "per: only with contention or slots"),
        ({"mac": "single", "framing": "sixlowpan"}, "framing: only with contention or slots"),
    ],
)
def test_refusals(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cell(**keys)
    assert sentence in str(caught.value)


def test_positions_are_needed_where_they_matter() -> None:
    with pytest.raises(ConfigError, match=r"path_loss: a position of every node is needed.*2 nodes without"):
        cell(path_loss="disc", range_m=5.0).open([Node(0), Node(1, True)], np.random.default_rng(0))


def test_twelve_hundred_nodes_that_never_wait_collide_four_times() -> None:
    """No backoff: all assess, turn, send 117 octets and wait for acknowledgements at once, 128 + 192 + 3744 + 864 us.

    Three times more, as nobody draws a wait; more frames are on the air at one instant than a cell is first made for.
    """
    nodes = 1200
    channel: Any = registry.build(
        "channel", {"name": "ieee802154", "mac": {"name": "csma_ca", "min_be": 0}, "reliable": False}
    )
    medium = channel.open([Node(n, n == nodes) for n in range(nodes + 1)], np.random.default_rng(0))
    for n in range(nodes):
        medium.submit(0, n, (nodes,), 100)
    ended = list(medium.advance(10**9))
    assert len(ended) == nodes
    assert not any(d.ok for d in ended)
    assert {(d.at_ns, d.attempts) for d in ended} == {(4 * (128 + 192 + 3744 + 864) * 1000, 4)}
