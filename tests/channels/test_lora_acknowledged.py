"""LoRa with acknowledgements: by hand, in closed form, and beside a simulation frame by frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from channels.media.purposes import REPEAT, WINDOW
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import STATES, Delivery, Medium, Node
from netsim.rng import uniforms
from netsim.testing.scripts import FrameLog
from tests.support.media import drain

S = 10**9
KEY = int(np.random.default_rng(0).integers(1 << 64, dtype=np.uint64))
TX, RX, LISTEN, IDLE, SLEEP = range(len(STATES))


def lora(**keys: Any) -> Any:
    return registry.build("channel", {"name": "lora", "acknowledged": True, "start_window_s": 0, **keys})


T, A = lora().airtime_ns(64), lora().airtime_ns(13)  # of a frame of 51 bytes, and of an acknowledgement


def opened(channel: Any, workers: int = 4, log: FrameLog | None = None) -> Medium:
    nodes = [*map(Node, range(workers)), Node(workers, is_server=True)]
    medium: Medium = channel.open(nodes, np.random.default_rng(0), frames=log)
    return medium


def backoff_ns(transfer: int, repeat: int) -> int:
    return S + int(float(uniforms(KEY, REPEAT + transfer, np.array([repeat], np.uint64))[0]) * 2 * S)


@pytest.mark.parametrize("duty_cycle", [0.01, 1.0])
def test_a_lone_message_in_closed_form(duty_cycle: float) -> None:
    """Frames of 51, 51 and 18 bytes, each answered 1 s after its end; the next follows at once or 100 airtimes later.

    The radio wakes for 5 ms before each frame and each window, and sleeps in between.
    """
    channel = lora(duty_cycle=duty_cycle, radio_policy={"name": "sleep_when_idle", "wake_s": 5e-3, "wake_j": 1e-4})
    last, wake, log = channel.airtime_ns(31), 5_000_000, FrameLog()
    medium = opened(channel, log=log)
    medium.submit(7, 0, (4,), 120)
    (d,) = drain(medium)
    stride = 100 * T if duty_cycle < 1 else T + S + A + wake
    end = 7 + wake + 2 * stride + last + S + A
    assert (d.at_ns, d.ok, d.packets, d.attempts) == (end, True, 3, 3)
    assert (d.wire_bytes, d.airtime_ns) == (120 + 6 * 13, 2 * T + last + 3 * A)
    starts = [7 + wake + i * stride for i in range(3)]
    assert [(f.start_ns, f.kind, f.offset, f.length) for f in log.frames] == [
        (starts[0], "data", 0, 51), (starts[0] + T + S, "ack", 0, 0),
        (starts[1], "data", 51, 51), (starts[1] + T + S, "ack", 0, 0),
        (starts[2], "data", 102, 18), (starts[2] + last + S, "ack", 0, 0),
    ]  # fmt: skip
    usage = medium.usage(end + S)
    assert usage.state_ns[0].tolist() == [2 * T + last, 3 * A, 0, 6 * wake, end + S - (2 * T + last + 3 * A + 6 * wake)]
    assert usage.state_ns[4].tolist() == [3 * A, 2 * T + last, end + S - (2 * T + last + 3 * A), 0, 0]
    assert (usage.tx_bytes.tolist(), usage.tx_frames.tolist()) == ([159, 0, 0, 0, 39], [3, 0, 0, 0, 3])
    sleep_w = 3.3 * 0.2e-6
    joules = (2 * T + last) / S * (3.3 * 29e-3 - sleep_w) + 3 * A / S * (3.3 * 11.5e-3 - sleep_w)
    assert d.energy_j == pytest.approx(joules + 6 * (1e-4 - 5e-3 * sleep_w), rel=1e-12)
    assert d.energy_j == pytest.approx(float(medium.cost("j", 0, 4)(960.0)), rel=1e-12)
    assert d.service_s == pytest.approx((end - 7) / S, rel=1e-12)
    assert d.service_s == pytest.approx(float(medium.cost("s", 0, 4)(960.0)), rel=1e-12)


def test_a_radio_that_listens_anyway_pays_nothing_for_windows() -> None:
    medium = opened(lora(radio_policy="always_on"))
    medium.submit(0, 0, (4,), 51)
    (d,) = drain(medium)
    assert medium.usage(d.at_ns).state_ns[0].tolist() == [T, A, S, 0, 0]
    assert d.energy_j == pytest.approx(T / S * 3.3 * (29e-3 - 1.6e-3)) == float(medium.cost("j", 0, 4)(408.0))


def test_two_nodes_that_collide_part_by_their_backoffs() -> None:
    """Both send at once, and again after their own backoffs, b apart. By hand of the 40 pairs of draws:

    b < T: the repeats collide. b <= 1 s: both are answered, as the second's frame ends before the first's answer
    begins. b < 1 s + T + A: the second's frame meets the answer, both are lost and repeated anew.
    """
    medium, seen = opened(lora(duty_cycle=1)), set[bool]()
    for pair in range(40):
        at = pair * 1000 * S
        medium.advance(at)
        for node in (0, 1):
            medium.submit(at, node, (4,), 51)
        ends = {d.src: d for d in drain(medium)}
        waits = [backoff_ns(2 * pair + node, 0) for node in (0, 1)]
        apart = abs(waits[0] - waits[1])
        is_parted = T <= apart <= S or apart >= S + T + A
        seen.add(is_parted)
        for node in (0, 1):
            d = ends[node]
            assert (d.attempts == 2) == is_parted
            assert d.attempts >= 2
            assert d.packets == 1
            if is_parted:
                assert (d.ok, d.at_ns) == (True, at + T + S + A + waits[node] + T + S + A)
                assert (d.wire_bytes, d.airtime_ns) == (2 * 64 + 13, 2 * T + A)
    assert seen == {True, False}


def by_frames(starts: dict[int, int], most: int) -> dict[int, tuple[int, bool, int]]:
    """Return by transfer, each of a node of its own, when messages of one frame end, whether well, and their attempts.

    All frames on the air are listed as (begin, end, sender), and looked through at every step.
    """
    on_air, out = list[tuple[int, int, int]](), dict[int, tuple[int, bool, int]]()
    tries, heard, done = dict.fromkeys(starts, 1), dict.fromkeys(starts, False), dict.fromkeys(starts, False)
    steps = [(start, 0, transfer) for transfer, start in starts.items()]
    while steps:
        steps.sort()
        now, step, node = steps.pop(0)
        if step == 0:  # it sends
            on_air.append((now, now + T, node))
            steps.append((now + T, 1, node))
        elif step == 1:  # its frame has ended
            heard[node] = sum(begin < now and end > now - T for begin, end, _ in on_air) == 1
            steps.append((now + S, 2, node))
        elif step == 2:  # its window opens
            is_busy = any(begin <= now < end for begin, end, sender in on_air if sender == -1)
            done[node] = heard[node] and not is_busy
            if done[node]:
                on_air.append((now, now + A, -1))
            steps.append((now + A, 3, node))
        else:  # its window closes
            is_ok = done[node] and sum(begin < now and end > now - A for begin, end, _ in on_air) == 1
            if is_ok or tries[node] == most:
                out[node] = (now, is_ok, tries[node])
            else:
                steps.append((now + backoff_ns(node, tries[node] - 1), 0, node))
                tries[node] += 1
    return out


@pytest.mark.parametrize("most", [1, 2, 8])
def test_ends_are_those_of_a_simulation_frame_by_frame(most: int) -> None:
    """30 nodes that begin within 10 s: to the nanosecond."""
    medium = opened(lora(duty_cycle=1, start_window_s=10, max_transmissions=most), 30)
    starts = {}
    for node in range(30):
        medium.submit(0, node, (30,), 51)
        starts[node] = int(float(uniforms(KEY, WINDOW + node, np.array([node], np.uint64))[0]) * 10 * S)
    got = {d.transfer: (d.at_ns, d.ok, d.attempts) for d in drain(medium)}
    assert got == by_frames(starts, most)
    assert {ok for _, ok, _ in got.values()} >= ({True, False} if most < 8 else {True})


def test_two_nodes_in_a_window_lose_as_in_closed_form() -> None:
    """One attempt each within W = 4 s, U apart: P(U < u) = 2 u / W - (u / W)^2.

    Both are lost where their frames overlap (U < T), and where the later frame meets the earlier one's answer
    (1 s < U < 1 s + T + A). 1500 pairs, within 4.5 standard deviations (7e-6).
    """
    medium, lost, pairs = opened(lora(duty_cycle=1, start_window_s=4, max_transmissions=1)), 0, 1500
    for pair in range(pairs):
        at = pair * 100 * S
        medium.advance(at)
        for node in (0, 1):
            medium.submit(at, node, (4,), 51)
        one, two = drain(medium)
        assert one.ok == two.ok
        lost += not one.ok
    t, a, span = T / S, A / S, 4.0

    def below(u: float) -> float:
        return 2 * u / span - (u / span) ** 2

    share = below(t) + below(1 + t + a) - below(1)
    assert abs(lost / pairs - share) < 4.5 * math.sqrt(share * (1 - share) / pairs)


def test_a_gateway_that_answers_hears_nothing_and_counts_a_frame_once() -> None:
    """A frame begins a nanosecond before the end of an answer: lost, with the answer; the gateway answers both again.

    End to end neither is. With one transmission the first is given up although the gateway has it.
    """
    for begin, attempts in ((T + S + A - 1, 2), (T + S + A, 1)):
        log = FrameLog()
        medium = opened(lora(duty_cycle=1), log=log)
        medium.submit(0, 0, (4,), 51)
        early = medium.advance(begin)
        medium.submit(begin, 1, (4,), 51)
        ends = {d.src: d for d in (*early, *drain(medium))}
        assert {node: (d.ok, d.attempts) for node, d in ends.items()} == {0: (True, attempts), 1: (True, attempts)}
        answers = [f.dst for f in log.frames if f.kind == "ack"]
        assert sorted(answers) == ([0, 0, 1] if attempts == 2 else [0, 1])
        assert (ends[0].wire_bytes, ends[0].packets) == (attempts * (64 + 13), 1)
    medium = opened(lora(duty_cycle=1, max_transmissions=1))
    medium.submit(0, 0, (4,), 51)
    medium.submit(T + S + A - 1, 1, (4,), 51)
    first, second = drain(medium)
    assert (first.at_ns, first.ok, first.wire_bytes) == (T + S + A, False, 64 + 13)
    assert (second.at_ns, second.ok, second.wire_bytes) == (2 * (T + S + A) - 1, False, 64)


def test_a_gateway_hears_nothing_through_its_answer_however_strong() -> None:
    """With capture the answer may be heard, a frame that overlaps with it never is: 50 pairs."""
    medium, answered = opened(lora(duty_cycle=1, capture_db=0.001, shadowing_db=50, max_transmissions=1)), 0
    for pair in range(50):
        at = pair * 100 * S
        medium.advance(at)
        medium.submit(at, 0, (4,), 51)
        medium.submit(at + T + S + A - 1, 1, (4,), 51)
        ends = {d.src: d.ok for d in drain(medium)}
        answered += ends[0]
        assert not ends[1]
    assert 5 < answered < 45  # a fair coin; 2 * P(Bin(50, 1/2) <= 5) = 4e-9


def test_the_gateway_keeps_its_duty_cycle() -> None:
    """At 1 % an answer silences it for 100 A: the next one is due before, is not sent, and the frame comes again.

    The repeat waits for its own duty cycle, 100 T after the first attempt, and then for its backoff.
    """
    log = FrameLog()
    medium, got = opened(lora(), log=log), list[Delivery]()
    for node, begin in ((0, 0), (1, 100 * A - 1), (2, 200 * A)):
        got += medium.advance(begin)
        medium.submit(begin, node, (4,), 51)
    ends = {d.src: d for d in (*got, *drain(medium))}
    assert [ends[node].attempts for node in range(3)] == [1, 2, 1]
    assert ends[1].at_ns == 100 * A - 1 + 100 * T + backoff_ns(1, 0) + T + S + A
    assert all(d.ok for d in ends.values())
    answers = [f.start_ns for f in log.frames if f.kind == "ack"]
    assert np.diff(answers).min() >= 100 * A


def test_a_gateway_that_sends_does_not_answer() -> None:
    """A broadcast of two frames begins when an answer is due: none is sent, and the frame is repeated after it.

    The next broadcast waits for the end of an answer on the air.
    """
    medium = opened(lora(duty_cycle=1))
    medium.submit(0, 0, (4,), 51)
    medium.advance(T + S - 1)
    medium.submit(T + S - 1, 4, (0, 1, 2, 3), 102)
    ends = drain(medium)
    up = next(d for d in ends if d.src == 0)
    again = T + S + A + backoff_ns(0, 0)
    assert (up.ok, up.attempts, up.at_ns) == (True, 2, again + T + S + A)
    assert [d.at_ns for d in ends if d.src == 4] == [T + S - 1 + 2 * T] * 4
    assert all(d.ok for d in ends)
    at = 100 * S
    medium.advance(at)
    medium.submit(at, 0, (4,), 51)
    medium.advance(at + T + S + 1)
    medium.submit(at + T + S + 1, 4, (1,), 51)
    up, down = drain(medium)
    assert (up.ok, up.at_ns, down.ok, down.at_ns) == (True, at + T + S + A, True, at + T + S + A + T)


def test_messages_of_a_node_follow_each_other() -> None:
    """Behind a confirmed message wait one to another node, without answer, and a confirmed one."""
    log = FrameLog()
    medium = opened(lora(duty_cycle=1), log=log)
    for dst in ((4,), (1,), (4,)):
        medium.submit(0, 0, dst, 51)
    assert [(d.dst, d.at_ns, d.ok) for d in drain(medium)] == [
        (4, T + S + A, True), (1, 2 * T + S + A, True), (4, 3 * T + 2 * S + 2 * A, True),
    ]  # fmt: skip
    assert [f.kind for f in log.frames] == ["data", "ack", "data", "data", "ack"]


def test_nodes_that_go_down() -> None:
    """In the middle of a window: half of it is paid, and what waits ends as well. A gateway takes all with it."""
    medium = opened(lora(duty_cycle=1))
    for _ in range(2):
        medium.submit(0, 0, (4,), 51)
    at = T + S + A // 2
    medium.set_up(at, 0, False)
    first, second = drain(medium)
    assert (first.at_ns, first.ok, first.wire_bytes, first.airtime_ns) == (at, False, 64, T + A // 2)
    extra_j = T / S * 3.3 * (29e-3 - 0.2e-6) + A // 2 / S * 3.3 * (11.5e-3 - 0.2e-6)
    assert first.energy_j == pytest.approx(extra_j, rel=1e-12)
    assert (second.at_ns, second.ok, second.attempts, second.energy_j) == (at, False, 0, 0)
    assert medium.usage(10 * S).state_ns[[0, 4], RX].tolist() == [A // 2, T]
    medium.set_up(10 * S, 0, True)
    for dst in (4, 1):
        medium.submit(10 * S, 0, (dst,), 51)
    medium.submit(10 * S + 2 * T, 2, (4,), 51)
    medium.set_up(10 * S + T + 5, 4, False)
    assert [(d.src, d.dst, d.ok, d.attempts, d.at_ns) for d in drain(medium)] == [
        (0, 4, False, 1, 10 * S + T + 5), (2, 4, False, 0, 10 * S + T + 5), (0, 1, True, 1, 10 * S + 2 * T + 5),
    ]  # fmt: skip


def test_what_it_promises() -> None:
    """A last repeat that is not acknowledged says nothing, so that no memory can rely on it."""
    for keys in ({}, {"max_transmissions": 15}):
        channel = lora(**keys)
        assert (channel.reliable_delivery, getattr(channel, "tells_failure", False)) == (False, False)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"max_transmissions": 0}, r"max_transmissions: a whole number >= 1 and <= 15\. Got 0\."),
        ({"max_transmissions": 16}, r"max_transmissions: a whole number >= 1 and <= 15\. Got 16\."),
        ({"max_transmissions": 2.5}, r"max_transmissions: .*Got 2\.5"),
        ({"acknowledged": "yes please"}, r"acknowledged: .*Got 'yes please'"),
        ({"collisions": False}, r"acknowledged: false with collisions: false, where no frame is lost\. Got True"),
    ],
)
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        lora(**keys)
