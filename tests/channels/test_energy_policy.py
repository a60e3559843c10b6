"""Radio policies: when messages begin, what waking costs, and state times that add up, against closed forms."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Coroutine
from typing import Any, ClassVar

import numpy as np
import pytest

from channels.media.lrwpan.backoff import backoffs
from channels.media.radio_books import RadioBooks
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import (
    STATES,
    Agent,
    Command,
    Context,
    Gradient,
    Medium,
    Node,
    Payload,
    Receive,
    Report,
    Send,
    Silent,
)
from netsim.scenario import Entry, load, parsing, points
from netsim.simulation.engine import simulate
from netsim.testing.scripts import open_medium, play, script
from tests.support.media import drain
from tests.support.toys import ToyProblem, scenario

US, MS = 1_000, 1_000_000
NODES = (Node(0), Node(1), Node(2, True))
TX, RX, LISTEN, IDLE, SLEEP = range(5)
# CC2420 at 3 V, mW: sending 17.4 mA, receiving and listening 18.8 mA, oscillator on 0.426 mA, power down 20 uA.
MW = {"tx": 52.2, "rx": 56.4, "listen": 56.4, "idle": 1.278, "sleep": 0.06}


def policy(name: str, **keys: Any) -> Any:
    return registry.build("radio_policy", {"name": name, **keys})


def cell(name: str, **keys: Any) -> Any:
    return registry.build("channel", {"name": "ieee802154", "radio_policy": {"name": name, **keys}})


def opened(channel: Any, seed: int = 0) -> Medium:
    medium: Medium = channel.open(NODES, np.random.default_rng(seed))
    return medium


def backoff(transfer: int, seed: int = 0) -> int:
    key = int(np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64))
    return int(backoffs(key, transfer, 1)[0])


POLICIES = [
    (name, example)
    for name in registry.names("radio_policy")
    for example in registry.get("radio_policy", name).examples  # type: ignore[attr-defined]
]


# --- what a policy says of itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "keys"), POLICIES, ids=str)
def test_a_policy_survives_its_configuration(name: str, keys: dict[str, Any]) -> None:
    one = policy(name, **keys)
    assert registry.build("radio_policy", parsing.dump(one)) == one
    one.rest_ns(5)
    assert pickle.loads(pickle.dumps(one)) == one


def test_windows_against_a_clock_of_microseconds() -> None:
    """Period 10, waking 2, on 3: every instant of three periods, one by one."""
    one = policy("duty_cycle", period_s=10e-6, wake_s=2e-6, on_s=3e-6)
    is_on, is_waking = ([p <= t % 10 < q for t in range(40)] for p, q in ((2, 5), (0, 2)))
    for t in range(30):
        first = next(u for u in range(t, 40) if is_on[u])
        assert one.next_start_ns(t * US) == first * US
        assert one.rest_ns(t * US) == (sum(is_on[:t]) * US, sum(is_waking[:t]) * US)
    assert one.next_start_ns(5 * US - 1) == 5 * US - 1
    assert one.next_start_ns(2 * US - 1) == 2 * US


def test_mean_wait_for_a_window() -> None:
    """(P - on)^2 / (2 P), here 81 / 20: the mean over all instants of a period, and in the cost in seconds."""
    one = policy("duty_cycle", period_s=10e-6, on_s=1e-6)
    waits = [one.next_start_ns(t) - t for t in range(10_000)]
    assert one.mean_wait_s * 1e9 == pytest.approx(np.mean(waits), abs=0.6)  # the sum over whole ns against the integral
    assert one.mean_wait_s == pytest.approx(4.05e-6, rel=1e-12)
    always, cycled = (opened(cell(*args[:1], **args[1])).cost("s", 0, 2) for args in (
        ("always_on", {}), ("duty_cycle", {"period_s": 0.1, "on_s": 0.01}),
    ))  # fmt: skip
    assert cycled(800.0) - always(800.0) == pytest.approx(0.0405, rel=1e-12)


def test_mean_wait_of_messages() -> None:
    """2000 messages at random instants: the mean within 4 standard errors; a false alarm has probability 7e-5."""
    medium, now, rng, waits = opened(cell("duty_cycle", period_s=0.05, on_s=0.01)), 0, np.random.default_rng(5), []
    for transfer in range(2000):
        now += 60 * MS + int(rng.integers(50 * MS))
        medium.advance(now)
        medium.submit(now, 0, (2,), 20)
        (d,) = drain(medium)
        # 320 b of backoff, 128 + 192 us, then 32 (20 + 17) us of data.
        waits.append(d.at_ns - now - (320 * backoff(transfer) + 320 + 32 * 37) * US)
        now = d.at_ns
    assert min(waits) == 0
    assert max(waits) <= 40 * MS
    assert abs(np.mean(waits) - 16 * MS) <= 4 * np.std(waits, ddof=1) / np.sqrt(2000)


# --- one message, by hand ---------------------------------------------------------------------------------------


def test_a_message_waits_for_the_window_and_goes_on_after_it() -> None:
    """Submitted at 15 ms with windows [1, 3), [21, 23) ...: it begins at 21 ms and its receiver stays awake."""
    medium = opened(cell("duty_cycle", period_s=0.02, on_s=0.002, wake_s=0.001))
    medium.submit(15 * MS, 0, (2,), 100)
    b = backoff(0)
    (d,) = drain(medium)
    data_us = 32 * 117
    begin, end = 21 * MS, 21 * MS + (320 * b + 320 + data_us + 192 + 352) * US
    assert d.at_ns == begin + (320 * b + 320 + data_us) * US
    assert end > 23 * MS
    at = 50 * MS
    state_ns = medium.usage(at).state_ns
    # Scheduled: waking 0-1, 20-21, 40-41; listening 1-3, 21-23, 41-43. In use 21-end instead of 21-23.
    busy = end - begin
    listen = 4 * MS + busy - (data_us + 352) * US
    assert state_ns[0].tolist() == [data_us * US, 352 * US, listen, 3 * MS, at - busy - 4 * MS - 3 * MS]
    assert state_ns[2].tolist() == [352 * US, data_us * US, listen, 3 * MS, at - busy - 4 * MS - 3 * MS]
    assert state_ns[1].tolist() == [0, 0, 6 * MS, 3 * MS, 41 * MS]
    # From its start to the acknowledgement, beyond sleep.
    spent = MW["tx"] * data_us + MW["rx"] * 352 + MW["listen"] * (320 * b + 320 + 192)
    assert d.energy_j == pytest.approx((spent - MW["sleep"] * busy / US) * 1e-9, rel=1e-9)


def test_a_second_message_waits_for_the_next_window() -> None:
    """The first ends outside its window, the medium is free 640 us later, and the next window is at 100 ms."""
    medium = opened(cell("duty_cycle", period_s=0.1, on_s=0.001))
    medium.submit(0, 0, (2,), 100)
    medium.submit(0, 1, (2,), 100)
    first, second = drain(medium)
    assert second.at_ns == 100 * MS + (320 * backoff(1) + 320 + 32 * 117) * US
    assert first.at_ns < 10 * MS


@pytest.mark.parametrize("wake_j", [None, 30e-6])
def test_a_wake_up_comes_before_every_message(wake_j: float | None) -> None:
    """2 ms of waking at both ends, at the oscillator's power or 30 uJ each; the third node sleeps on."""
    medium = opened(cell("sleep_when_idle", wake_s=0.002, wake_j=wake_j))
    medium.submit(5 * MS, 0, (2,), 100)
    b, data_us = backoff(0), 32 * 117
    (d,) = drain(medium)
    assert d.at_ns == 7 * MS + (320 * b + 320 + data_us) * US
    waking_uj = 30.0 if wake_j else 1.278 * 2
    # Half of the wake-up.
    half = medium.usage(6 * MS) if wake_j is None else opened_half(wake_j)
    assert half.state_ns[0].tolist() == [0, 0, 0, 1 * MS, 5 * MS]
    assert half.energy_j[0, IDLE] * 1e6 == pytest.approx(waking_uj / 2, rel=1e-12)
    usage = medium.usage(20 * MS)
    assert usage.state_ns[:, IDLE].tolist() == [2 * MS, 0, 2 * MS]
    assert usage.state_ns[1].tolist() == [0, 0, 0, 0, 20 * MS]
    assert usage.energy_j[0, IDLE] * 1e6 == pytest.approx(waking_uj, rel=1e-12)
    whole_us = 2000 + 320 * b + 320 + data_us + 192 + 352
    spent = MW["tx"] * data_us + MW["rx"] * 352 + MW["listen"] * (320 * b + 320 + 192) + 1e3 * waking_uj
    assert d.energy_j == pytest.approx((spent - MW["sleep"] * whole_us) * 1e-9, rel=1e-9)
    # The mean over b, 3.5 periods, is the channel's own cost: 2 ms longer than without.
    assert float(medium.cost("s", 0, 2)(800.0)) == pytest.approx(2e-3 + 5728e-6 - 544e-6, rel=1e-12)
    mean = d.energy_j + (3.5 - b) * 320 * (MW["listen"] - MW["sleep"]) * 1e-9
    assert float(medium.cost("j", 0, 2)(800.0)) == pytest.approx(mean, rel=1e-9)


def opened_half(wake_j: float) -> Any:
    """The same message, looked at in the middle of its wake-up."""
    medium = opened(cell("sleep_when_idle", wake_s=0.002, wake_j=wake_j))
    medium.submit(5 * MS, 0, (2,), 100)
    medium.advance(6 * MS)
    return medium.usage(6 * MS)


def test_a_node_that_dies_while_it_wakes_has_sent_nothing() -> None:
    medium = opened(cell("sleep_when_idle", wake_s=0.002))
    medium.submit(0, 0, (2,), 100)
    medium.advance(MS)
    medium.set_up(MS, 0, False)
    (lost,) = medium.advance(MS)
    assert (lost.ok, lost.packets, lost.airtime_ns) == (False, 0, 0)
    assert lost.energy_j == pytest.approx((MW["idle"] - MW["sleep"]) * 1e-6, rel=1e-9)
    state_ns = medium.usage(10 * MS).state_ns
    assert state_ns[[0, 2]].tolist() == [[0, 0, 0, MS, 9 * MS]] * 2


# --- it adds up -----------------------------------------------------------------------------------------------------


def _channels() -> list[Any]:
    every = [(n, e) for n in registry.names("channel") for e in registry.get("channel", n).examples]  # type: ignore[attr-defined]
    every += [("ieee802154", {"radio_policy": {"name": n, **e}}) for n, e in POLICIES]
    return [pytest.param(registry.build("channel", {"name": n, **e}), id=f"{n}-{i}") for i, (n, e) in enumerate(every)]


@pytest.mark.parametrize("channel", _channels())
def test_states_fill_time_and_joules_are_power_times_time(channel: Any) -> None:
    """Every interface, 20 instants, with outages: sums to the nanosecond, and the joules of each state by its power."""
    calls = script(channel, messages=25, seed=11, outages=True)
    looks = sorted({int(t) for t in np.random.default_rng(0).integers(0, calls[-1].at_ns + 1, 20)})
    radio = getattr(channel, "radio", getattr(channel, "power", None))
    wake = getattr(channel, "radio_policy", None)
    before: Any = 0
    for at, usage in sorted(play(channel, calls, looks=looks).usages.items()):
        np.testing.assert_array_equal(usage.state_ns.sum(axis=1), at)
        assert (usage.energy_j >= before).all()
        before = usage.energy_j
        if radio is None:
            assert not usage.energy_j.any()
            continue
        power_w = np.array([radio.power_w(state) for state in STATES])
        if wake is not None and wake.wake_j is not None:
            power_w[IDLE] = wake.wake_j / wake.wake_s
        np.testing.assert_allclose(usage.energy_j, usage.state_ns / 1e9 * power_w, rtol=1e-13)
        assert usage.energy_j.sum() == pytest.approx(float((usage.state_ns.sum(axis=0) / 1e9 * power_w).sum()))


def test_what_is_sent_does_not_depend_on_the_policy() -> None:
    """Always on and sleeping at no cost: the same instants, bytes, sending and receiving; only the rest differs."""
    calls = script(cell("always_on"), seed=4)
    on, off = (play(cell(name), calls) for name in ("always_on", "sleep_when_idle"))
    assert [d[:9] for d in on.deliveries] == [d[:9] for d in off.deliveries]
    a, b = on.usages[max(on.usages)], off.usages[max(off.usages)]
    np.testing.assert_array_equal(a.state_ns[:, :2], b.state_ns[:, :2])
    np.testing.assert_array_equal(a.state_ns[:, LISTEN] - b.state_ns[:, LISTEN], b.state_ns[:, SLEEP])
    assert a.energy_j.sum() > b.energy_j.sum()


def test_books_of_one_radio_against_a_clock_of_single_steps() -> None:
    """Random intervals of use and of being down under a duty cycle, nanosecond by nanosecond."""
    one = policy("duty_cycle", period_s=20e-9, wake_s=3e-9, on_s=5e-9)
    radio = registry.build("energy", "cc2420")
    power_w = {state: radio.power_w(state) for state in STATES}
    for seed in range(20):
        rng, books, t = np.random.default_rng(seed), RadioBooks(1, one, power_w), 0
        expected = np.zeros(5, np.int64)
        while t < 400:
            gap, length = int(rng.integers(0, 30)), int(rng.integers(1, 30))
            for u in range(t, t + gap):
                expected[IDLE if u % 20 < 3 else LISTEN if u % 20 < 8 else SLEEP] += 1
            t += gap
            if rng.random() < 0.3:
                books.be_down(0, t, t + length)
                expected[SLEEP] += length
            else:
                tx, rx, wake = (int(x) for x in rng.multinomial(length, [0.25] * 4)[:3])
                books.take_part(0, t, t + length, tx, rx, wake)
                expected += (tx, rx, length - tx - rx - wake, wake, 0)
            t += length
        assert books.states_ns(t)[0].tolist() == expected.tolist()
        other = books.copy()
        other.take_part(0, t, t + 1, 1, 0)
        assert books.states_ns(t)[0].tolist() == expected.tolist()


# --- silence --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Now:
    """Workers send their gradient, or, those of `silent`, say nothing."""

    silent: frozenset[int] = frozenset()
    tolerates: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str] = "now_and_then"

    def server(self, ctx: Context) -> Agent:
        return _Runs(self._server(ctx))

    def worker(self, ctx: Context) -> Agent:
        return _Runs(self._worker(ctx))

    async def _server(self, ctx: Context) -> None:
        for round in range(20):
            await Report(round, ctx.facts.start)
            await Send(ctx.workers, Payload(b"m" * 48, 384.0), round, "model")
            await Receive(len(ctx.workers), "update", round)
        await Report(20, ctx.facts.start)

    async def _worker(self, ctx: Context) -> None:
        while True:
            (model,) = (await Receive(kind="model")).messages
            await Gradient(at=ctx.facts.start)
            if ctx.node in self.silent:
                await Silent(ctx.server, model.round)
            else:
                await Send(ctx.server, Payload(b"g" * 400, 3200.0), model.round)


class _Runs:
    def __init__(self, program: Coroutine[Command[Any], Any, None]) -> None:
        self.program = program

    def run(self) -> Coroutine[Command[Any], Any, None]:
        return self.program


SILENT_POLICIES = {
    "always_on": {},
    "sleep_when_idle": {"wake_s": 1e-3},
    "duty_cycle": {"period_s": 0.1, "on_s": 1e-3, "wake_s": 1e-3},
}


def test_without_sleep_a_silent_node_saves_almost_nothing() -> None:
    """Node 0's radio in 20 rounds of 1 s, sending an update of 408 bytes in each or none.

    Always on less than 1 % of its power changes, as it listens instead; where it sleeps, and wakes for the model
    alone, more than 60 % goes.
    """
    saved = {}
    for name, keys in SILENT_POLICIES.items():
        link = {"name": "ieee802154", "radio_policy": {"name": name, **keys}}
        base = scenario({"name": "gd"}, network={"link": link, "silence": "free"}, compute={"gradient_s": 1.0})
        joules, seconds = [], []
        for silent in (frozenset[int](), frozenset({0})):
            result = simulate(base, Entry("x", Now(silent)), 0, ToyProblem())
            table = result.tables["energy"].to_pydict()
            rows = [i for i, n in enumerate(table["node"]) if n == 0 and table["interface"][i] == "link.radio"]
            joules.append(sum(table["energy_j"][i] for i in rows))
            seconds.append(result.sim_time_s)
            assert sum(table["time_s"][i] for i in rows) == pytest.approx(result.sim_time_s, rel=1e-12)
        # Per second, as the round of a silent node is shorter.
        saved[name] = 1 - joules[1] / seconds[1] / (joules[0] / seconds[0])
    print({name: f"{share:.2%}" for name, share in saved.items()})
    assert abs(saved["always_on"]) < 0.01
    assert saved["sleep_when_idle"] > 0.6
    assert 0.1 < saved["duty_cycle"] < saved["sleep_when_idle"]


def test_the_study_of_silent_nodes() -> None:
    """Its finding: always on saves no power, sleeping four fifths, a duty cycle half."""
    study = load("studies/silent_nodes")
    power: dict[str, list[float]] = {}
    for point in points(study):
        problem = point.scenario.problem.open(point.scenario.seed)
        for entry in point.scenario.algorithms:
            rows = simulate(point.scenario, entry, 0, problem).tables["rounds"].to_pydict()
            power.setdefault(point.name, []).append(rows["energy_j"][-1] / rows["sim_time_s"][-1])
    shares = [few / all_ for all_, few in power.values()]
    print({name: [f"{1e3 * w:.3g} mW" for w in watts] for name, watts in power.items()})
    assert len(shares) == 3
    assert shares[0] == pytest.approx(1.0, abs=0.01)
    assert shares[1] == pytest.approx(0.21, abs=0.03)
    assert shares[2] == pytest.approx(0.5, abs=0.05)


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_wifi_profiles_have_their_sources_currents() -> None:
    """mA at 3 V: ns-3 WifiRadioEnergyModel 380, 313, 273 (also CCA busy), 33; INET 250, 100, 100, 0.01."""
    for name, currents in {"wifi": (380, 313, 273, 273, 33), "wifi_inet": (250, 100, 100, 100, 0.01)}.items():
        power = registry.build("energy", name)
        assert [1e3 * power.power_w(s) / 3 for s in STATES] == pytest.approx(currents, rel=1e-12)


def test_an_ethernet_interface_may_draw_power_when_it_is_down() -> None:
    assert registry.build("energy", {"name": "ethernet", "sleep_w": 0.02}).power_w("sleep") == 0.02


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "keys", "sentence"), [
    ("duty_cycle", {"period_s": 0.01, "on_s": 0.02}, r"on_s: with wake_s at most period_s, 0\.01 s\. Got 0 s"),
    ("duty_cycle", {"period_s": 0.01, "on_s": 0.008, "wake_s": 0.003}, r"Got 0\.003 s \+ 0\.008 s"),
    ("duty_cycle", {"on_s": 1e-10}, r"on_s: 0, or from 1e-09 to 1e\+09 s\. Got 1e-10"),
    ("duty_cycle", {"on_s": 0}, r"on_s: a number > 0"),
    ("sleep_when_idle", {"wake_j": 1e-6}, r"wake_j: wake_s is needed, the time in .* spends wake_j\. Got 1e-06"),
    ("sleep_when_idle", {"wake_s": -1}, r"wake_s: a number >= 0"),
    ("always_on", {"wake_s": 1}, r"wake_s: no key of always_on"),
    ("sleepy", {}, r"no radio_policy of that name; there are always_on, duty_cycle, sleep_when_idle\. Got 'sleepy'"),
])  # fmt: skip
def test_refusals(name: str, keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        cell(name, **keys)


def test_quantities_in_words() -> None:
    one = policy("duty_cycle", period_s="250 ms", on_s="5 ms", wake_s="580 us", wake_j="12 uJ")
    assert (one.period_ns, one.on_ns, one.wake_ns, one.wake_j) == (250 * MS, 5 * MS, 580 * US, pytest.approx(12e-6))
    assert open_medium(cell("always_on")).usage(7).state_ns[:, LISTEN].tolist() == [7] * 5
