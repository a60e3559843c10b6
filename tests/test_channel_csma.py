"""Contending IEEE 802.15.4 nodes: the compiled medium against one simpy process a node, by hand, and against ns-3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from channels import ieee802154
from channels._csma import ContendingNodes
from netsim import registry
from netsim.interfaces import Delivery, Node
from tests.csma_twin import Twin

US = 1000


def cell(**keys: Any) -> Any:
    return registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", **keys})


def star(nodes: int) -> list[Node]:
    return [Node(i, i == nodes) for i in range(nodes + 1)]


def twin_of(channel: Any, nodes: Sequence[Node], seed: int, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """The slow medium of a channel."""
    with monkeypatch.context() as patch:
        patch.setattr(ieee802154, "ContendingNodes", Twin)
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
    out = list[Delivery]()
    for now in sorted({*(c[0] for c in calls), *cuts}):
        out += medium.advance(now)
        for at, src, dst, size in calls:
            if at == now:
                medium.submit(at, src, dst, size)
    while (next_ns := medium.next_event_ns()) is not None:
        out += medium.advance(next_ns)
    return out


PLACES = [(0.0, 0.0), (30.0, 0.0), (60.0, 0.0), (0.0, 40.0), (30.0, 40.0), (65.0, 35.0), (20.0, 20.0)]
VARIANTS: dict[str, dict[str, Any]] = {
    "strict": {},
    "any overlap": {"cca": "any_overlap"},
    "not reliable": {"reliable": False},
    "capture": {"collisions": "capture"},
    "capture, not reliable": {"collisions": "capture", "reliable": False, "cca": "any_overlap"},
    "loss": {"per": 0.2, "payload_bytes": 30},
    "no acknowledgements": {"acknowledge": False, "reliable": False},
    "6LoWPAN": {"framing": "sixlowpan", "radio_policy": "sleep_when_idle"},
    "sleep": {"radio_policy": "sleep_when_idle", "reliable": False},
    "slotted": {"mac": "slotted"},
    "slotted, capture": {"mac": "slotted", "collisions": "capture", "reliable": False},
    "hidden": {"range_m": 45.0},
    "hidden, capture": {"range_m": 45.0, "collisions": "capture"},
    "path loss": {"path_loss": "log_distance", "path_loss_exponent": 3.2},
    "path loss, capture": {"path_loss": "log_distance", "collisions": "capture", "tx_power_dbm": 2},
    "weak": {"path_loss": "log_distance", "collisions": "capture", "reliable": False, "tx_power_dbm": -7},
}


@pytest.mark.parametrize("peers", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_one_process_a_node(variant: str, peers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries with all their counters, MAC counters, state times: equal, however time is cut."""
    channel = cell(**VARIANTS[variant])
    nodes = [Node(i, i == 6, place) for i, place in enumerate(PLACES)]
    for seed, gap in ((1, 3_000), (2, 20_000)):
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
