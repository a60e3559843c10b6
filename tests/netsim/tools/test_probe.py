"""Probes: closed forms through the whole command, patterns, standard errors, and the sentences for bad input."""

from __future__ import annotations

import csv
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.cli import main
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import Node
from netsim.study.children import each
from netsim.tools import plots, probe, probe_setup
from netsim.tools.probe_command import numbers
from netsim.tools.traffic import Offer, Traffic, read_trace

SCENARIO = """
name: tiny
problem: {name: logistic_regression, dataset: breast_cancer, nodes: 2}
network: {uplink: {name: ethernet_udp, rate_bps: 1e9}}
algorithms: [gd]
stop: {rounds: 2}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(*words: str) -> list[dict[str, float | str]]:
    assert main(["probe", *words, "-o", "out.csv"]) == 0
    with Path("out.csv").open() as file:
        found = list(csv.DictReader(file))
    return [{k: _number(v) for k, v in row.items()} for row in found]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["probe", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.strip()


# --- figures against closed forms ---------------------------------------------------------------------------


def test_a_burst_on_wires_is_exact() -> None:
    """L + 66 bytes, at least 84, at 10 Mbit/s; ten senders have ten wires."""
    found = rows("{name: ethernet_udp, rate_bps: 10 Mbit/s, delay_s: 1 ms}", "--nodes", "1,10", "--message-bytes",
                 "1,1472,1473", "--replications", "2")  # fmt: skip
    assert len(found) == 6
    for row in found:
        wire = {1: 84, 1472: 1538, 1473: 1538 + 84}[int(row["message_bytes"])]
        seconds = 0.001 + 8 * wire / 10e6
        assert row["delivery"] == 1
        for name in ("latency_mean_s", "latency_p50_s", "latency_p99_s", "makespan_s", "service_s"):
            assert row[name] == pytest.approx(seconds, abs=1e-9)
            assert row[f"{name}_se"] == 0
        assert row["wire_bytes"] == wire
        assert row["packets"] == row["attempts"] == 1 + (row["message_bytes"] > 1472)
        assert row["airtime_s"] == pytest.approx(8 * wire / 10e6)


def test_one_acknowledged_frame() -> None:
    """2528 + 32 n us on average to the end of the acknowledgement, 544 us less to the data; 307.3 uJ (CC2420, n = 100).

    400 replications of eight equiprobable backoffs of sd 733.2 us: 5 standard errors, error probability 6e-7 a figure.
    """
    (row,) = rows("ieee802154", "--message-bytes", "100", "--replications", "400")
    error = 733.2e-6 / math.sqrt(400)
    assert row["quiet_s_se"] == pytest.approx(error, rel=0.1)
    assert row["quiet_s"] == pytest.approx(5728e-6, abs=5 * error)
    assert row["latency_mean_s"] == pytest.approx(5184e-6, abs=5 * error)
    assert row["makespan_s"] == row["latency_mean_s"]
    assert row["sender_j"] == pytest.approx(307.3e-6, abs=5 * error * 56.4e-3 + 1e-7)
    assert row["bit_j"] == pytest.approx((row["sender_j"] + row["server_j"]) / 800, rel=1e-6)
    assert row["sender_tx_s"] == pytest.approx(32e-6 * 117)
    states = sum(row[f"sender_{state}_s"] for state in ("tx", "rx", "listen", "idle", "sleep"))
    assert states == pytest.approx(row["quiet_s"])


def test_energy_in_the_file_is_that_of_the_profile() -> None:
    Path("low.yaml").write_text("channel: {name: ieee802154}\nenergy: nrf52840\npositions: {ring_m: 10}\n")
    (low,) = rows("low.yaml", "--message-bytes", "100", "--replications", "200")
    assert low["sender_j"] == pytest.approx(110.8e-6, rel=0.03)


def test_periodic_and_poisson_at_low_load_do_not_queue() -> None:
    for pattern in ("periodic", "poisson"):
        (row,) = rows("{name: ethernet_udp, rate_bps: 1 Gbit/s}", "--message-bytes", "934", "--pattern", pattern,
                      "--rate", "10", "--duration", "100 s", "--replications", "4")  # fmt: skip
        assert row["latency_p95_s"] == pytest.approx(8e-6, rel=1e-3)
        # Poisson: 1000 messages a replication, sd 31.6; 5 of 4 replications' standard errors.
        assert row["messages"] == pytest.approx(4000, abs=1 if pattern == "periodic" else 5 * math.sqrt(4000))


@pytest.mark.slow
def test_poisson_waits_as_mm1_with_constant_service_does() -> None:
    """M/D/1 at load 0.5: mean wait S / 2; 8 x 10000 messages, within 5 standard errors."""
    (row,) = rows("{name: packet, rate_bps: 4608 kbit/s}", "--message-bytes", "512", "--rate", "500",
                  "--messages", "10000", "--replications", "8")  # fmt: skip
    service = 576 * 8 / 4608e3
    assert row["service_s"] == pytest.approx(service)
    error = row["latency_mean_s_se"]
    assert 0 < error < 0.03 * service
    assert abs(row["latency_mean_s"] - service * 1.5) < 5 * error


def test_header_broadcast_and_scenario() -> None:
    (plain,) = rows("{name: packet, rate_bps: 1e6}", "--message-bytes", "512", "--replications", "1")
    (headed,) = rows("{name: packet, rate_bps: 1e6}", "--message-bytes", "512", "--replications", "1", "--header")
    assert (plain["packets"], headed["packets"]) == (1, 2)
    assert plain["latency_mean_s_se"] == ""
    (spoken,) = rows("ieee802154", "--nodes", "3", "--message-bytes", "50", "--replications", "2", "--to", "all")
    assert (spoken["packets"], spoken["delivery"], spoken["messages"]) == (1, 1, 6)
    Path("s.yaml").write_text(SCENARIO)
    (row,) = rows("s.yaml", "--message-bytes", "59", "--replications", "1", "-s", "network.uplink.rate_bps=1e6")
    assert row["latency_mean_s"] == pytest.approx(1e-3)


def test_overrides_of_a_channel() -> None:
    (row,) = rows("ethernet_udp", "-s", "rate_bps=1 Mbit/s", "-s", "accounting=cat", "--message-bytes", "71",
                  "--replications", "1")  # fmt: skip
    assert row["latency_mean_s"] == pytest.approx(1e-3)


# --- traffic ------------------------------------------------------------------------------------------------


def test_periodic_messages_have_one_phase_per_sender() -> None:
    offers = Traffic("periodic", 2, 10, rate=4.0, duration_s=2.0).schedule(1, 0)
    times = {src: [o.at_ns for o in offers if o.src == src] for src in (0, 1)}
    for own in times.values():
        assert len(own) == 8
        assert 0 <= own[0] < 250_000_000
        assert set(np.diff(own).tolist()) <= {249_999_999, 250_000_000, 250_000_001}
    assert times[0][0] != times[1][0]
    assert offers == sorted(offers, key=lambda o: (o.at_ns, o.src))


def test_replications_differ_and_seeds_repeat() -> None:
    traffic = Traffic("poisson", 2, 10, rate=4.0, messages=5)
    assert traffic.schedule(1, 0) == traffic.schedule(1, 0)
    assert traffic.schedule(1, 0) != traffic.schedule(1, 1)
    assert len(traffic.schedule(1, 0)) == 10


def test_a_trace_of_ones_own() -> None:
    Path("t.csv").write_text("src,dst,time_s,bytes\n1,server,0.5,20\n\n0,1,0.25,10\nserver,all,0,30\n")
    traffic = read_trace("t.csv", 8)
    assert traffic.nodes == 2
    assert traffic.offers == (Offer(0, 2, (0, 1), 38), Offer(250_000_000, 0, (1,), 18), Offer(500_000_000, 1, (2,), 28))
    (row,) = rows("{name: ideal, delay_s: 0.1}", "--trace", "t.csv", "--replications", "2")
    assert (row["pattern"], row["nodes"], row["message_bytes"], row["messages"]) == ("trace", 2, "", 6)
    assert row["makespan_s"] == pytest.approx(0.6)


# --- statistics ---------------------------------------------------------------------------------------------


def test_ratio_and_its_error_are_those_of_equal_weights() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    mean, error = probe.ratio(values, np.ones(4))
    assert mean == values.mean()
    assert error == pytest.approx(values.std(ddof=1) / 2)
    assert all(map(math.isnan, probe.ratio(values, np.zeros(4))))


def test_the_error_of_a_ratio_covers() -> None:
    """Of 400 ratios of unequal replications 95 % lie within 1.96 of their errors of the truth, +- 5 %."""
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(400):
        bottom = rng.integers(50, 150, 30).astype(float)
        top = rng.binomial(bottom.astype(int), 0.7).astype(float)
        mean, error = probe.ratio(top, bottom)
        hits += abs(mean - 0.7) < 1.96 * error
    assert 0.90 * 400 <= hits <= 0.99 * 400


def test_quantiles_are_nearest_ranks() -> None:
    parts = [np.arange(1.0, 51.0), np.arange(51.0, 101.0)]
    assert [value for value, _ in probe.quantiles(parts, 0)] == [50, 95, 99]
    assert all(error > 0 for _, error in probe.quantiles(parts, 0))
    assert all(math.isnan(error) for _, error in probe.quantiles(parts[:1], 0))


# --- parallel, plots, a medium that stalls ------------------------------------------------------------------------


def test_jobs_change_nothing() -> None:
    setup = probe_setup.load("ieee802154")
    grid = [Traffic("burst", n, 100) for n in (1, 3)]
    one, two = (probe.to_csv(probe.run(setup, grid, 3, jobs=jobs)) for jobs in (1, 2))
    assert one == two


def test_an_error_in_another_process_comes_back() -> None:
    with pytest.raises(SimulationError, match="AttributeError"):
        list(each("netsim.tools.probe:do", [1, 2], 2))


def test_the_figure_is_one_svg_document() -> None:
    assert main(["probe", "ieee802154", "--nodes", "1,2", "--replications", "2", "-o", "o.csv", "--plot", "o.svg"]) == 0
    text = Path("o.svg").read_text()
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{*}svg[@class='f']")) == 4
    assert "var(" not in text
    assert "2 nodes" in text
    setup = probe_setup.load("ieee802154")
    lone = plots.probe("lone", probe.run(setup, [Traffic("burst", 1, 10)], 9))
    assert len(ET.fromstring(lone).findall(".//{*}svg[@class='f']")) == 1


class Stuck:
    """A medium that never ends anything."""

    def submit(self, *_: Any) -> int:
        return 0

    def next_event_ns(self) -> None:
        return None

    def advance(self, to_ns: int) -> list[Any]:
        return []


def test_a_stalled_medium_is_said() -> None:
    with pytest.raises(SimulationError, match="1 of 1 deliveries never end"):
        probe.replicate(Stuck(), [Node(0), Node(1, True)], [Offer(0, 0, (1,), 5)])  # type: ignore[arg-type]


def test_places() -> None:
    setup = probe_setup.load("{channel: ieee802154, positions: {ring_m: 10}}")
    nodes = setup.nodes(4)
    assert nodes[4].position_m == (0.0, 0.0)
    assert nodes[4].is_server
    assert nodes[1].position_m == pytest.approx((0.0, 10.0))
    listed = probe_setup.load("{channel: ieee802154, positions: [[1, 2], [3, 4]]}")
    assert [n.position_m for n in listed.nodes(1)] == [(1, 2), (3, 4)]
    with pytest.raises(ConfigError, match=r"positions: a place for each of 2 senders and, last, .*Got 2 places"):
        listed.nodes(2)


# --- bad input --------------------------------------------------------------------------------------------------


def test_lists_of_numbers() -> None:
    assert numbers("--x", "1,10,10", None, 1, 99) == [1, 10]
    assert numbers("--x", "1 kB,16:48:16", "byte", 1, 9999) == [1000, 16, 32, 48]
    for text in ("", "1,,2", "a", "1:5", "5:1:0", "1.5", "0", "1e9", "1 s"):
        with pytest.raises(
            ConfigError, match=r"^--x: whole numbers from 1 to 9999, such as 1,10 or 100:1500:100\. Got "
        ):
            numbers("--x", text, "byte", 1, 9999)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["etherned_udp"], "channel: a channel (.*), a mapping in YAML, a YAML file or a scenario. "
                           "Got 'etherned_udp'. Nearest: ethernet_udp."),
        (["ethernet_udp"],
         "channel.rate_bps: a value is needed, a number > 0 and <= 1e+12 in bit/s, or a string with a unit, "
         "or a list, each a number > 0 and <= 1e+12 in bit/s, or a string with a unit. "
                           "Got nothing."),
        (["ethernet_udp", "-s", "rate_bps=-1"],
         "channel.rate_bps: a number > 0 and <= 1e+12 in bit/s, or a string with a unit, "
         "or a list, each a number > 0 and <= 1e+12 in bit/s, or a string with a unit. Got -1."),
        (["bad.yaml"], "bad.yaml:2: positions: {ring_m: radius}, or a list of [x, y] in metres, the server's last. "
                       "Got 'near'."),
        (["extra.yaml"],
         "extra.yaml:2: postions: no such key; there are channel, positions, energy. Nearest: positions."),
        (["{channel: ideal, energy: cc2420}"],
         "channel:1: energy: nothing, as channel ideal has no energy profile. Got one."),
        (["ideal", "--pattern", "bursts"], "--pattern: one of burst, periodic, poisson. Got 'bursts'."),
        (["ideal", "--pattern", "poisson"], "--rate: pattern poisson needs the messages per second of each node."),
        (["ideal", "--pattern", "burst", "--rate", "1"],
         "--rate, --duration: a burst offers all messages at time 0; choose --pattern poisson."),
        (["ideal", "--rate", "0"], "--rate: numbers from 1e-09 to 1e+09, such as 1,10 or 100:1500:100. Got '0'."),
        (["ideal", "--rate", "1", "--messages", "3", "--duration", "4"],
         "--messages, --duration: one of the two. Got both."),
        (["ideal", "--rate", "1e9", "--duration", "1000 s"],
         "--messages, --duration, --nodes: at most 1e8 messages a replication. Got 1e+12."),
        (["ideal", "--messages", "0"], "--messages: a whole number >= 1. Got 0."),
        (["ideal", "--to", "any"], "--to: server, or all for a broadcast. Got 'any'."),
        (["ideal", "--plot", "a.png"], "--plot: a file that ends in .svg. Got 'a.png'."),
        (["ideal", "--pcap", "a.pcap"],
         "--pcap: one value each for --nodes, --message-bytes and --rate. Got 2 points."),
        (["ideal", "--trace", "no.csv"], "no.csv: trace: a CSV file that can be read. Got No such file or directory."),
        (["ideal", "--trace", "short.csv"],
         "short.csv:1: trace: a first line with the columns time_s, src, dst, bytes. "
         "Got 'time,src,dst,bytes', without time_s. Nearest: time."),
        (["quickstart"], "quickstart: network: a scenario with one link or uplink; name the channel itself instead. "
                         "Got a sweep over 2."),
        (["ideal", "--trace", "line.csv"],
         "line.csv:3: trace: bytes: a whole number, 1 to 1073741824. Got '1,0,server,0'."),
        (["ideal", "--trace", "line.csv", "--rate", "1"],
         "--trace: the file says all; leave out --rate, --pattern, --messages and --duration."),
    ],
)  # fmt: skip
def test_sentences(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text("channel: ideal\npositions: near\n")
    Path("extra.yaml").write_text("channel: ideal\npostions: near\n")
    Path("short.csv").write_text("time,src,dst,bytes\n")
    Path("line.csv").write_text("time_s,src,dst,bytes\n0,0,server,9\n1,0,server,0\n")
    got = said(capsys, *words)
    if "(.*)" in sentence:
        before, after = sentence.split("(.*)")
        assert got.startswith(before)
        assert got.endswith(after)
    else:
        assert got == sentence
