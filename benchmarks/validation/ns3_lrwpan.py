"""IEEE 802.15.4 against ns-3: bursts and Poisson traffic of N nodes to one sink, without any learning.

``python -m benchmarks.validation.ns3_lrwpan [--only "burst strict"]`` prints for every row of ``ns3_lrwpan.csv`` and
every column of it ours, theirs, the difference and its limit; `benchmarks.validation.page` makes the page of it.

The rows are those of ns-3 3.44, module lr-wpan: the sink in the middle of a ring of N senders with radius 10 m, default
path loss (log-distance, exponent 3, 46.68 dB at 1 m), 0 dBm, payloads of 100 bytes with short addresses, all else the
module's defaults. ``strict``: its error model was replaced by one that loses a frame below 14.8 dB. Runs are 1, 2, ...
under seed 1.

`replayed` repeats those very runs with ns-3's draws (`benchmarks.validation.ns3_draws`): every column must be
theirs. `drawn` draws anew: a column with a standard error must agree within Student's quantile at 6e-5 for ns-3's
number of runs, times the standard error of both.
"""

from __future__ import annotations

import argparse
import csv
import functools
import heapq
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.validation.check import Check
from benchmarks.validation.ns3_draws import Mrg32k3a, open_as_ns3
from netsim.interfaces import STATES, Medium
from netsim.tools import probe_setup
from netsim.tools.traffic import Offer, Traffic
from netsim.units import seconds_to_ns

FALSE_ALARM = 6e-5  # two-sided, for each column
PER_CENT = 2.0
ROUNDING = 1e-10  # of sums of as many floats as there are events
CSV = Path(__file__).with_name("ns3_lrwpan.csv")
SCATTERED = Path(__file__).with_name("ns3_scattered.csv")

_GAPS, _FIRST_STREAM = 1, 6  # streams of ns-3: of Poisson traffic, and of the first device
_TURN_S = 192e-6
_HORIZON_S = 100.0  # of Poisson traffic
_FRAME_BYTES = 100
_PROPORTIONS = ("delivery", "acked", "no_ack", "caf", "dup", "msg_complete")
WITH_ERROR = (*_PROPORTIONS, "tx_per_frame", "makespan_s")
WITHOUT = (
    "msg_latency_s", "frame_service_s", "frame_sojourn_s", "sender_tx_s_mean", "sender_busyrx_s_mean",
    "sender_rxon_s_mean", "sender_txon_s_mean", "sink_tx_s_mean", "sink_rx_s_mean", "cc2420_mJ_per_sender_3V",
)  # fmt: skip
# Means over messages or frames: those of all runs together.
_WEIGHTS = {"msg_latency_s": "_complete", "frame_service_s": "_acked", "frame_sojourn_s": "_acked"}
_TX, _RX, _LISTEN = (STATES.index(state) for state in ("tx", "rx", "listen"))
Floats = npt.NDArray[np.float64]


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

    @property
    def frames(self) -> int:
        """Of a message."""
        return -(-self.message_bytes // _FRAME_BYTES)

    @property
    def our_runs(self) -> int:
        """Ten times ns-3's, as long as that is no more than 200, and never fewer than ns-3's."""
        return max(self.runs, min(10 * self.runs, 200))


@dataclass(frozen=True)
class Result:
    """A row's columns compared; how many without a standard error there are, and within 2 % with draws of our own."""

    row: Row
    drawn: Sequence[Check]
    replayed: Sequence[Check]
    without: int
    near: int


def rows(path: Path = CSV) -> list[Row]:
    """All rows of ns-3."""
    out = []
    with path.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            values = {name: float(line[name]) for name in line if line[name] and name not in ("kind", "collision")}
            out.append(
                Row(
                    line["kind"], line["collision"], int(line["n"]), int(line["msg_bytes"]),
                    values["rate_msg_per_s"], int(line["runs"]), values,
                )
            )  # fmt: skip
    return out


@functools.cache
def _setup_of(collisions: str, reliable: bool, *sets: str) -> probe_setup.Setup:
    return probe_setup.load("probe/lrwpan", [f"collisions={collisions}", f"reliable={str(reliable).lower()}", *sets])


def opened(row: Row, seed: int) -> Medium:
    """A medium of ours for a row: that of ``netsim probe probe/lrwpan``."""
    setup = _setup_of(row.collisions, row.kind == "burst_reliable")
    medium: Medium = setup.channel.open(setup.nodes(row.nodes), np.random.default_rng(seed))
    return medium


def reopened(row: Row, run: int) -> Medium:
    """One that draws what ns-3 drew in one of the row's runs."""
    setup = _setup_of(row.collisions, row.kind == "burst_reliable")
    return open_as_ns3(setup.channel, setup.nodes(row.nodes), run, first_stream=_FIRST_STREAM)


def arrivals(row: Row, run: int) -> list[Offer]:
    """What ns-3's senders offered in a run: gaps of one exponential variable, drawn in the order of the messages."""
    draws = Mrg32k3a(1, _GAPS, run)
    mean_s = 1.0 / row.rate_per_s
    coming = [(seconds_to_ns(-mean_s * log(draws.uniform())), src) for src in range(row.nodes)]
    heapq.heapify(coming)
    out = []
    while coming:
        at_ns, src = heapq.heappop(coming)
        out.append(Offer(at_ns, src, (row.nodes,), row.message_bytes))
        gap_s = -mean_s * log(draws.uniform())
        if at_ns / 1e9 + gap_s < _HORIZON_S:
            heapq.heappush(coming, (at_ns + seconds_to_ns(gap_s), src))
    return out


def traffic(row: Row) -> Traffic:
    """What a row's senders offer."""
    if row.kind == "poisson":
        return Traffic("poisson", row.nodes, row.message_bytes, row.rate_per_s, duration_s=_HORIZON_S)
    return Traffic("burst", row.nodes, row.message_bytes)


def one_run(row: Row, open_medium: Callable[[], Medium], offers: Sequence[Offer]) -> dict[str, float]:
    """Our values of one run by column; NaN where there is none."""
    medium: Any = open_medium()
    n = row.nodes
    sent = [offer.at_ns for offer in offers]
    ended: list[Any] = []
    for offer in offers:
        ended += medium.advance(offer.at_ns)
        medium.submit(*offer)
    while (at := medium.next_event_ns()) is not None:
        ended += medium.advance(at)
    # The last acknowledgements may be lost: the senders go on although everything has arrived.
    at_ns, offered = max([d.at_ns for d in ended] + sent), len(sent) * row.frames
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
        out |= _states(row, open_medium(), offers, end_ns)
    return out


def _states(row: Row, medium: Any, offers: Sequence[Offer], end_ns: int) -> dict[str, float]:
    """State times until the last sender is done; ns-3's sink is looked at a turnaround later."""
    n = row.nodes
    for offer in offers:
        medium.submit(*offer)
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


def validate(row: Row) -> Result:
    """Both comparisons of a row."""
    checks, values = drawn(row, row.our_runs)
    columns = [column for column in WITHOUT if column in values and column in row.values]
    near = sum(abs(mean(values, c) / row.values[c] - 1) <= PER_CENT / 100 for c in columns)
    return Result(row, checks, replayed(row), len(columns), near)


def drawn(row: Row, runs: int | None = None, seed: int = 0) -> tuple[list[Check], dict[str, Floats]]:
    """Columns with a standard error under draws of our own, and what each run gave; `runs` defaults to ns-3's."""
    from scipy.stats import t

    count, offered = runs or row.runs, traffic(row)
    values = _together(
        one_run(row, functools.partial(opened, row, seed + i), offered.schedule(seed + i, 0)) for i in range(count)
    )
    limit = float(t.ppf(1 - FALSE_ALARM / 2, row.runs - 1))
    checks = []
    for column in WITH_ERROR:
        theirs, ours = row.values[column], mean(values, column)
        both = [row.values[f"{column}_se"], float(values[column].std(ddof=1)) / sqrt(count)]
        if column in _PROPORTIONS and 0 <= ours <= 1:
            of = float(values["_messages" if column == "msg_complete" else "_frames"].mean())
            binomial = sqrt(ours * (1 - ours) / of)
            both = [max(both[0], binomial / sqrt(row.runs)), max(both[1], binomial / sqrt(count))]
        errors = _ratio(ours - theirs, sqrt(both[0] ** 2 + both[1] ** 2), theirs)
        checks.append(Check(row.name, column, ours, theirs, limit, "s.e.", errors))
    return checks, values


def replayed(row: Row, runs: int | None = None) -> list[Check]:
    """Every column, and every standard error, of ns-3's own runs repeated: equal to the last digit, or to 1e-10."""
    values = _together(
        one_run(
            row, functools.partial(reopened, row, run),
            arrivals(row, run) if row.kind == "poisson" else traffic(row).schedule(0, 0),
        )
        for run in range(1, (runs or row.runs) + 1)
    )  # fmt: skip
    checks = []
    for column in (*WITH_ERROR, *WITHOUT):
        if column not in row.values or column not in values:
            continue
        figures = {column: float(mean(values, column))}
        if column in WITH_ERROR:
            figures[f"{column}_se"] = float(values[column].std(ddof=1)) / sqrt(row.runs)
        digits = 9 if column.endswith(("_s", "_s_mean")) else 6
        for name, ours in figures.items():
            # Of ns-3's sink only the time up to its last change of state is known.
            limit: tuple[float, Any] = (PER_CENT, "%")
            if name != "sink_rx_s_mean":
                limit = (max(1.0, ROUNDING * row.values[name] * 10**digits), "digit")
            checks.append(Check(row.name, name, ours, row.values[name], *limit, digits=digits))
    return checks


def scattered() -> Iterator[Check]:
    """802.15.4 scattered over squares, ns-3.

    One run of ns-3 3.44 each (lr-wpan as above, the sink in the middle, random places in squares of 20, 50, 80 and
    120 m, so that many do not hear each other), repeated with its draws: every figure to the ninth decimal.
    """
    with SCATTERED.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            values = {name: float(line[name]) for name in (*WITH_ERROR, *WITHOUT[:3]) if line[name]}
            run, size = int(line["run"]), int(line["msg_bytes"])
            row = Row(line["kind"], line["collision"], int(line["n"]), size, 0.0, 1, values)
            places = ", ".join(f"[{place.replace(':', ', ')}]" for place in line["places_m"].split())
            setup = _setup_of(row.collisions, row.kind == "burst_reliable", f"positions=[{places}]")
            nodes = setup.nodes(row.nodes)
            opens = functools.partial(open_as_ns3, setup.channel, nodes, run, first_stream=_FIRST_STREAM)
            ours = one_run(row, opens, traffic(row).schedule(0, 0))
            name = f"{row.name} {line['side_m']} m run {run}"
            for column, theirs in values.items():
                yield Check(name, column, ours[column], theirs, 1, "digit", digits=9)


def _together(runs: Iterable[Mapping[str, float]]) -> dict[str, Floats]:
    each = list(runs)
    return {name: np.array([run[name] for run in each]) for name in each[0]}


def mean(values: Mapping[str, Floats], column: str) -> float:
    """Of all runs; of messages or frames together where the column is one of theirs."""
    if column not in _WEIGHTS:
        return float(np.mean(values[column]))
    weight = values[_WEIGHTS[column]]
    whole = weight.sum()
    return float(np.nansum(values[column] * weight) / whole) if whole > 0 else np.nan


def _ratio(off: float, error: float, of: float) -> float:
    """`off` in standard errors; nothing where both are the same but for rounding."""
    if abs(off) <= 1e-6 * abs(of):
        return 0.0
    return off / error if error > 0 else float(np.copysign(np.inf, off))


def table(checks: Sequence[Check]) -> Iterator[str]:
    """One line a column."""
    for check in checks:
        off = f"{check.per_cent:+8.2f} % {check.errors:+7.2f} s.e."
        both = f"{check.row:<40} {check.column:<26} {check.ours:14.9g} {check.theirs:14.9g}"
        yield f"{both} {off} (limit {check.limit:.3g} {check.unit}){'' if check.is_met else f'  {check.verdict}'}"


def main() -> int:
    """1 where a column differs by more than its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation.ns3_lrwpan", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    arguments = parser.parse_args()
    missed = 0
    for row in rows():
        if arguments.only in row.name:
            result = validate(row)
            checks = [*result.drawn, *result.replayed]
            print("\n".join(table(checks)), flush=True)
            missed += sum(not check.is_met for check in checks)
    print(f"{missed} columns off")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
