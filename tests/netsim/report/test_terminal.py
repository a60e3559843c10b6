"""Terminal, page and summary.csv say the same, in the same words; what is free is said and counts nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim import report, study
from netsim.report.words import NBSP
from netsim.scenario import parse_text
from netsim.scenario.parts import Network
from tests.support.page.reader import visible

STUDY = """
name: both-ways
seed: 5
replications: 2
problem: {name: quadratic, dim: 40, nodes: 3, condition: 20}
network: {link: ideal, silence: free}
algorithms:
  - {name: gd, label: GD}
  - {name: cat, label: CAT S, variant: sparsify, cost: {name: from_channel, quantity: bit}}
stop: {target: {loss_gap: 0.3}, rounds: 400}
sweep:
  network:
    - {label: both ways, link: ieee802154, silence: free}
    - {label: free broadcast, uplink: ieee802154, silence: free}
claims:
  - {text: CAT sends less, label: CAT S, against: GD, quantity: total_wire_bytes, ratio: 2, threshold: 0.001}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> study.Results:
    """A study over a radio both ways, and with a free broadcast."""
    return study.run(parse_text(STUDY, "s.yaml"), tmp_path_factory.mktemp("both") / "out")


def test_the_terminal_says_what_the_page_says(results: study.Results) -> None:
    told = " ".join(results.summary_text().split())
    page = visible((results.folder / "report.html").read_text("utf-8")).replace(NBSP, " ")
    plain = " ".join(page.replace("−", "-").replace("×", "x").replace("≤", "<=").replace("–", "-").split())
    answers = [part for part in told.split("network=") if "needs the fewest" in part]
    assert len(answers) == 2
    for answer in answers:
        start = answer.rindex(": ", 0, answer.index(" needs the fewest")) + 2
        sentence = answer[start:].split("Models go down")[0].split("The broadcast")[0]
        assert sentence.strip() in plain
    assert "held at network=both ways: CAT sends less" in told


def test_every_figure_of_an_answer_is_the_summary_s(results: study.Results) -> None:
    rows = results.summary_rows
    text = results.summary_text()
    for row in rows:
        wire = report.quantities.shown(report.quantities.glossary.WIRE, 8 * row["total_wire_bytes_mean"])
        assert wire.replace(NBSP, " ") in text
        joules = report.quantities.shown(report.quantities.glossary.WORKER_JOULES, row["worker_energy_j_mean"])
        assert joules.replace(NBSP, " ").replace("µ", "u") in text
        ways = [row[f"{way}_wire_bytes_mean"] for way in ("uplink", "downlink", "peer")]
        assert row["total_wire_bytes_mean"] == pytest.approx(sum(ways), rel=1e-12)
        assert row["energy_j_mean"] == pytest.approx(
            row["worker_energy_j_mean"] + row["server_energy_j_mean"], rel=1e-9
        )


def test_a_free_broadcast_is_said_and_counts_nothing(results: study.Results) -> None:
    free = [row for row in results.summary_rows if row["point"] == "network=free broadcast"]
    assert len(free) == 2
    for row in free:
        assert row["downlink_wire_bytes_mean"] == row["downlink_paper_bit_mean"] == row["downlink_packets_mean"] == 0
    assert results.manifest["notes"]["network=free broadcast"][0].startswith(
        "The broadcast is free, as the papers count"
    )
    assert "network=both ways" not in results.manifest["notes"]
    for text in (results.summary_text(), visible((results.folder / "report.html").read_text("utf-8"))):
        assert text.count("The broadcast is free, as the papers count") == 1
        assert "Models go down dense in 1 of" in text


def test_a_page_of_several_runs_says_what_is_free_in_each(results: study.Results, tmp_path: Path) -> None:
    """The free way stands beside the run that has it; a column is called free only where it is in all runs."""
    text = STUDY[: STUDY.index("sweep:")]
    for name, network in (("one", "{uplink: ieee802154, silence: free}"), ("two", "{link: ieee802154, silence: free}")):
        made = text.replace("{link: ideal, silence: free}", network).replace("both-ways", name)
        study.run(parse_text(made, "s.yaml"), tmp_path / name)
    page = visible(report.compare([tmp_path / "one", tmp_path / "two"], tmp_path / "page.html").read_text("utf-8"))
    assert page.count("one: The broadcast is free, as the papers count") == 1
    assert "two: The broadcast is free" not in page
    folders = [results.folder, results.folder]
    assert (
        visible(report.compare(folders, tmp_path / "page.html").read_text("utf-8")).count("The broadcast is free") == 2
    )


@pytest.mark.parametrize(
    ("network", "free", "words"),
    [
        ("{link: ieee802154}", (), ""),
        ("{uplink: ieee802154}", ("downlink",), "The broadcast is free"),
        ("{uplink: ieee802154, downlink: ideal}", ("downlink",), "The broadcast is free"),
        ("{downlink: ieee802154}", ("uplink",), "The uploads are free"),
        ("{uplink: ieee802154, downlink: {name: ieee802154, mac: csma_ca}}", (), "two ieee802154 networks"),
        ("{uplink: ieee802154, downlink: {name: ethernet_udp, rate_bps: 1e6}}", (), ""),
        ("{}", (), "All links are ideal"),
        ("{link: ideal}", (), "All links are ideal"),
    ],
)
def test_notes_of_networks(network: str, free: tuple[str, ...], words: str) -> None:
    text = STUDY[: STUDY.index("sweep:")].replace("{link: ideal, silence: free}", network)
    made: Network = parse_text(text, "s.yaml").network
    assert made.free_ways == free
    assert (words in " ".join(made.notes)) if words else made.notes == []


def test_the_server_counts_in_where_it_has_a_battery(tmp_path: Path) -> None:
    """Headline joules are the workers'; with server_power: battery those of all nodes, and lifetimes are ranked."""
    text = STUDY[: STUDY.index("sweep:")].replace("{link: ideal, silence: free}", "{link: ieee802154, KEYS}")
    mains = study.run(parse_text(text.replace("KEYS", "silence: free"), "s.yaml"), tmp_path / "mains")
    keys = "server_power: battery, battery: {capacity_j: 20 kJ, nodes: all}"
    battery = study.run(parse_text(text.replace("KEYS", keys), "s.yaml"), tmp_path / "battery")
    assert "workers' joules (" in mains.summary_text()
    assert "workers' joules (" not in battery.summary_text()
    assert " joules (" in battery.summary_text()
    assert "the batteries last longest (" in battery.summary_text()
    assert "battery life" in battery.summary_text()
    assert "battery life" not in mains.summary_text()
