"""Rounds of three algorithms through the sockets of Linux, beside what netsim predicts for them.

``python -m benchmarks.validation.real_link`` measures anew and writes real_link.csv; it needs root, ``ip`` and
/dev/net/tun, and takes about 20 minutes. The page is made from the table alone.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.validation import relay
from benchmarks.validation.check import Check
from benchmarks.validation.real_rounds import Measured, Round, Way, measure
from netsim import files, study
from netsim.interfaces import HEADER_BYTES
from netsim.scenario import load

HERE = Path(__file__).parent
TABLE = HERE / "real_link.csv"
ALGORITHMS = ("GD", "Top-k", "CAT")
WORKERS = SERVER = 3  # the server's number follows those of the workers
RATE_BPS, SERVER_BPS, ONE_WAY_S, COMPUTE_S = 100e6, 3e6, 0.02, 0.02
LOSS, DEADLINE_S = 0.01, 0.25
BLOCKS = 20  # of rounds, whose means are independent
MAX_LATE, ATTEMPTS = 0.005, 3
LIMITS = {0.0: (5.0, 5.0), LOSS: (10.0, 25.0)}  # per cent, of the mean and of the 95th percentile

Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """What is compared.

    Parameters
    ----------
    title
        In the table.
    transport, loss
        Of messages, and of packets.
    server_bps, compute_s
        The server's port, and what a gradient takes.
    rounds
        How many are measured.
    algorithms
        Their labels.
    more
        What else differs from real_link.yaml.
    """

    title: str
    transport: Literal["tcp", "udp"]
    loss: float = 0.0
    server_bps: float = SERVER_BPS
    compute_s: float = COMPUTE_S
    rounds: int = 120
    algorithms: tuple[str, ...] = ALGORITHMS
    more: tuple[str, ...] = ()

    @property
    def has_deadline(self) -> bool:
        """Whether a round may go on without all updates."""
        return self.transport == "udp" and self.loss > 0

    @property
    def sets(self) -> list[str]:
        """What differs from real_link.yaml."""
        out = [*self.more, f"compute.gradient_s={self.compute_s}"]
        if self.transport == "tcp":
            return [*out, f"network.link.loss={self.loss}", f"network.link.server_bps={self.server_bps}"]
        udp: dict[str, object] = {"name": "ethernet_udp", "rate_bps": RATE_BPS, "server_rate_bps": self.server_bps}
        udp |= {"delay_s": ONE_WAY_S, "overhead_bytes": 30, "min_frame_bytes": 0}
        if self.loss:
            udp = {"name": "wan", "transport": "plain", "sharing": "fifo", "rate_bps": RATE_BPS}
            udp |= {"server_bps": self.server_bps, "rtt_s": 2 * ONE_WAY_S, "loss": self.loss}
            out += [f"algorithms.{i}.deadline_s={DEADLINE_S}" for i in range(len(self.algorithms))]
        return [*out, f"network.link={{{', '.join(f'{key}: {value}' for key, value in udp.items())}}}"]

    @property
    def way(self) -> Way:
        """How its messages are really sent."""
        link = relay.Link(RATE_BPS, self.server_bps, ONE_WAY_S, self.loss)
        datagram_bytes = 1448 if self.loss else 1472  # as in the channels wan and ethernet_udp
        return Way(self.transport, link, self.compute_s, datagram_bytes, DEADLINE_S if self.has_deadline else None)


_TWELVE = ("algorithms=[{name: gd, label: GD, broadcast: dense, float_bit: 64, model_bit: 64}]",)
CASES = (
    Case("tcp", "tcp"),
    Case("udp", "udp"),
    Case("tcp, 12 segments, 20 Mbit/s", "tcp", server_bps=20e6, algorithms=("GD",), more=_TWELVE),
    Case(
        "tcp, 12 segments, 20 Mbit/s, idle for 0.3 s",
        "tcp",
        server_bps=20e6,
        compute_s=0.3,
        rounds=80,
        algorithms=("GD",),
        more=_TWELVE,
    ),
    Case("tcp, loss 1 %", "tcp", LOSS, rounds=1000),
    Case("udp, loss 1 %", "udp", LOSS, rounds=1000),
)


@dataclass(frozen=True)
class Predicted:
    """What netsim says of an algorithm.

    Parameters
    ----------
    seconds
        Of each round, shape (replications, rounds).
    rounds
        The messages of the first replication.
    """

    seconds: Float64s
    rounds: Sequence[Round]


def predict(case: Case, rounds: int, replications: int) -> dict[str, Predicted]:
    """Run real_link.yaml on the case's link; return what came of each algorithm."""
    import pandas as pd

    sets = [*case.sets, f"stop.rounds={rounds}", f"replications={replications}"]
    with tempfile.TemporaryDirectory() as folder:
        study.run(load(HERE / "real_link.yaml", sets), folder)
        times = pd.read_parquet(Path(folder, "rounds.parquet"), columns=["label", "replication", "sim_time_s"])
        messages = pd.read_parquet(Path(folder, "messages.parquet"))
    out = {}
    for label in case.algorithms:
        each = [group.sim_time_s.diff()[1:] for _, group in times[times.label == label].groupby("replication")]
        first = messages[(messages.label == label) & (messages.replication == 0)]
        columns = (first[name].tolist() for name in ("round", "src", "dst", "kind", "payload_bytes"))
        sizes = {
            (number, dst if src == SERVER else src, kind): payload_bytes + HEADER_BYTES
            for number, src, dst, kind, payload_bytes in zip(*columns, strict=True)
        }
        out[label] = Predicted(np.array(each), list(_schedule(sizes, rounds)))
    return out


def _schedule(sizes: dict[tuple[int, int, str], int], rounds: int) -> Iterator[Round]:
    """Yield the sizes of each round's messages; a worker that sent nothing would have sent what it sent before."""
    last = {(worker, kind): 0 for worker in range(WORKERS) for kind in ("model", "update")}
    last |= {key[1:]: size for key, size in reversed(sizes.items())}
    for number in range(rounds):
        last |= {key: size for key in last if (size := sizes.get((number, *key)))}
        yield Round(*([last[worker, kind] for worker in range(WORKERS)] for kind in ("model", "update")))


# --- statistics -----------------------------------------------------------------------------------------------


def p95(seconds: npt.ArrayLike) -> float:
    """Return the 95th percentile."""
    return float(np.quantile(seconds, 0.95))


def mean_error(seconds: npt.ArrayLike) -> float:
    """Return the standard error of the mean, from the means of blocks of rounds."""
    means = [block.mean() for block in _blocks(seconds)]
    return float(np.std(means, ddof=1)) / sqrt(BLOCKS)


def p95_error(seconds: npt.ArrayLike) -> float:
    """Return the standard error of the 95th percentile, by drawing blocks of rounds 1000 times."""
    blocks, rng = _blocks(seconds), np.random.default_rng(1)
    drawn = [p95(np.concatenate([blocks[i] for i in rng.integers(BLOCKS, size=BLOCKS)])) for _ in range(1000)]
    return float(np.std(drawn, ddof=1))


def _blocks(seconds: npt.ArrayLike) -> list[Float64s]:
    return np.array_split(np.ravel(np.asarray(seconds, np.float64)), BLOCKS)


# --- measured ---------------------------------------------------------------------------------------------------


def measure_all(cases: Sequence[Case] = CASES, most_rounds: int | None = None) -> Iterator[dict[str, str]]:
    """Measure cases; yield a row of the table for each of their algorithms.

    A measurement in which the relay was late with more than `MAX_LATE` of the packets is done again, at most twice.
    """
    for case in cases:
        rounds = min(case.rounds, most_rounds or case.rounds)
        for label, predicted in predict(case, rounds, 1).items():
            for _ in range(ATTEMPTS):
                got = measure(case.way, predicted.rounds)
                if got.relay.late <= MAX_LATE * got.relay.packets:
                    break
            yield row_of(case, label, predicted.rounds, got)


def row_of(case: Case, label: str, rounds: Sequence[Round], got: Measured) -> dict[str, str]:
    """Return a row of the table."""
    numbers: dict[str, float] = {
        "rounds": len(rounds), "message_bytes": bytes_of(rounds), "mean_s": float(np.mean(got.seconds)),
        "mean_se_s": mean_error(got.seconds), "median_s": float(np.median(got.seconds)),
        "p95_s": p95(got.seconds), "p95_se_s": p95_error(got.seconds), "slowest_s": max(got.seconds),
        "packets": got.relay.packets, "packets_lost": got.relay.lost,
        "packets_late": got.relay.late, "latest_s": got.relay.latest_ns / 1e9,
        "fast_retransmits": got.counters["TCPFastRetrans"], "tail_probes": got.counters["TCPLossProbes"],
        "timeouts": got.counters["TCPTimeouts"],
    }  # fmt: skip
    row = {"case": case.title, "algorithm": label}
    row |= {key: str(value) if isinstance(value, int) else f"{value:.6f}" for key, value in numbers.items()}
    return row | {"kernel": platform.release(), "measured_on": str(datetime.date.today())}


def bytes_of(rounds: Sequence[Round]) -> int:
    """Return the bytes of all messages."""
    return sum(sum(one.down) + sum(one.up) for one in rounds)


def table() -> list[dict[str, str]]:
    """Return the rows that were measured."""
    with TABLE.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# --- compared -----------------------------------------------------------------------------------------------------


def real_link(replications: int = 2) -> Iterator[Check]:
    """A real link, Linux.

    Synchronous rounds of a server and three workers through the sockets of a Linux kernel: the server sends its model
    to all of them, each computes for 20 ms and answers, and the next round begins when all answers are there. Lengths
    of messages are those of netsim's runs of gradient descent (8588 bytes up and down), top-k (8588 down, 285 up) and
    CAT (both ways as its rounds have it, up to 8588 bytes) on digits with 2145 features. Each node is a network
    namespace with a TUN device; between them a relay in user space (`benchmarks/validation/relay.py`) queues whole
    packets at the workers' links of 100 Mbit/s and at the server's port of 3 Mbit/s, keeps them for 20 ms, and at a
    loss of 1 % drops packets of all kinds, acknowledgements too.

    TCP: connections that stand, Reno, no Nagle algorithm, all else as the kernel comes (selective acknowledgements,
    RACK, tail loss probes, least timeout 200 ms). Floats of 64 bits make 12 segments, more than a first window: over
    20 Mbit/s they go at once where a connection has kept its window, and in two bursts after 0.3 s of computing. UDP:
    datagrams of 1472 bytes, under loss 1448 as in `wan`; there a round lasts until all answers are there or 250 ms are
    over, so its 95th percentile is that deadline.

    Ours are the rounds of `netsim run` on `benchmarks/validation/real_link.yaml`, and for UDP on `ethernet_udp` or,
    under loss, `wan` with `transport: plain` (which charges no headers). Limits: 5 % without loss; at 1 % loss 10 % for
    means and 25 % for 95th percentiles, which are about where rounds with a timeout begin (6 of 100) and so are known
    worse. Standard errors are from blocks of rounds, as a round finds the windows that the one before left.
    `python -m benchmarks.validation.real_link` measures anew where there are root, `ip` and /dev/net/tun.
    """
    yield from compare(table(), replications)


def compare(rows: Sequence[Mapping[str, str]], replications: int) -> Iterator[Check]:
    """Yield what netsim predicts for the rows beside what was measured."""
    for case in CASES:
        of = {row["algorithm"]: row for row in rows if row["case"] == case.title}
        if not of:
            continue
        rounds = int(next(iter(of.values()))["rounds"])
        found = predict(case, rounds, replications if case.loss else 1)
        for label, row in of.items():
            ours, title = found[label], f"{case.title}: {label}"
            mean_limit, p95_limit = LIMITS[case.loss]
            errors = mean_error(ours.seconds), p95_error(ours.seconds)
            theirs = {key: float(value) for key, value in row.items() if key.endswith("_s")}
            for name, value, limit, error in (
                ("mean", float(ours.seconds.mean()), mean_limit, errors[0]),
                ("p95", p95(ours.seconds), p95_limit, errors[1]),
            ):
                both = sqrt(error**2 + theirs[f"{name}_se_s"] ** 2)
                is_random = case.loss > 0 and not (case.has_deadline and name == "p95")
                away = (value - theirs[f"{name}_s"]) / both if is_random else float("nan")
                column = "mean of rounds, s" if name == "mean" else "95th percentile, s"
                yield Check(title, column, value, theirs[f"{name}_s"], limit, "%", away)
            size = bytes_of(ours.rounds) / rounds
            yield Check(title, "bytes of a round", size, int(row["message_bytes"]) / rounds, 1, "%")


def conditions() -> list[str]:
    """Return lines of Markdown: where and when the table was measured, and what relay and kernel did."""
    rows = table()
    where = ", ".join(sorted({f"Linux {row['kernel']} on {row['measured_on']}" for row in rows}))
    counted = ("rounds", "packets", "packets_lost", "packets_late", "fast_retransmits", "tail_probes", "timeouts")
    lines = [
        f"Measured with {where}. `late`: packets that the relay handed on more than 1 ms after their time; where those",
        f"are more than {100 * MAX_LATE:g} % the measurement is done again. Counters of the kernel's TCP: fast",
        "retransmissions, tail loss probes and timeouts.",
        "",
        "| measured | rounds | median | slowest | packets | lost | late | latest | fast again | probes | timeouts |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row[key] for key in counted]
        cells.insert(4, f"{1e3 * float(row['latest_s']):.1f} ms")
        cells[1:1] = [f"{1e3 * float(row[key]):.1f} ms" for key in ("median_s", "slowest_s")]
        lines.append(f"| {row['case']}: {row['algorithm']} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation.real_link", description=__doc__)
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--rounds", type=int, help="at most, of each algorithm and link")
    given = parser.parse_args()
    if lack := relay.missing():
        print(f"Nothing can be measured here: {lack}.", file=sys.stderr)
        return 2
    rows = list[dict[str, str]]()
    for row in measure_all([case for case in CASES if given.only in case.title], given.rounds):
        print(" ".join(row.values()), file=sys.stderr, flush=True)
        rows.append(row)
        out = io.StringIO()
        writer = csv.DictWriter(out, row, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write(given.out, out.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
