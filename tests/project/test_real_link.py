"""The relay between namespaces, the table of measured rounds, and rounds measured anew where that is possible."""

from __future__ import annotations

import csv
import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.validation import page, real_link, relay
from benchmarks.validation.real_link import CASES
from benchmarks.validation.real_rounds import Round
from tests.support import ROOT

LINK = relay.Link(rate_bps=8e6, server_bps=1e6, one_way_s=0.01, overhead_bytes=0)


def out_of(queues: relay.Queues) -> list[tuple[int, int]]:
    return [(at_ns, node) for at_ns, node, _ in queues.leave(10**12)]


def test_packets_to_the_server_queue_twice() -> None:
    """1000 bytes are 1 ms on a worker's link and 8 ms at the port; 10 ms of propagation.

    Worker 1 sends two packets at 0: they are at the port at 1 and 2 ms. Worker 2's, at 0.5 ms, is there at 1.5 ms,
    between them: 1 + 8 + 10 = 19, 27 and 35 ms.
    """
    queues = relay.Queues(LINK, 3)
    queues.enter(0, 1, 0, b"a" * 1000)
    queues.enter(0, 1, 0, b"b" * 1000)
    queues.enter(500_000, 2, 0, b"c" * 1000)
    assert [(at_ns, packet[:1]) for at_ns, _, packet in queues.leave(10**12)] == [
        (19_000_000, b"a"), (27_000_000, b"c"), (35_000_000, b"b"),
    ]  # fmt: skip


def test_packets_from_the_server_do_not_wait_for_other_workers_links() -> None:
    """8 ms at the port, 1 ms on the link, 10 ms: 19 and 27 ms, whichever workers they go to, and nothing too soon."""
    queues = relay.Queues(LINK, 3)
    queues.enter(0, 0, 1, bytes(1000))
    queues.enter(0, 0, 2, bytes(1000))
    assert list(queues.leave(18_999_999)) == []
    assert queues.next_ns == 19_000_000
    assert out_of(queues) == [(19_000_000, 1), (27_000_000, 2)]


def test_the_two_directions_do_not_wait_for_each_other() -> None:
    queues = relay.Queues(LINK, 2)
    queues.enter(0, 0, 1, bytes(1000))
    queues.enter(0, 1, 0, bytes(1000))
    assert out_of(queues) == [(19_000_000, 0), (19_000_000, 1)]


def test_overhead_takes_time() -> None:
    """998 bytes and 2 are 1000."""
    queues = relay.Queues(dataclasses.replace(LINK, overhead_bytes=2), 2)
    queues.enter(0, 0, 1, bytes(998))
    assert out_of(queues) == [(19_000_000, 1)]


def test_losses_are_as_often_as_asked_and_the_same_again() -> None:
    """Of 20 000 packets at 5 %: 1000 are lost but for 4 standard errors, 31 each; a lost one has taken its time."""
    queues = relay.Queues(dataclasses.replace(LINK, loss=0.05, seed=3), 2)
    for _ in range(20_000):
        queues.enter(0, 0, 1, bytes(1000))
    times = [at_ns for at_ns, _ in out_of(queues)]
    assert abs(queues.lost - 1000) < 4 * math.sqrt(20_000 * 0.05 * 0.95)
    assert len(times) + queues.lost == 20_000
    assert max(times) >= 8_000_000 * 19_990
    again = relay.Queues(dataclasses.replace(LINK, loss=0.05, seed=3), 2)
    for _ in range(20_000):
        again.enter(0, 0, 1, bytes(1000))
    assert [at_ns for at_ns, _ in out_of(again)] == times


def test_a_worker_that_sent_nothing_counts_with_what_it_sent_before() -> None:
    sizes = {(r, w, kind): 100 * r + 10 * w + (kind == "update")
             for r in range(3) for w in range(3) for kind in ("model", "update")}  # fmt: skip
    del sizes[0, 0, "model"], sizes[1, 2, "update"]
    sizes = {key: size + 1 for key, size in sizes.items()}
    first, second, third = real_link._schedule(sizes, 3)
    assert first == Round([101, 11, 21], [2, 12, 22])
    assert second == Round([101, 111, 121], [102, 112, 22])
    assert third == Round([201, 211, 221], [202, 212, 222])


def test_standard_errors() -> None:
    """Of independent rounds with deviation 1: 1 / sqrt(n), and sqrt(q (1 - q) / n) / density for a percentile.

    20 blocks leave a relative error of 1 / sqrt(2 * 19) = 16 %; 4 of them are allowed.
    """
    seconds = np.random.default_rng(0).normal(size=20_000)
    assert real_link.mean_error(seconds) == pytest.approx(1 / math.sqrt(20_000), rel=0.65)
    density = math.exp(-(1.6449**2) / 2) / math.sqrt(2 * math.pi)
    wanted = math.sqrt(0.95 * 0.05 / 20_000) / density
    assert real_link.p95_error(seconds) == pytest.approx(wanted, rel=0.65)


def test_the_table_has_every_case() -> None:
    rows = real_link.table()
    cases = {case.title: case for case in CASES}
    assert [(row["case"], row["algorithm"]) for row in rows] == [(c.title, x) for c in CASES for x in c.algorithms]
    for row in rows:
        loss = cases[row["case"]].loss
        assert int(row["rounds"]) >= (400 if loss else 72)
        assert int(row["packets_late"]) <= real_link.MAX_LATE * int(row["packets"])
        share = int(row["packets_lost"]) / (int(row["packets"]) + int(row["packets_lost"]))
        assert share == pytest.approx(loss, rel=0.2)
        assert 0 < max(float(row["median_s"]), float(row["mean_s"]), float(row["p95_s"])) <= float(row["slowest_s"])


def test_predictions_without_loss_are_within_5_percent() -> None:
    """Those of 40 rounds; the documents have all of them."""
    with (ROOT / "docs/validation.csv").open(encoding="utf-8") as file:
        known = [row for row in csv.DictReader(file) if row["source"] == page.title_of(real_link.real_link)]
    assert len(known) == 3 * len(real_link.table())
    for case in CASES[:4]:
        measured = {row["algorithm"]: float(row["mean_s"]) for row in real_link.table() if row["case"] == case.title}
        for label, predicted in real_link.predict(case, 40, 1).items():
            assert float(predicted.seconds.mean()) == pytest.approx(measured[label], rel=0.05)


def test_where_nothing_can_be_measured_the_command_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["real_link"])
    assert real_link.main() == 2
    assert capsys.readouterr().err == ("Nothing can be measured here: network namespaces and TUN devices need root.\n")


@pytest.mark.slow
def test_rounds_measured_anew_are_as_predicted(tmp_path: Path) -> None:
    """Real rounds of all algorithms without loss, and of each with 400 rounds at 1 %.

    400 rounds leave a standard error of about 3 % in a mean under loss, so the limits are wider by four of it.
    """
    if lack := relay.missing():
        pytest.skip(f"no rounds can be measured here: {lack}")
    out = tmp_path / "measured.csv"
    command = [sys.executable, "-m", "benchmarks.validation.real_link", "--rounds", "400", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    with out.open(encoding="utf-8") as file:
        measured = list(csv.DictReader(file))
    checks = list(real_link.compare(measured, 2))
    assert len(checks) == 3 * sum(len(case.algorithms) for case in CASES)
    for check in checks:
        assert check.is_met or ("loss" in check.row and abs(check.errors) < 4), check
