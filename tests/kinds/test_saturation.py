"""Networks that are offered more than they carry: who is warned, and what progress shows inside a round."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.scenario import parse_text
from netsim.simulation import engine
from tests.kinds.conftest import Command

TEXT = """\
name: crowd
problem: {{name: quadratic, nodes: {nodes}, dim: 2}}
network:
  topology: {topology}
  link: {link}
  silence: free
algorithms: [{algorithm}]
stop: {{rounds: 1}}
"""
CSMA = "{name: ieee802154, mac: csma_ca}"
GOSSIP = "{name: choco_gossip, compressor: {name: top_k, k: 1}, gamma: 0.1}"


LOSSY = "{name: lena, deadline_s: 1}"  # for links that do not reach everyone


def cell(more: str = "", mac: str = "csma_ca") -> str:
    return f"{{name: ieee802154, mac: {mac}{', ' + more if more else ''}}}"


def line(nodes: int, apart_m: float = 1.0) -> str:
    """A star whose nodes, the server last, stand in a line."""
    places = ", ".join(f"[{apart_m * i:g}, 0]" for i in range(nodes))
    return f"{{positions_m: [{places}]}}"


def disc(range_m: float, more: str = "") -> str:
    return cell(f"path_loss: {{name: disc, range_m: {range_m}}}{more}")


# A receiver hears each of its neighbours for 4.6 ms of 4.6 ms and the mean of the longest backoff, (2^max_be - 1) / 2
# times 0.32 ms: 0.481 of the time with 5, 0.804 with 3, 0.101 with 8. More than 20 at once are warned of: 42 neighbours
# with 5, 25 with 3, 198 with 8.
LOADS: dict[str, tuple[int, str, str, int | None]] = {
    "a star of 41 and its server": (41, "star", CSMA, None),
    "a star of 42 and its server": (42, "star", CSMA, 20),
    "a star of 200": (200, "star", CSMA, 96),
    "slots": (42, "star", cell(mac="slotted"), 20),
    "short backoffs": (25, "star", cell(mac="{name: csma_ca, min_be: 3, max_be: 3}"), 20),
    "short backoffs of one less": (24, "star", cell(mac="{name: csma_ca, min_be: 3, max_be: 3}"), None),
    "long backoffs": (197, "star", cell(mac="{name: csma_ca, max_be: 8}"), None),
    "long backoffs of one more": (198, "star", cell(mac="{name: csma_ca, max_be: 8}"), 20),
    "radios that listen now and then": (
        42, "star", cell("radio_policy: {name: duty_cycle, period_s: 0.1, on_s: 0.01}"), 20
    ),
    "radios that wake": (42, "star", cell("radio_policy: {name: sleep_when_idle, wake_s: 1 ms}"), 20),
    "radios that sleep": (42, "star", cell("radio_policy: sleep_when_idle"), 20),
    "peers that all hear each other": (43, "complete", CSMA, 20),
    "peers that all hear each other, one less": (42, "complete", CSMA, None),
    "a ring whose radios all hear each other": (43, "ring", CSMA, 20),
    "a line of 150, 10 neighbours": (149, line(150), disc(5), None),
    "a line of 150, 40 neighbours": (149, line(150), disc(20), None),
    "a line of 150, 42 neighbours": (149, line(150), disc(21), 20),
    "one place, 41 neighbours": (41, line(42, 0.0), disc(1), None),
    "one place, 42 neighbours": (42, line(43, 0.0), disc(1), 20),
    "peers of a torus that all hear each other": (64, "torus", CSMA, 30),
    "peers of a drawn graph": (60, "{name: k_regular, degree: 4}", CSMA, 28),
    "peers on a square with a radius": (60, "{name: geometric, radius_m: 30, side_m: 40}", CSMA, 28),
    "peers that take turns": (200, "ring", cell(mac="single"), None),
    "far apart": (149, line(150, 100), disc(50), None),
    # CC2420 at 0 dBm and exponent 3 is heard up to 67 m: by 67 neighbours on each side, or by 3 that are 20 m apart.
    "heard by power": (149, line(150), cell("path_loss: log_distance"), 64),
    "heard by power, seldom": (149, line(150, 20), cell("path_loss: log_distance"), None),
    "taking turns": (200, "star", cell(mac="single"), None),
    "in slots of their own": (200, "star", cell(mac="{name: tsch, server_cells: 1}"), None),
    "wires": (200, "star", "{name: ethernet_udp, rate_bps: 1e6}", None),
    "far away": (200, "star", "{name: wan, rate_bps: 1e6, server_bps: 1e6}", None),
    "LoRa": (200, "star", "{name: lora, collisions: false}", None),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "topology", "link", "load"), LOADS.values(), ids=LOADS)
def test_who_is_warned(netsim: Command, nodes: int, topology: str, link: str, load: int | None) -> None:
    algorithm = LOSSY if "positions" in topology else "gd" if topology == "star" else GOSSIP
    text = TEXT.format(nodes=nodes, topology=topology, link=link, algorithm=algorithm)
    code, said, error = netsim("validate", "kind.yaml", text=text)
    assert code == 0, error
    warned = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert len(warned) == (load is not None)
    assert load is None or f"link: nodes that all send at once offer {load} times" in warned[0]


def test_both_ways_are_warned_of_and_a_study_says_so_once(netsim: Command) -> None:
    """Up and down are two media with a name each; points that are alike repeat nothing, a smaller one says nothing."""
    text = TEXT.format(nodes=50, topology="star", link=CSMA, algorithm="gd")
    text = text.replace(f"  link: {CSMA}\n", f"  uplink: {CSMA}\n  downlink: {CSMA}\n")
    code, said, _ = netsim("validate", "kind.yaml", "-s", "sweep={seed: [1, 2, 3]}", text=text)
    assert code == 0
    warned = [
        line.partition(":")[2].split(":")[0].strip() for line in said.splitlines() if line.startswith("warning: ")
    ]
    assert warned == ["uplink", "downlink"]


MOVING: dict[str, tuple[int, str, str, str]] = {
    "contention": (40, "star", CSMA, "gd"),
    "contention of peers": (24, "complete", CSMA, GOSSIP),
    "neighbours alone": (59, line(60), disc(30), LOSSY),
    "slots": (40, "star", cell(mac="slotted"), "gd"),
    "an ideal scheduler": (40, "star", cell(mac="single"), "gd"),
    "turns": (40, "star", cell(mac="{name: tsch, server_cells: 1}"), "gd"),
    "LoRa": (40, "star", "{name: lora, collisions: false}", "gd"),
    "a shared port": (40, "star", "{name: wan, rate_bps: 1e6, server_bps: 1e5}", "gd"),
    "wires of many rates": (
        40, "star", f"{{name: ethernet_udp, rate_bps: [{', '.join(str(1000 + 50 * i) for i in range(40))}]}}", "gd"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "topology", "link", "algorithm"), MOVING.values(), ids=MOVING)
def test_the_clock_is_seen_to_move(
    nodes: int, topology: str, link: str, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told of every eighth instant, whoever watches sees later and later times before the first round ends."""
    monkeypatch.setattr(engine, "INSTANTS", 8)
    scenario = parse_text(TEXT.format(nodes=nodes, topology=topology, link=link, algorithm=algorithm))
    seen = list[tuple[int, float]]()

    def watch(round: int, sim_time_s: float, loss: float) -> None:
        seen.append((round, sim_time_s))

    engine.simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem(), watch)
    inside = [at for round, at in seen if round == 0]
    assert len(set(inside)) >= 4
    assert inside == sorted(inside)
    assert [round for round, _ in seen] == sorted(round for round, _ in seen)
    ends: Any = [at for round, at in seen if round == 1]
    assert not ends or inside[-1] <= ends[0]


def test_few_instants_that_take_long_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where 300 nodes contend without backoff an instant takes half a second of this host: so seconds count, too."""
    monkeypatch.setattr(engine, "INSTANTS", 10**9)
    monkeypatch.setattr(engine, "TOLD_S", 0.0)
    link = cell(mac="{name: csma_ca, min_be: 2, max_be: 3}")
    scenario = parse_text(TEXT.format(nodes=10, topology="star", link=link, algorithm="gd"))
    seen = list[float]()
    engine.simulate(
        scenario, scenario.algorithms[0], 0, scenario.open_problem(), lambda round, at, loss: seen.append(at)
    )
    assert len(set(seen)) > 10
    assert seen == sorted(seen)
