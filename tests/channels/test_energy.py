"""Power profiles against their sources, and the energy of frames and wires that follows from them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from channels.media.lrwpan.backoff import backoffs
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import STATES, Node
from netsim.scenario import parsing

# Currents in mA at 3 V: sending at 0 dBm, receiving, listening; uJ of an acknowledged frame with 100 bytes. CC2538
# draws 20 mA while it receives at -50 dBm and 24 mA while it waits for a signal (SWRS096).
CHIPS = {
    "cc2420": (17.4, 18.8, 18.8, 307.3),
    "cc2538": (24.0, 20.0, 24.0, 408.2),
    "nrf52840": (6.40, 6.53, 6.53, 110.8),
    "at86rf233": (11.8, 11.8, 11.8, 202.8),
}


def profile(name: str, **keys: Any) -> Any:
    return registry.build("energy", {"name": name, **keys})


@pytest.mark.parametrize("name", CHIPS)
def test_chips(name: str) -> None:
    tx, rx, listen, _ = CHIPS[name]
    chip = profile(name)
    power = [1e3 * chip.power_w(state) for state in STATES]
    assert power[:3] == pytest.approx([3 * tx, 3 * rx, 3 * listen])
    assert power[2] > power[3] >= power[4] > 0
    assert profile(name, voltage_v=1.8).power_w("tx") == pytest.approx(1.8e-3 * tx)


@pytest.mark.parametrize("name", CHIPS)
def test_energy_of_an_acknowledged_frame(name: str) -> None:
    """V (I_tx 32 (n + 17) + I_listen (1120 + 128 + 192 + 192) + I_rx 352) nJ, the mean over eight backoffs; mA, us."""
    tx, rx, listen, microjoule = CHIPS[name]
    formula = 3 * (tx * 32 * 117 + listen * (1120 + 128 + 192 + 192) + rx * 352) * 1e-9
    assert formula * 1e6 == pytest.approx(microjoule, abs=0.05)
    channel = registry.build("channel", {"name": "ieee802154", "radio": name})
    key = int(np.random.default_rng(0).integers(1 << 64, dtype=np.uint64))
    spent, beyond = dict[int, float](), dict[int, float]()
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    for transfer in range(100):
        start = transfer * 10**8
        before = medium.usage(start).energy_j[0].sum()
        medium.submit(start, 0, (1,), 100)
        (d,) = medium.advance(start + 10**7)
        b = int(backoffs(key, transfer, 1)[0])
        # From submit to the end of the acknowledgement.
        medium.advance(end := start + (4608 + 320 * b) * 1000)
        spent[b] = medium.usage(end).energy_j[0].sum() - before
        beyond[b] = d.energy_j
        assert d.energy_j == pytest.approx(spent[b] - channel.radio.power_w("idle") * (end - start) / 1e9, rel=1e-9)
    assert sorted(spent) == list(range(8))
    assert sum(spent.values()) / 8 == pytest.approx(formula, rel=1e-9)
    assert sum(beyond.values()) / 8 == pytest.approx(float(medium.cost("j", 0, 1)(800.0)), rel=1e-12)


def test_ethernet_draws_the_same_whether_it_sends_or_not() -> None:
    power = profile("ethernet")
    assert [power.power_w(state) for state in STATES] == [0.25, 0.25, 0.25, 0.25, 0.0]
    saving = profile("ethernet", active_w=0.5, idle_w=0.1)
    assert [saving.power_w(state) for state in STATES] == [0.5, 0.5, 0.5, 0.1, 0.0]


@pytest.mark.parametrize("name", registry.names("energy"))
def test_every_profile_knows_the_states_and_survives_its_configuration(name: str) -> None:
    for example in registry.get("energy", name).examples:  # type: ignore[attr-defined]
        power = profile(name, **example)
        assert registry.build("energy", parsing.dump(power)) == power
        assert pickle.loads(pickle.dumps(power)) == power
        assert min(power.power_w(state) for state in STATES) >= 0
        with pytest.raises(ValueError, match=r"one of tx, rx, listen, idle, sleep\. Got 'off'"):
            power.power_w("off")


def test_wires_draw_for_what_they_send() -> None:
    """1 ms of sending at 0.5 W against 0.1 W idle: 0.4 mJ of the message's own, the rest is the interface's."""
    power = {"name": "ethernet", "active_w": 0.5, "idle_w": 0.1}
    channel = registry.build("channel", {"name": "packet", "rate_bps": 4.608e6, "power": power})
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0))
    medium.submit(0, 0, (1,), 512)
    (d,) = medium.advance(1_000_000)
    assert d.energy_j == pytest.approx(0.4e-3, rel=1e-12)
    assert float(medium.cost("j", 0, 1)(4096.0)) == pytest.approx(0.4e-3, rel=1e-12)
    usage = medium.usage(3_000_000)
    assert usage.interfaces == [(0, "out"), (0, "in"), (1, "out"), (1, "in")]
    # tx, rx, listen, idle, sleep: 1 ms busy at 0.5 W, 2 ms idle at 0.1 W; the others 3 ms idle.
    busy, idle = [0.5e-3, 0.2e-3], 0.3e-3
    expected = [[busy[0], 0, 0, busy[1], 0], [0, 0, 0, idle, 0], [0, 0, 0, idle, 0], [0, busy[0], 0, busy[1], 0]]
    np.testing.assert_allclose(usage.energy_j, expected, rtol=1e-12)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="idle_w: a number >= 0"):
        profile("ethernet", idle_w=-1)
    with pytest.raises(ConfigError, match="voltage_v: a number > 0"):
        profile("cc2420", voltage_v=0)
