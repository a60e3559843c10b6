"""Radios, frames and wires at values that no other test has: numbers by hand from their sources, or a sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from channels.media.lrwpan.framing import SixLowpan, frames_of
from netsim import registry
from netsim.interfaces import Delivery, Medium, Node
from netsim.scenario import parse_text
from netsim.simulation.engine import simulate
from tests.kinds.conftest import BASE
from tests.support.media import drain


def opened(workers: int = 3, places: Any = None, **keys: Any) -> Medium:
    """A medium of so many workers and a server."""
    where = places or [None] * (workers + 1)
    nodes = [Node(i, i == workers, place) for i, place in enumerate(where)]
    medium: Medium = registry.build("channel", keys).open(nodes, np.random.default_rng(3))
    return medium


WIRE = "uplink: {name: ethernet_udp, rate_bps: 1 Mbit/s}"


def last_row(**changes: str) -> dict[str, Any]:
    """The last row of a run of `BASE` with texts replaced by others."""
    text = BASE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    scenario = parse_text(text)
    result = simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem())
    row: dict[str, Any] = result.tables["rounds"].to_pylist()[-1]
    return row


# --- path loss -----------------------------------------------------------------------------------------------------


def reach(places_m: list[float], radio: Any = "cc2420", **keys: Any) -> Any:
    loss: Any = registry.build("path_loss", {"name": "log_distance", **keys})
    nodes = [Node(i, position_m=(x, 0.0)) for i, x in enumerate(places_m)]
    return loss.reach(nodes, registry.build("energy", radio if isinstance(radio, dict) else {"name": radio}))


# 20 log10(4 pi f / c), computed by hand: 20 log10 f [Hz] - 147.5522.
CARRIERS = {"868 MHz": 31.2182, "915 MHz": 31.6762, "2.45 GHz": 40.2311, "5.15 GHz": 46.6840, "60 GHz": 68.0108}


@pytest.mark.parametrize(("carrier", "at_1_m_db"), CARRIERS.items())
@pytest.mark.parametrize("exponent", [1.6, 2.0, 2.7, 4.0])
def test_power_at_a_distance(carrier: str, at_1_m_db: float, exponent: float) -> None:
    """At 0.2, 1, 25 and 400 m; nearer than 1 m it is the power at 1 m."""
    power = reach([0, 0.2, 1, 25, 400], frequency_hz=carrier, exponent=exponent, tx_power_dbm=4).power_mw[0]
    far = [4 - at_1_m_db - 10 * exponent * math.log10(d) for d in (1, 1, 25, 400)]
    np.testing.assert_allclose(10 * np.log10(power[1:]), far, atol=2e-3)


# Sensitivity, threshold of an assessment (dBm), as the profiles' docstrings state them.
RADIOS = {"cc2420": (-95, -77), "cc2538": (-97, -81), "at86rf233": (-101, -80), "nrf52840": (-100, -72)}


@pytest.mark.parametrize("radio", RADIOS)
@pytest.mark.parametrize(("keys", "exponent", "budget_db"), [
    ({"exponent": 2.2, "tx_power_dbm": -7}, 2.2, -47.2311),
    ({"exponent": 4, "frequency_hz": "868 MHz"}, 4, -31.2182),
    ({"exponent": 2, "reference_loss_db": 50}, 2, -50),
])  # fmt: skip
def test_ranges_of_each_radio(radio: str, keys: dict[str, Any], exponent: float, budget_db: float) -> None:
    heard, noticed = (10 ** ((budget_db - dbm) / (10 * exponent)) for dbm in RADIOS[radio])
    found = reach([0, 0.999 * heard, 1.001 * heard, 0.999 * noticed, 1.001 * noticed], radio, **keys)
    assert found.hears[0, 1:3].tolist() == [True, False]
    assert (found.power_mw[0, 3:] >= found.cca_mw).tolist() == [True, False]
    assert found.hears[0, 3:].all()


@pytest.mark.parametrize("radio", RADIOS)
def test_a_message_goes_as_far_as_the_radio_hears(radio: str) -> None:
    """Noise of -300 dBm is refused, of -200 dBm loses nothing: what is heard arrives, what is not does not."""
    far = 10 ** ((-40.2311 - RADIOS[radio][0]) / 30)
    path = {"name": "log_distance", "noise_dbm": -200}
    keys = {"name": "ieee802154", "mac": "csma_ca", "radio": radio, "reliable": False, "path_loss": path}
    for times, is_ok in ((0.999, True), (1.001, False)):
        medium = opened(1, [(0.0, 0.0), (times * far, 0.0)], **keys)
        medium.submit(0, 0, (1,), 50)
        assert [d.ok for d in drain(medium)] == [is_ok]


# --- joules of radios -----------------------------------------------------------------------------------------------


CURRENTS = {"cc2538": (24, 20, 24), "cc2420": (17.4, 18.8, 18.8), "nrf52840": (6.4, 6.53, 6.53)}  # mA


@pytest.mark.parametrize("radio", [*CURRENTS, "{name: cc2538, voltage_v: 2.1, listen_a: 0.02}"])
def test_joules_of_a_run(radio: str) -> None:
    """One round of one worker, 24 bytes each way: each node sends a frame of 1312 us and receives one. The first is
    acknowledged in 352 us, the run ends before the acknowledgement of the other; both listen for all the rest.
    """
    link = {WIRE: f"link: {{name: ieee802154, radio: {radio}}}", "nodes: 3": "nodes: 1", "rounds: 2": "rounds: 1"}
    row = last_row(**link)
    tx, rx, listen = CURRENTS.get(radio, (24, 20, 20))
    volt, air_s = 3.0 if radio in CURRENTS else 2.1, (2 * 1312 + 352) * 1e-6
    assert row["energy_tx_j"] == pytest.approx(volt * tx * 1e-3 * air_s, rel=1e-9)
    assert row["energy_rx_j"] == pytest.approx(volt * rx * 1e-3 * air_s, rel=1e-9)
    assert row["energy_listen_j"] == pytest.approx(volt * listen * 1e-3 * (2 * row["sim_time_s"] - 2 * air_s), rel=1e-9)


# --- LoRa -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "size", "symbols", "symbol_ms"), [
    # AN1200.13: 12.25 + 8 + ceil((8 PL - 4 SF + 28 + 16 CRC - 20 IH) / (4 (SF - 2 DE))) (CR + 4) symbols.
    ({"spreading_factor": 7}, 33, 12.25 + 8 + 10 * 5, 1.024),  # (264 - 28 + 44) / 28 = 10
    ({"spreading_factor": 7, "coding_rate": 4, "crc": False}, 33, 12.25 + 8 + 10 * 8, 1.024),  # 264 / 28 = 9.4
    ({"spreading_factor": 8, "implicit_header": True}, 14, 12.25 + 8 + 4 * 5, 2.048),  # (112 - 32 + 24) / 32 = 3.25
    ({"spreading_factor": 10, "coding_rate": 3}, 20, 12.25 + 8 + 5 * 7, 8.192),  # (160 - 40 + 44) / 40 = 4.1
    ({"spreading_factor": 10, "preamble_symbols": 12}, 64, 16.25 + 8 + 13 * 5, 8.192),  # (512 + 4) / 40 = 12.9
    ({"spreading_factor": 11}, 33, 12.25 + 8 + 8 * 5, 16.384),  # DE: 264 / 36 = 7.3
    ({"spreading_factor": 11, "bandwidth_hz": "250 kHz"}, 33, 12.25 + 8 + 6 * 5, 8.192),  # 264 / 44 = 6
    ({"spreading_factor": 12}, 14, 12.25 + 8 + 3 * 5, 32.768),  # DE: (112 - 48 + 44) / 40 = 2.7
    ({"spreading_factor": 12, "bandwidth_hz": "250 kHz"}, 20, 12.25 + 8 + 4 * 5, 16.384),  # DE: 156 / 40 = 3.9
    ({"spreading_factor": 12, "bandwidth_hz": "500 kHz"}, 64, 12.25 + 8 + 11 * 5, 8.192),  # 508 / 48 = 10.6
])  # fmt: skip
def test_airtime(keys: dict[str, Any], size: int, symbols: float, symbol_ms: float) -> None:
    """Of one frame with 13 bytes of LoRaWAN's headers, through the medium, and its cost."""
    medium = opened(1, name="lora", collisions=False, start_window_s=0, radio_policy="always_on", **keys)
    medium.submit(5, 0, (1,), size - 13)
    (d,) = drain(medium)
    assert d.at_ns - 5 == d.airtime_ns == round(symbols * symbol_ms * 1e6)
    assert d.wire_bytes == size
    assert float(medium.cost("s", 0, 1)(8.0 * (size - 13))) == pytest.approx(symbols * symbol_ms * 1e-3, rel=1e-12)


LORA: dict[str, Any] = {
    "name": "lora",
    "start_window_s": 0,
    "duty_cycle": 1,
    "radio_policy": "always_on",
    "spreading_factor": 10,
}
FRAME_NS = round((12.25 + 8 + 13 * 5) * 8.192e6)  # of 51 + 13 bytes


@pytest.mark.parametrize(("sent", "heard"), [
    # (at, from, to) of messages of one frame; node 3 is the gateway.
    (((0, 0, 3), (FRAME_NS // 2, 1, 3)), (False, False)),
    (((0, 0, 3), (FRAME_NS // 2, 1, 3), (3 * FRAME_NS, 2, 3)), (False, False, True)),
    (((0, 0, 3), (FRAME_NS - 1, 1, 3), (2 * FRAME_NS - 2, 2, 3)), (False, False, False)),
    (((0, 0, 3), (FRAME_NS, 1, 3), (2 * FRAME_NS, 2, 3)), (True, True, True)),
    (((0, 3, 0), (1, 1, 3)), (False, False)),  # the gateway sends and hears nothing; its frame meets the other's
    (((0, 3, 0), (FRAME_NS, 1, 3)), (True, True)),
    (((0, 0, 3), (FRAME_NS // 3, 3, 1)), (False, False)),  # it begins to send while it receives
    (((0, 0, 1), (0, 1, 0)), (False, False)),  # both send to each other
])  # fmt: skip
def test_frames_that_overlap(sent: tuple[tuple[int, int, int], ...], heard: tuple[bool, ...]) -> None:
    medium, found = opened(**LORA), list[Delivery]()
    for at, src, dst in sent:
        found += medium.advance(at)
        medium.submit(at, src, (dst,), 51)
    found += drain(medium)
    assert tuple(d.ok for d in sorted(found, key=lambda d: d.transfer)) == heard
    free, found = opened(**LORA, collisions=False), []
    for at, src, dst in sent:
        found += free.advance(at)
        free.submit(at, src, (dst,), 51)
    assert all(d.ok for d in found + drain(free))


def test_a_gateway_that_answers_late_costs_only_who_sends_then() -> None:
    """A broadcast of the gateway reaches those that are silent; who ends before it begins is heard."""
    medium = opened(4, **LORA)
    medium.submit(0, 0, (4,), 51)
    found = list(medium.advance(FRAME_NS))
    medium.submit(FRAME_NS, 4, (0, 1, 2), 51)
    found += drain(medium)
    assert [d.ok for d in found] == [True] * 4


# --- TCP connections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "made"), [
    # Three rounds of one worker, six messages of one segment: with true six connections are made.
    ("link: {name: wan, rate_bps: 1e6, rtt_s: 0.04, handshake: HOW}", {"per_connection": 1, "true": 6, "false": 0}),
    ("uplink: {name: wan, rate_bps: 1e6, rtt_s: 0.04, handshake: HOW}", {"per_connection": 1, "true": 3, "false": 0}),
])  # fmt: skip
def test_handshakes_of_a_run(network: str, made: dict[str, int]) -> None:
    """Each takes a round trip and two segments of 54 bytes; models that go down free of charge make none."""
    times = dict[str, float]()
    for how in made:
        keys = {WIRE: network.replace("HOW", how), "nodes: 3": "nodes: 1", "rounds: 2": "rounds: 3"}
        times[how] = last_row(**keys)["sim_time_s"]
    for how, count in made.items():
        assert times[how] - times["false"] == pytest.approx(count * (0.04 + 2 * 8 * 54 / 1e6), rel=1e-9)


# --- 6LoWPAN --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "compressed", "global_"), [
    # MPDU octets: 11 of the MAC, 4 or 5 of a fragment, 6 or 38 of compressed headers, 104 (72) bytes at first.
    (1, [11 + 6 + 1], [11 + 38 + 1]),
    (110, [127], [125, 11 + 5 + 38]),
    (111, [125, 11 + 5 + 7], [125, 11 + 5 + 39]),
    (208, [125, 120], [125, 120, 11 + 5 + 32]),
    (300, [125, 120, 11 + 5 + 92], [125, 120, 120, 11 + 5 + 20]),
    (1000, [125, *[120] * 8, 11 + 5 + 64], [125, *[120] * 8, 11 + 5 + 96]),
    (1232, [125, *[120] * 10, 11 + 5 + 88], [125, *[120] * 11, 11 + 5 + 16]),
    (2000, [125, *[120] * 10, 104, 125, *[120] * 6, 56], [125, *[120] * 11, 32, 125, *[120] * 6, 11 + 5 + 72]),
    (2 * 1232 + 1, 2 * [125, *[120] * 10, 104] + [18], 2 * [125, *[120] * 11, 32] + [50]),
])  # fmt: skip
def test_octets_of_fragments(size: int, compressed: list[int], global_: list[int]) -> None:
    for has_global, mpdu in ((False, compressed), (True, global_)):
        assert [octets - 6 for octets in frames_of(SixLowpan(has_global), size)] == mpdu
        framing = "sixlowpan_global" if has_global else "sixlowpan"
        medium = opened(1, name="ieee802154", mac="csma_ca", framing=framing)
        assert float(medium.cost("packet", 0, 1)(8.0 * size)) == len(mpdu)
        assert float(medium.cost("bit", 0, 1)(8.0 * size)) == 8 * (sum(mpdu) + (6 + 11) * len(mpdu))
        medium.submit(0, 0, (1,), size)
        (d,) = drain(medium)
        assert (d.ok, d.packets, d.wire_bytes) == (True, len(mpdu), sum(mpdu) + (6 + 11) * len(mpdu))


# --- Ethernet -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "size", "packets_us"), [
    # 66 bytes beside the datagram's in real packets of at least 84 bytes, 54 in those of the CAT paper.
    ({"mtu_bytes": 576, "rate_bps": 1e6}, 1000, [614 * 8, (452 + 66) * 8]),
    ({"mtu_bytes": 576, "rate_bps": 1e6}, 549, [614 * 8, 84 * 8]),
    ({"mtu_bytes": 576, "rate_bps": 1e6, "accounting": "cat"}, 549, [602 * 8, 55 * 8]),
    ({"mtu_bytes": 9000, "rate_bps": "100 Mbit/s"}, 10_000, [9038 * 0.08, (1028 + 66) * 0.08]),
    ({"mtu_bytes": 68, "rate_bps": "64 kbit/s"}, 100, [106 * 125, 106 * 125, 86 * 125]),
    ({"mtu_bytes": 68, "rate_bps": "64 kbit/s"}, 81, [106 * 125, 106 * 125, 84 * 125]),
    ({"mtu_bytes": 1492, "rate_bps": 1e7}, 1464 + 18, [1530 * 0.8, 84 * 0.8]),
    ({"mtu_bytes": 1492, "rate_bps": 1e7}, 1464 + 19, [1530 * 0.8, 85 * 0.8]),
    ({"mtu_bytes": 65535, "rate_bps": 1e9}, 65_507, [65_573 * 0.008]),
    ({"mtu_bytes": 1280, "rate_bps": [2e6, 5e5, 8e6]}, 2000, [1318 * 4, (748 + 66) * 4]),
    ({"mtu_bytes": 576, "rate_bps": 3e6}, 700, [614 * 8 / 3, (152 + 66) * 8 / 3]),
])  # fmt: skip
def test_a_last_packet_takes_its_own_time(keys: dict[str, Any], size: int, packets_us: list[float]) -> None:
    """Each packet's time is rounded to a nanosecond; 1 ms on the way."""
    medium = opened(name="ethernet_udp", delay_s="1 ms", **keys)
    medium.submit(0, 0, (3,), size)
    (d,) = drain(medium)
    assert d.packets == len(packets_us)
    assert d.at_ns == sum(math.floor(1000 * us + 0.5) for us in packets_us) + 1_000_000
    cost_s = float(medium.cost("s", 0, 3)(8.0 * size))
    assert cost_s == pytest.approx(sum(packets_us) * 1e-6 + 1e-3, abs=len(packets_us) * 1e-9)


def test_rates_of_nodes_in_a_run() -> None:
    """Two rounds of 24 bytes up, padded to 90 bytes in all: each round waits for the slowest of 1 Mbit/s, 2 and 0.5."""
    rates = "uplink: {name: ethernet_udp, rate_bps: [1 Mbit/s, 2e6, 500 kbit/s]}"
    row = last_row(**{WIRE: rates})
    size = row["uplink_message_bytes"] / 6
    assert row["sim_time_s"] == pytest.approx(2 * 8 * max(84, size + 66) / 5e5, rel=1e-9)


# --- sentences ------------------------------------------------------------------------------------------------------

CSMA = "{{name: ieee802154, mac: csma_ca, {}}}"
BAD = {
    "a carrier of wavelength": CSMA.format("path_loss: {name: log_distance, frequency_hz: 12 cm}"),
    "a carrier of 0": CSMA.format("path_loss: {name: log_distance, frequency_hz: 0 GHz}"),
    "a carrier in milli": CSMA.format("path_loss: {name: log_distance, frequency_hz: 868 mHz}"),
    "an exponent below 0": CSMA.format("path_loss: {name: log_distance, exponent: -2}"),
    "a power in watts": CSMA.format("path_loss: {name: log_distance, tx_power_dbm: 1 mW}"),
    "a threshold without number": CSMA.format("path_loss: {name: log_distance, cca_threshold_dbm: .nan}"),
    "a range of nothing": CSMA.format("path_loss: {name: disc, range_m: 0}"),
    "log_distance without positions": CSMA.format("path_loss: log_distance"),
    "a radio with current below 0": "{name: ieee802154, radio: {name: cc2538, listen_a: -0.024}}",
    "a radio in watts": "{name: ieee802154, radio: {name: cc2538, listen_a: 72 mW}}",
    "a radio of no volts": "{name: ieee802154, radio: {name: cc2538, voltage_v: 0}}",
    "a radio that is none": "{name: ieee802154, radio: cc2539}",
    "frames without payload": "{name: ieee802154, payload_bytes: 0}",
    "frames with too much": "{name: ieee802154, payload_bytes: 117}",
    "a scheduler of fragments": "{name: ieee802154, framing: sixlowpan_global}",
    "spreading by 6": "{name: lora, spreading_factor: 6}",
    "spreading by half": "{name: lora, spreading_factor: 7.5}",
    "a rate of SF 10 too much": "{name: lora, spreading_factor: 10, payload_bytes: 52, collisions: false}",
    "a rate of SF 9 too much": "{name: lora, spreading_factor: 9, payload_bytes: 116, collisions: false}",
    "a rate of SF 8 too much": "{name: lora, spreading_factor: 8, payload_bytes: 223, collisions: false}",
    "headers below nothing": "{name: lora, overhead_bytes: -1, collisions: false}",
    "headers beyond the frame": "{name: lora, overhead_bytes: 250, collisions: false}",
    "no preamble": "{name: lora, preamble_symbols: 0, collisions: false}",
    "a code of 4/9": "{name: lora, coding_rate: 5, collisions: false}",
    "a code as it is written": "{name: lora, coding_rate: 4/5, collisions: false}",
    "more than all the time": "{name: lora, duty_cycle: 1.01, collisions: false}",
    "a share in percent": "{name: lora, duty_cycle: 1%, collisions: false}",
    "a window of infinity": "{name: lora, start_window_s: .inf, collisions: false}",
    "gd that loses": "{name: lora}",
    "an MTU without room": "{name: ethernet_udp, rate_bps: 1e6, mtu_bytes: 28}",
    "an MTU of 0": "{name: ethernet_udp, rate_bps: 1e6, mtu_bytes: 0}",
    "an MTU below 0": "{name: ethernet_udp, rate_bps: 1e6, mtu_bytes: -1500}",
    "an MTU of half a byte": "{name: ethernet_udp, rate_bps: 1e6, mtu_bytes: 12.004 kbit}",
    "an MTU by node": "{name: ethernet_udp, rate_bps: 1e6, mtu_bytes: [1500, 1500, 1500]}",
    "rates of two nodes": "{name: ethernet_udp, rate_bps: [1e6, 2e6]}",
    "rates of the server, too": "{name: ethernet_udp, rate_bps: [1e6, 2e6, 3e6, 4e6]}",
    "a rate of 0 in a list": "{name: ethernet_udp, rate_bps: [1e6, 0, 3e6]}",
    "a rate that is missing": "{name: ethernet_udp, rate_bps: [1e6, null, 3e6]}",
    "a rate of true": "{name: ethernet_udp, rate_bps: [1e6, true, 3e6]}",
    "rates in rates": "{name: ethernet_udp, rate_bps: [[1e6, 2e6, 3e6], 1e6, 1e6]}",
    "rates by name": "{name: ethernet_udp, rate_bps: {'0': 1e6, '1': 1e6, '2': 1e6}}",
    "a list of a port": "{name: ethernet_udp, rate_bps: 1e6, server_rate_bps: [1e6, 1e6, 1e6]}",
    "a packet smaller than nothing": "{name: ethernet_udp, rate_bps: 1e6, min_frame_bytes: -84}",
    "packets of no time": "{name: ethernet_udp, rate_bps: [1e12, 1e12, 1e12], overhead_bytes: 0, min_frame_bytes: 0}",
    "a handshake now and then": "{name: wan, rate_bps: 1e6, handshake: sometimes}",
    "a handshake of 2": "{name: wan, rate_bps: 1e6, handshake: 2}",
    "a handshake by node": "{name: wan, rate_bps: 1e6, handshake: [true, false, true]}",
}


@pytest.mark.parametrize("link", BAD.values(), ids=BAD)
def test_a_sentence(refused: Any, link: str) -> None:
    said = refused("validate", "kind.yaml", **{WIRE: f"link: {link}"})
    assert "Got" in said
    assert "network" in said
