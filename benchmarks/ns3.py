"""IEEE 802.15.4 against ns-3: bursts and Poisson traffic of N nodes to one sink, without any learning.

``python -m benchmarks.ns3 [--only "burst strict"] [--runs FACTOR]`` prints for every row of ``ns3_lrwpan.csv`` and
every column of it ours, theirs, and the difference in per cent and in standard errors. Columns without a standard
error of ns-3's pass within 2 per cent; beyond that the spread of our own runs stands for both (marked with an
asterisk), for the means of few runs differ by more.

The rows are those of ns-3 3.44, module lr-wpan: the sink in the middle of a ring of N senders with radius 10 m, default
path loss (log-distance, exponent 3, 46.68 dB at 1 m), 0 dBm, payloads of 100 bytes with short addresses, all else the
module's defaults. ``strict``: its error model was replaced by one that loses a frame below 14.8 dB.
"""

from __future__ import annotations

import argparse
import csv
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from netsim import registry
from netsim.interfaces import STATES, Node

FALSE_ALARM = 6e-5  # two-sided, for each column with a standard error
PER_CENT = 2.0  # for those without
CSV = Path(__file__).with_name("ns3_lrwpan.csv")

_TURN_S = 192e-6
_HORIZON_S = 100.0  # of Poisson traffic
_PROPORTIONS = ("delivery", "acked", "no_ack", "caf", "dup", "msg_complete")
_WITH_ERROR = (*_PROPORTIONS, "tx_per_frame", "makespan_s")
_WITHOUT = (
    "msg_latency_s", "frame_service_s", "frame_sojourn_s", "sender_tx_s_mean", "sender_busyrx_s_mean",
    "sender_rxon_s_mean", "sender_txon_s_mean", "sink_tx_s_mean", "sink_rx_s_mean", "cc2420_mJ_per_sender_3V",
)  # fmt: skip
_TX, _RX, _LISTEN = (STATES.index(state) for state in ("tx", "rx", "listen"))


@dataclass(frozen=True)
class Row:
    """A configuration of ns-3 and its results by column."""

    kind: str
    collisions: str
    nodes: int
    message_bytes: int
    rate_per_s: float
    runs: int
    values: Mapping[str, float]

    @property
    def name(self) -> str:
        """Readable."""
        rate = f" {self.rate_per_s:g}/s" if self.rate_per_s else ""
        return f"{self.kind} {self.collisions} N={self.nodes} {self.message_bytes} B{rate}"


@dataclass(frozen=True)
class Check:
    """One column of one row: ours and theirs.

    Parameters
    ----------
    errors
        The difference in combined standard errors; where ns-3's column has none, in ours for both.
    limit
        Of `errors`.
    has_error
        Whether ns-3's column has a standard error.
    """

    row: Row
    column: str
    ours: float
    theirs: float
    errors: float
    limit: float
    has_error: bool = True

    @property
    def per_cent(self) -> float:
        """The difference relative to theirs."""
        return 100 * (self.ours / self.theirs - 1) if self.theirs else (0.0 if self.ours == 0 else np.inf)

    @property
    def is_met(self) -> bool:
        """Whether it is within its limit, or where ns-3 has no standard error within 2 per cent."""
        return abs(self.errors) <= self.limit or (not self.has_error and abs(self.per_cent) <= PER_CENT)


def rows(path: Path = CSV) -> list[Row]:
    """All rows of ns-3."""
    out = []
    with path.open() as file:
        for line in csv.DictReader(file):
            values = {name: float(line[name]) for name in line if line[name] and name not in ("kind", "collision")}
            out.append(
                Row(
                    line["kind"], line["collision"], int(line["n"]), int(line["msg_bytes"]),
                    values["rate_msg_per_s"], int(line["runs"]), values,
                )
            )  # fmt: skip
    return out


def ring(nodes: int, radius_m: float = 10.0) -> list[Node]:
    """Senders 0 .. nodes - 1 on a ring, the sink in its middle."""
    angles = [2 * pi * i / nodes for i in range(nodes)]
    senders = [Node(i, False, (radius_m * cos(a), radius_m * sin(a))) for i, a in enumerate(angles)]
    return [*senders, Node(nodes, True, (0.0, 0.0))]


@functools.cache
def _built(collisions: str, reliable: bool) -> Any:
    keys = {"collisions": collisions, "reliable": reliable, "path_loss": "log_distance"}
    return registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", **keys})


def channel_of(row: Row) -> Any:
    """Our channel for a row."""
    return _built(row.collisions, row.kind == "burst_reliable")


def one_run(row: Row, seed: int) -> dict[str, float]:
    """Our values of one run by column; NaN where there is none."""
    channel, n = channel_of(row), row.nodes
    medium = channel.open(ring(n), np.random.default_rng(seed))
    sent: list[int] = []
    ended: list[Any] = []
    if row.kind == "poisson":
        rng = np.random.default_rng([seed, 1])
        calls = sorted((t, i) for i in range(n) for t in _arrivals(rng, row.rate_per_s))
        for at_ns, i in calls:
            ended += medium.advance(at_ns)
            medium.submit(at_ns, i, (n,), row.message_bytes)
            sent.append(at_ns)
    else:
        for i in range(n):
            medium.submit(0, i, (n,), row.message_bytes)
            sent.append(0)
    while (at := medium.next_event_ns()) is not None:
        ended += medium.advance(at)
    # The last acknowledgements may be lost: the senders go on although everything has arrived.
    at_ns, offered = max([d.at_ns for d in ended] + sent), len(sent) * -(-row.message_bytes // 100)
    while (counts := medium.counters())["frames"].sum() < offered:
        at_ns += 10**8
        medium.advance(at_ns)
    total = {name: float(column[:n].sum()) for name, column in counts.items()}
    frames = total["frames"]
    end_ns = int(counts["last_end_ns"].max())
    late = [(d.at_ns - sent[d.transfer]) / 1e9 for d in ended if d.ok]
    acked = total["acked"] or np.nan
    out = {
        "delivery": total["delivered"] / frames,
        "acked": total["acked"] / frames,
        "no_ack": total["no_ack"] / frames,
        "caf": total["caf"] / frames,
        "dup": total["dup"] / frames,
        "tx_per_frame": total["tx"] / frames,
        "msg_complete": len(late) / len(sent),
        "makespan_s": end_ns / 1e9,
        "msg_latency_s": float(np.mean(late)) if late else np.nan,
        "frame_service_s": total["service_ns"] / acked / 1e9,
        "frame_sojourn_s": total["sojourn_ns"] / acked / 1e9,
        "_complete": float(len(late)),
        "_acked": total["acked"],
        "_frames": frames,
        "_messages": float(len(sent)),
    }
    if row.kind != "poisson":
        out |= _states(channel, row, seed, end_ns)
    return out


def _states(channel: Any, row: Row, seed: int, end_ns: int) -> dict[str, float]:
    """State times until the last sender is done; ns-3's sink is looked at a turnaround later."""
    n = row.nodes
    medium = channel.open(ring(n), np.random.default_rng(seed))
    for i in range(n):
        medium.submit(0, i, (n,), row.message_bytes)
    medium.advance(end_ns)
    usage = medium.usage(end_ns)
    seconds = usage.state_ns / 1e9
    sender = seconds[:n].mean(axis=0)
    turning = _TURN_S * float(medium.counters()["tx"][:n].mean())
    return {
        "sender_tx_s_mean": float(sender[_TX]),
        "sender_busyrx_s_mean": float(sender[_RX]),
        "sender_rxon_s_mean": float(sender[_LISTEN]) - turning,
        "sender_txon_s_mean": turning,
        "sink_tx_s_mean": float(seconds[n, _TX]),
        "sink_rx_s_mean": end_ns / 1e9 + _TURN_S - float(seconds[n, _TX]),
        "cc2420_mJ_per_sender_3V": 1e3 * float(usage.energy_j[:n].sum(axis=1).mean()),
    }


def _arrivals(rng: np.random.Generator, rate_per_s: float) -> list[int]:
    gaps = rng.exponential(1 / rate_per_s, int(rate_per_s * _HORIZON_S + 10 * sqrt(rate_per_s * _HORIZON_S) + 20))
    times = np.cumsum(gaps)
    return [int(t * 1e9) for t in times[times < _HORIZON_S]]


def validate(row: Row, runs: int | None = None, seed: int = 0) -> list[Check]:
    """Run a row and compare every column; `runs` defaults to ns-3's."""
    from scipy.stats import t

    results = [one_run(row, seed + i) for i in range(runs or row.runs)]
    weights = {"msg_latency_s": "_complete", "frame_service_s": "_acked", "frame_sojourn_s": "_acked"}
    limit = float(t.ppf(1 - FALSE_ALARM / 2, row.runs - 1))
    out = []
    for column in (*_WITH_ERROR, *_WITHOUT):
        if column not in row.values or column not in results[0]:
            continue
        values = np.array([r[column] for r in results])
        theirs = row.values[column]
        if column in weights:
            weight = np.array([r[weights[column]] for r in results])
            ours = float(np.nansum(values * weight) / max(weight.sum(), 1))
        else:
            ours = float(np.nanmean(values))
        if column not in _WITH_ERROR:
            # ns-3's runs spread as ours do.
            spread = float(np.nanstd(values, ddof=1)) * sqrt(1 / len(values) + 1 / row.runs)
            off = ours - theirs
            errors = off / spread if spread else (0.0 if abs(off) <= 1e-6 * abs(theirs) else np.inf)
            out.append(Check(row, column, ours, theirs, errors, limit, False))
            continue
        of = "_messages" if column == "msg_complete" else "_frames"
        count = float(np.mean([r[of] for r in results]))
        both = [row.values[f"{column}_se"], float(values.std(ddof=1)) / sqrt(len(values))]
        if column in _PROPORTIONS and 0 <= ours <= 1:
            binomial = sqrt(ours * (1 - ours) / count)
            both = [max(both[0], binomial / sqrt(row.runs)), max(both[1], binomial / sqrt(len(values)))]
        error = sqrt(both[0] ** 2 + both[1] ** 2)
        off = ours - theirs
        out.append(Check(row, column, ours, theirs, off / error if error else (0.0 if off == 0 else np.inf), limit))
    return out


def table(checks: Sequence[Check]) -> Iterator[str]:
    """One line a column."""
    for check in checks:
        off = f"{check.per_cent:+7.2f} % {check.errors:+7.2f}{' ' if check.has_error else '*'} s.e."
        verdict = "" if check.is_met else "  OFF"
        yield (
            f"{check.row.name:<40} {check.column:<26} {check.ours:12.6g} {check.theirs:12.6g} {off}"
            f" (limit {check.limit:.2f}){verdict}"
        )


def main() -> int:
    """1 where a column is off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ns3", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--runs", type=float, default=1.0, help="times ns-3's number of runs")
    arguments = parser.parse_args()
    off = 0
    for row in rows():
        if arguments.only in row.name:
            checks = validate(row, max(2, round(arguments.runs * row.runs)))
            print("\n".join(table(checks)), flush=True)
            off += sum(not check.is_met for check in checks)
    print(f"{off} columns off")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
