"""Radio policies where nodes contend, own slots or send seldom: against media without them, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Delivery, Medium, Node
from netsim.testing.scripts import Call, script
from tests.support.media import drain

US, MS = 1_000, 1_000_000
TX, RX, LISTEN, IDLE, SLEEP = range(5)
# CC2420 at 3 V, mW: sending 17.4 mA, receiving and listening 18.8 mA, oscillator on 0.426 mA, power down 20 uA.
MW = {"tx": 52.2, "rx": 56.4, "listen": 56.4, "idle": 1.278, "sleep": 0.06}
NODES = tuple(Node(i, i == 4) for i in range(5))


def opened(name: str, policy: str = "", nodes: tuple[Node, ...] = NODES, **keys: Any) -> Medium:
    wake = {key: keys.pop(key) for key in ("wake_s", "wake_j", "period_s", "on_s") if key in keys}
    channel: Any = registry.build("channel", {"name": name, "radio_policy": {"name": policy, **wake}, **keys})
    medium: Medium = channel.open(nodes, np.random.default_rng(0))
    return medium


def cell(policy: str, **keys: Any) -> Medium:
    return opened("ieee802154", policy, **{"mac": "csma_ca", **keys})


def run(medium: Medium, calls: list[Call]) -> list[Delivery]:
    out = list[Delivery]()
    for call in calls:
        out += medium.advance(call.at_ns)
        medium.submit(call.at_ns, call.src, call.dst, call.size_bytes)
    return out + drain(medium)


def traffic(seed: int) -> list[Call]:
    """Submissions between 0 and about 6 s, often several at once."""
    channel = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca"})
    return script(channel, messages=40, seed=seed)


# --- contention --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mac", ["csma_ca", "slotted"])
@pytest.mark.parametrize("seed", range(3))
def test_windows_let_messages_in_and_change_nothing_else(mac: str, seed: int) -> None:
    """The same as messages that come in the window to nodes that sleep for nothing.

    Outside of messages a radio listens in windows and wakes before them: what is left of each by single looks.
    """
    wake, on, period = 1 * MS, 2 * MS, 20 * MS
    calls = traffic(seed)

    def begin(at_ns: int) -> int:
        into = at_ns % period
        if wake <= into < wake + on:
            return at_ns
        return at_ns - into + wake + (period if into >= wake + on else 0)

    later = [Call(begin(c.at_ns), c.src, c.dst, c.size_bytes) for c in calls]
    plain = cell("sleep_when_idle", mac=mac)
    paced = cell("duty_cycle", mac=mac, period_s=0.02, on_s=0.002, wake_s=1e-3)
    got = run(paced, calls)
    end = max(d.at_ns for d in got) + 55 * MS
    # One pass of the plain medium, with a look at each change of the schedule.
    edges = sorted({k * period + edge for k in range(end // period + 1) for edge in (0, wake, wake + on)} - {0})
    expected, awake, before, listen, idle = list[Delivery](), 0, 0, 0, 0
    for now in sorted({c.at_ns for c in later} | {e for e in edges if e <= end} | {end}):
        expected += plain.advance(now)
        awake_now = now - plain.usage(now).state_ns[:, SLEEP]
        into, rest = before % period, (now - before) - (awake_now - awake)
        if into < wake:
            idle = idle + rest
        elif into < wake + on:
            listen = listen + rest
        awake, before = awake_now, now
        for call in (c for c in later if c.at_ns == now):
            plain.submit(now, call.src, call.dst, call.size_bytes)
    assert [d[:-2] for d in got] == [d[:-2] for d in expected]
    waited = {i: (b.at_ns - c.at_ns) / 1e9 for i, (b, c) in enumerate(zip(later, calls, strict=True))}
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.service_s == pytest.approx(theirs.service_s + waited[ours.transfer])
        assert ours.energy_j == theirs.energy_j
    paced.advance(end)
    ours, theirs = paced.usage(end).state_ns, plain.usage(end).state_ns
    assert ours[:, [TX, RX]].tolist() == theirs[:, [TX, RX]].tolist()
    assert (ours[:, LISTEN] - theirs[:, LISTEN]).tolist() == np.asarray(listen).tolist()
    assert ours[:, IDLE].tolist() == np.asarray(idle).tolist()
    assert np.asarray(listen).min() > 0


@pytest.mark.parametrize("seed", range(2))
def test_a_message_contends_once_its_radios_are_awake(seed: int) -> None:
    """3 ms later than where waking takes nothing; waking is what is left of those 3 ms, by single looks."""
    wake, calls = 3 * MS, traffic(seed)
    later = [Call(c.at_ns + wake, c.src, c.dst, c.size_bytes) for c in calls]
    plain, paced = cell("sleep_when_idle"), cell("sleep_when_idle", wake_s=3e-3, wake_j=5e-5)
    got = run(paced, calls)
    expected, awake, before, idle = list[Delivery](), np.zeros(5, np.int64), 0, np.zeros(5, np.int64)
    for now in sorted({c.at_ns for c in [*calls, *later]}):
        expected += plain.advance(now)
        awake_now = now - plain.usage(now).state_ns[:, SLEEP]
        for node in range(5):
            if any(c.at_ns <= before < c.at_ns + wake and node in (c.src, *c.dst) for c in calls):
                idle[node] += (now - before) - (awake_now - awake)[node]
        awake, before = awake_now, now
        for call in (c for c in later if c.at_ns == now):
            plain.submit(now, call.src, call.dst, call.size_bytes)
    expected += drain(plain)
    assert [d[:-2] for d in got] == [d[:-2] for d in expected]
    usage = paced.usage(got[-1].at_ns)
    assert usage.state_ns[:, IDLE].tolist() == idle.tolist()
    # 50 uJ in 3 ms, beyond sleeping.
    joules = [a.energy_j - b.energy_j for a, b in zip(got, expected, strict=True)]
    assert joules == pytest.approx([50e-6 - MW["sleep"] * 3e-6] * len(got), rel=1e-6)
    assert usage.energy_j[0, IDLE] == pytest.approx(idle[0] / wake * 50e-6)


def test_who_is_awake_does_not_wake_again() -> None:
    """The second message comes 1 ms after the first, and all its radios are awake when the first begins."""
    medium = cell("sleep_when_idle", wake_s=2e-3)
    medium.submit(0, 0, (4,), 100)
    medium.advance(MS)
    medium.submit(MS, 0, (4,), 100)
    first, second = drain(medium)
    assert (first.service_s, first.at_ns) == (pytest.approx(first.at_ns / 1e9), first.at_ns)
    assert medium.usage(second.at_ns).state_ns[:, IDLE].tolist() == [2 * MS, 0, 0, 0, 2 * MS]


def test_costs_of_waiting() -> None:
    """Beside a lone message's: (P - on)^2 / (2 P) = 40.5 ms for a window, 2 ms for waking and its joules."""
    for quantity, more in (("s", 0.0405), ("j", 0.0), ("bit", 0.0), ("packet", 0.0)):
        lone = cell("sleep_when_idle").cost(quantity, 0, 4)
        cycled = cell("duty_cycle", period_s=0.1, on_s=0.01).cost(quantity, 0, 4)
        assert float(cycled(8000.0) - lone(8000.0)) == pytest.approx(more, abs=1e-15)
    waking = {key: 2e-3 if key == "s" else 2e-6 * (MW["idle"] - MW["sleep"]) for key in ("s", "j")}
    for keys in ({}, {"framing": "sixlowpan"}):
        for quantity, more in waking.items():
            lone, woken = (cell("sleep_when_idle", **keys, **w).cost(quantity, 0, 4) for w in ({}, {"wake_s": 2e-3}))
            assert float(woken(8000.0) - lone(8000.0)) == pytest.approx(more, rel=1e-6)
            assert (woken.structure is None) == (lone.structure is None)


def test_who_dies_while_it_wakes_has_sent_nothing() -> None:
    """A broadcast loses one destination after 1 ms of waking, its sender after 1.5 ms."""
    medium = cell("sleep_when_idle", wake_s=2e-3)
    medium.submit(0, 0, (1, 2), 100)
    medium.advance(MS)
    medium.set_up(MS, 1, False)
    medium.set_up(3 * MS // 2, 0, False)
    lost = medium.advance(3 * MS // 2)
    assert [(d.dst, d.at_ns, d.ok, d.packets) for d in lost] == [(1, MS, False, 0), (2, 3 * MS // 2, False, 0)]
    spent = [(MW["idle"] - MW["sleep"]) * 1e-6 * ms for ms in (1.0, 1.5)]
    assert [d.energy_j for d in lost] == pytest.approx(spent)
    state_ns = medium.usage(10 * MS).state_ns
    assert state_ns[:3, IDLE].tolist() == [3 * MS // 2, MS, 3 * MS // 2]
    assert medium.next_event_ns() is None


def test_a_node_that_is_down_keeps_no_windows() -> None:
    """Down from 5 ms to 45 ms of windows [0, 2), [20, 22), [40, 42), [60, 62) ms: two are missed."""
    medium = cell("duty_cycle", period_s=0.02, on_s=0.002)
    medium.advance(5 * MS)
    medium.set_up(5 * MS, 2, False)
    medium.advance(45 * MS)
    medium.set_up(45 * MS, 2, True)
    assert medium.usage(70 * MS).state_ns[[0, 2], LISTEN].tolist() == [8 * MS, 4 * MS]


# --- slots -----------------------------------------------------------------------------------------------------------


def test_a_radio_wakes_once_in_each_slot_in_which_it_acts() -> None:
    """Three nodes, a slot each: in 90 ms the server wakes 9 times, node 1 once to send its frame, the others never."""
    nodes = (Node(0), Node(1), Node(2), Node(3, True))
    medium = opened("ieee802154", "sleep_when_idle", nodes, mac="tsch", wake_s=5e-4, wake_j=1e-5)
    free = opened("ieee802154", "sleep_when_idle", nodes, mac="tsch")
    for one in (medium, free):
        one.submit(0, 1, (3,), 100)
    (d,), (e,) = drain(medium), drain(free)
    assert d[:-1] == e[:-1]
    assert d.energy_j - e.energy_j == pytest.approx(10e-6 - MW["sleep"] * 0.5e-6)
    usage, plain = medium.usage(90 * MS), free.usage(90 * MS)
    assert usage.state_ns[:, IDLE].tolist() == [0, MS // 2, 0, 9 * MS // 2]
    assert usage.state_ns[:, :IDLE].tolist() == plain.state_ns[:, :IDLE].tolist()
    assert usage.energy_j[:, IDLE] == pytest.approx([0.0, 10e-6, 0.0, 90e-6])
    # Half of the wake-up before node 1's window in the server's second slot: [10.36, 10.86) ms.
    assert medium.usage(110 * MS + 610 * US).state_ns[3, IDLE] == 11 * MS // 2 + 250 * US
    costs = [float(one.cost("j", 1, 3)(1600.0)) for one in (medium, free)]
    assert costs[0] - costs[1] == pytest.approx(2 * (10e-6 - MW["sleep"] * 0.5e-6))


def test_tdma_sleeps_between_its_bytes() -> None:
    """1000 bytes at 1 Mbit/s are 8 ms of sending; whoever has no part in them sleeps all the time."""
    medium, idle = (opened("tdma", p, rate_bps=1e6, slot_s=0.002, power="cc2420") for p in (
        "sleep_when_idle", "always_on",
    ))  # fmt: skip
    for one in (medium, idle):
        one.submit(0, 0, (4,), 1000)
    (d,), (e,) = drain(medium), drain(idle)
    assert d[:-1] == e[:-1]
    assert d.energy_j == pytest.approx(8e-6 * (MW["tx"] - MW["sleep"])) == float(medium.cost("j", 0, 4)(8000.0))
    state_ns = medium.usage(20 * MS).state_ns
    assert state_ns[:, SLEEP].tolist() == [12 * MS, 20 * MS, 20 * MS, 20 * MS, 12 * MS]
    assert idle.usage(20 * MS).state_ns[:, IDLE].tolist() == [12 * MS, 20 * MS, 20 * MS, 20 * MS, 12 * MS]


# --- LoRa -------------------------------------------------------------------------------------------------------------


def test_a_lora_node_wakes_before_each_frame() -> None:
    """120 bytes are 3 frames: 3 wake-ups of 5 ms, the first before anything is sent; the server listens anyway."""
    medium, free = (
        opened("lora", "sleep_when_idle", start_window_s=0, **keys) for keys in ({"wake_s": 5e-3, "wake_j": 1e-4}, {})
    )
    for one in (medium, free):
        one.submit(0, 0, (4,), 120)
    (d,), (e,) = drain(medium), drain(free)
    assert (d.at_ns, d.service_s) == (e.at_ns + 5 * MS, pytest.approx(e.service_s + 5e-3))
    profile: Any = registry.build("energy", "sx1276")
    waking = 3 * (1e-4 - 5e-3 * profile.power_w("sleep"))
    assert d.energy_j - e.energy_j == pytest.approx(waking)
    for quantity, more in (("s", 5e-3), ("j", waking)):
        assert float(medium.cost(quantity, 0, 4)(960.0) - free.cost(quantity, 0, 4)(960.0)) == pytest.approx(more)
    usage, plain = medium.usage(d.at_ns), free.usage(d.at_ns)
    assert usage.state_ns[:, IDLE].tolist() == [15 * MS, 0, 0, 0, 0]
    assert usage.energy_j[0, IDLE] == pytest.approx(3e-4)
    assert usage.state_ns[:, [TX, RX]].tolist() == plain.state_ns[:, [TX, RX]].tolist()
    # A frame down: its receiver wakes as well, the server need not.
    at = d.at_ns
    medium.submit(at, 4, (2,), 20)
    (down,) = drain(medium)
    assert medium.usage(down.at_ns).state_ns[:, IDLE].tolist() == [15 * MS, 0, 5 * MS, 0, 0]
    assert down.energy_j < e.energy_j


def test_a_lora_node_that_is_always_on_listens() -> None:
    medium = opened("lora", "always_on", start_window_s=0)
    medium.submit(0, 0, (4,), 20)
    (d,) = drain(medium)
    state_ns = medium.usage(d.at_ns).state_ns
    assert state_ns[0].tolist() == [d.at_ns, 0, 0, 0, 0]
    assert state_ns[1].tolist() == [0, 0, d.at_ns, 0, 0]


def test_frames_close_behind_each_other_leave_less_to_wake() -> None:
    """At a duty cycle of 1 there is no time between the frames: one wake-up for all six."""
    medium = opened("lora", "sleep_when_idle", wake_s=5e-3, duty_cycle=1.0, start_window_s=0)
    medium.submit(0, 0, (4,), 300)
    (d,) = drain(medium)
    watts = {state: registry.build("energy", "sx1276").power_w(state) for state in ("tx", "idle", "sleep")}
    sent_s = d.airtime_ns / 1e9
    assert d.energy_j == pytest.approx(
        sent_s * (watts["tx"] - watts["sleep"]) + 5e-3 * (watts["idle"] - watts["sleep"])
    )
    assert medium.usage(d.at_ns).state_ns[0].tolist() == [d.at_ns - 5 * MS, 0, 0, 5 * MS, 0]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "policy", "sentence"),
    [
        ({"name": "ieee802154", "mac": "tsch"}, "duty_cycle",
         r"radio_policy: always_on or sleep_when_idle with mac tsch, whose slots are the schedule\. Got duty_cycle"),
        ({"name": "ieee802154", "mac": "tsch"}, {"name": "sleep_when_idle", "wake_s": 1e-3},
         r"radio_policy\.wake_s: with mac tsch at most 0\.00086 s, before a slot's first listening\. Got 0\.001"),
        ({"name": "tdma", "rate_bps": 1e6}, "duty_cycle",
         r"radio_policy: always_on or sleep_when_idle: turns are the schedule\. Got duty_cycle"),
        ({"name": "lora"}, "duty_cycle", r"radio_policy: always_on or sleep_when_idle; windows .* Got duty_cycle"),
    ],
)  # fmt: skip
def test_policies_that_make_no_sense(channel: dict[str, Any], policy: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        registry.build("channel", {**channel, "radio_policy": policy})
