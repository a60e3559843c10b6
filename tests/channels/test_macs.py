"""Kinds ``mac`` and ``path_loss``: names at the link, components with keys of their own, and one more in one file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from channels.energy.cc2420 import Cc2420
from channels.links.ieee802154 import Ieee802154
from channels.macs.csma_ca import CsmaCa
from channels.macs.slotted import Slotted
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Node
from netsim.scenario import parsing
from tests.support.lrwpan import cell_keys

CC2420 = Cc2420()
NODES = [Node(i, i == 2, (3.0 * i, 0.0)) for i in range(3)]
PARTS = [
    (kind, {"name": name, **example})
    for kind in ("mac", "path_loss")
    for name in registry.names(kind)
    if registry.get(kind, name).__module__.startswith("channels.")
    for example in cast(Any, registry.get(kind, name)).examples
]


@pytest.mark.parametrize("mac", ["single", "csma_ca", "slotted", "tsch"])
def test_what_programs_write_at_the_link(mac: str) -> None:
    for collisions, cca, reliable in itertools.product(("strict", "capture"), ("ns3", "any_overlap"), (True, False)):
        flat = {"mac": mac, "collisions": collisions, "cca": cca, "reliable": reliable, "payload_bytes": 64}
        link: Ieee802154 = registry.build("channel", {"name": "ieee802154", **flat})
        named = registry.build("channel", {"name": "ieee802154", **flat, "mac": {"name": mac}})
        assert link == named
        assert link.reliable_delivery == (reliable or mac == "single")
        if isinstance(link.mac, CsmaCa):
            rules = link.mac.rules(link)
            assert (rules.strict, rules.ns3_cca) == (collisions == "strict", cca == "ns3")
            assert (rules.reliable, rules.slotted) == (reliable, isinstance(link.mac, Slotted))


@pytest.mark.parametrize(("kind", "config"), PARTS, ids=[f"{c['name']}-{i}" for i, (_, c) in enumerate(PARTS)])
def test_every_example_carries_a_message(kind: str, config: dict[str, Any]) -> None:
    """Two nodes 6 m apart, alone: a message of 300 bytes arrives; plain data give the same component."""
    part = registry.build(kind, config)
    assert registry.build(kind, parsing.dump(part)) == part
    link = registry.build("channel", {**cell_keys(), kind: config})
    medium = link.open(NODES, np.random.default_rng(0))
    medium.submit(0, 0, (2,), 300)
    (delivery,) = medium.advance(10**10)
    assert delivery.ok
    assert delivery.packets == 3


def test_who_hears_whom() -> None:
    near = [Node(0, False, (0.0, 0.0)), Node(1, False, (30.0, 0.0)), Node(2, True, (31.0, 0.0))]
    disc = registry.build("path_loss", {"name": "disc", "range_m": 30.0}).reach(near, CC2420)
    assert disc.hears.tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    weak = {"name": "log_distance", "sensitivity_dbm": -91.0, "reference_loss_db": 46.6777}
    assert not registry.build("path_loss", weak).reach(near, CC2420).hears[0, 2]
    assert registry.build("path_loss", {**weak, "exponent": 2.9}).reach(near, CC2420).hears[0, 2]


MAC = '''
from dataclasses import dataclass
from typing import ClassVar

from channels.media.lrwpan.single import SingleCell
from channels.media.roster import Members
from netsim.errors import Fault
from netsim.registry import component


@component("mac")
@dataclass(frozen=True)
class Half:
    """One message at a time, in half of a frame."""

    examples: ClassVar = ({},)
    contends: ClassVar = False
    always_delivers: ClassVar = True

    def faults(self, cell):
        return [Fault(("payload_bytes",), "at least 2", "1")] if cell.payload_bytes < 2 else []

    def open(self, cell, nodes, key, frames):
        return SingleCell(Members(nodes, cell.radio, frames), cell.payload_bytes // 2, cell.radio_policy, key)
'''


def test_one_more_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    (tmp_path / "half_frames.py").write_text(MAC)
    registry.load_plugin(tmp_path / "half_frames.py")
    link = registry.build("channel", {"name": "ieee802154", "mac": "half_frames"})
    medium = link.open(NODES, np.random.default_rng(0))
    medium.submit(0, 0, (2,), 100)
    (delivery,) = medium.advance(10**10)
    assert (delivery.ok, delivery.packets) == (True, 2)
    with pytest.raises(ConfigError, match=r"payload_bytes: at least 2\. Got 1"):
        registry.build("channel", {"name": "ieee802154", "mac": "half_frames", "payload_bytes": 1})
