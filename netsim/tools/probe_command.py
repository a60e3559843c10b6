"""The command ``netsim probe``: from its words to files."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from netsim import files as files_module
from netsim import text as text_module
from netsim.errors import ConfigError
from netsim.interfaces import HEADER_BYTES, Medium, Node, Payload, ShowsFrames
from netsim.scenario.parsing import dump
from netsim.simulation.capture import Capture, Tapped, message
from netsim.text import quantity, seconds, table
from netsim.tools import plots, probe_setup
from netsim.tools.probe import Point, Task, follow, replicate, run, to_csv
from netsim.tools.traffic import Traffic, read_trace
from netsim.units import QuantityError, to_number

PATTERNS = ("burst", "periodic", "poisson")
DELIVERY_COLUMNS = (
    "transfer", "src", "dst", "bytes", "submit_ns", "end_ns", "ok", "packets", "attempts", "wire_bytes", "airtime_ns",
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """The words that say what is offered; see `netsim probe --help`."""

    nodes: str = "1"
    sizes: str = "100,1000"
    rates: str | None = None
    pattern: str | None = None
    trace: str | None = None
    messages: int | None = None
    duration: str | None = None
    to: str = "server"
    header: bool = False

    def traffic(self) -> list[Traffic]:
        """Return the grid's points.

        Raises
        ------
        ConfigError
            For an option that is no number, out of range, or does not fit the pattern.
        """
        extra = HEADER_BYTES if self.header else 0
        if self.trace is not None:
            given = [self.rates, self.pattern, self.messages, self.duration]
            if any(word is not None for word in given):
                raise ConfigError("--trace: the file says all; leave out --rate, --pattern, --messages and --duration")
            return [read_trace(self.trace, extra)]
        counts = [int(n) for n in numbers("--nodes", self.nodes, None, 1, 100_000)]
        lengths = [int(n) for n in numbers("--message-bytes", self.sizes, "byte", 1, 1 << 30)]
        pattern: Any = self.pattern or ("burst" if self.rates is None else "poisson")
        if pattern not in PATTERNS:
            raise ConfigError(f"--pattern: one of {', '.join(PATTERNS)}. Got {pattern!r}")
        if pattern == "burst" and (self.rates is not None or self.duration is not None):
            raise ConfigError("--rate, --duration: a burst offers all messages at time 0; choose --pattern poisson")
        if pattern != "burst" and self.rates is None:
            raise ConfigError(f"--rate: pattern {pattern} needs the messages per second of each node")
        if self.messages is not None and self.duration is not None:
            raise ConfigError("--messages, --duration: one of the two. Got both")
        to: Any = self.to
        if to not in ("server", "all"):
            raise ConfigError(f"--to: server, or all for a broadcast. Got {to!r}")
        rates = [0.0] if self.rates is None else numbers("--rate", self.rates, None, 1e-9, 1e9, whole=False)
        duration_s = None
        if self.duration is not None:
            (duration_s,) = numbers("--duration", self.duration, "s", 1e-9, 1e9, whole=False)[:1]
        each = self.messages if self.messages is not None else 1 if pattern == "burst" else 100
        if each < 1:
            raise ConfigError(f"--messages: a whole number >= 1. Got {each}")
        most = max(counts) * (each if duration_s is None else max(rates) * duration_s)
        if most > 1e8:
            raise ConfigError(f"--messages, --duration, --nodes: at most 1e8 messages a replication. Got {most:.3g}")
        return [
            Traffic(pattern, n, size + extra, rate, each, duration_s, to)
            for n in counts
            for size in lengths
            for rate in rates
        ]


@dataclass(frozen=True)
class Files:
    """Where results go; None: nowhere (the CSV then goes to stdout)."""

    out: str | None = None
    plot: str | None = None
    pcap: str | None = None
    deliveries: str | None = None


def command(
    source: str, sets: Sequence[str], grid: Grid, files: Files, replications: int, seed: int, jobs: int,
    plugins: Sequence[str],
) -> str:  # fmt: skip
    """Do it; what the command prints.

    Raises
    ------
    ConfigError
        For whatever is wrong in the words or the channel's file, before anything runs.
    """
    plots.check(files.plot)
    outs = {"--out": files.out, "--plot": files.plot, "--pcap": files.pcap, "--deliveries": files.deliveries}
    for option, name in outs.items():
        files_module.check_out(option, name)
    points = grid.traffic()
    setup = probe_setup.load(source, sets)
    for option, path in (("--pcap", files.pcap), ("--deliveries", files.deliveries)):
        if path is not None and len(points) > 1:
            allowed = "one value each for --nodes, --message-bytes and --rate"
            raise ConfigError(f"{option}: {allowed}. Got {len(points)} points")
    if files.pcap is not None and not isinstance(setup.channel, ShowsFrames):
        raise ConfigError(f"--pcap: {setup.name} does not say how its frames look: it has no method `frames`")
    places = [tuple(setup.nodes(traffic.nodes)) for traffic in points]
    with Teller(len(points)) as tell:
        found = run(setup, points, replications, seed, jobs, plugins, tell)
    text = to_csv(found)
    said = []
    out = None if files_module.is_stdout(files.out) else files.out
    if out is not None:
        files_module.write(Path(out), text)
        said.append(out)
    if files.plot is not None:
        files_module.write(Path(files.plot), plots.probe(f"netsim probe {setup.name}", found))
        said.append(files.plot)
    if files.pcap is not None:
        said.append(_capture(files.pcap, setup, points[0], places[0], seed, grid.header))
    if files.deliveries is not None:
        told = deliveries(Task(dump(setup.channel), places[0], points[0], seed, 0))
        files_module.write(Path(files.deliveries), told)
        said.append(files.deliveries)
    return text if out is None else f"{summary(found)}\n\n{' '.join(said)}"


def summary(points: Sequence[Point]) -> str:
    """Return the main columns as a table for a terminal."""
    rows = []
    for point in points:
        value = {name: pair[0] for name, pair in point.values.items()}
        latencies = [seconds(value[name]) for name in ("latency_mean_s", "latency_p95_s", "makespan_s")]
        joules = [quantity(value[name], "J") for name in ("sender_j", "bit_j")]
        rows.append([title(point.traffic), f"{value['delivery']:.4g}", *latencies, *joules])
    return table(["", "delivery", "latency", "p95", "makespan", "a sender", "a bit"], rows)


def numbers(option: str, text: str, unit: str | None, least: float, most: float, whole: bool = True) -> list[float]:
    """Return the numbers of a list such as ``1,10``, ``100,1 kB`` or ``100:1500:100`` (start:stop:step).

    Examples
    --------
    >>> numbers("--message-bytes", "100:300:100,1 kB", "byte", 1, 1e9)
    [100.0, 200.0, 300.0, 1000.0]
    """
    out: list[float] = []
    for part in text.split(","):
        nearest = ""
        try:
            ends = [to_number(word, unit) for word in part.split(":")]
        except QuantityError as error:
            ends, nearest = [], f". Nearest: {error.nearest}" if error.nearest else ""
        if len(ends) == 3 and ends[2] > 0 and (ends[1] - ends[0]) / ends[2] < 1e5:
            ends = [ends[0] + i * ends[2] for i in range(int((ends[1] - ends[0]) / ends[2] + 1e-9) + 1)]
        elif len(ends) != 1:
            ends = [math.nan]
        for number in ends:
            if not least <= number <= most or (whole and number != int(number)):
                kind = "whole numbers" if whole else "numbers"
                raise ConfigError(
                    f"{option}: {kind} from {least:g} to {most:g}, such as 1,10 or 100:1500:100. Got {part!r}{nearest}"
                )
            out.append(number)
    return list(dict.fromkeys(out))


class Teller:
    """Progress on stderr: a bar on a terminal, else a line for each point."""

    def __init__(self, points: int) -> None:
        self._points, self._done, self._start_s, self._bar = points, 0, time.monotonic(), None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("probe", total=None)

    def __call__(self, done: int, of: int, point: Point | None) -> None:
        """Show that `done` of `of` replications are finished, and a point's results once it is complete."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=of)
        if point is None:
            return
        self._done += 1
        if self._bar is None:
            values, traffic = point.values, point.traffic
            print(
                f"[{self._done}/{self._points}] {title(traffic)}: delivery {values['delivery'][0]:.4g}, "
                f"latency {seconds(values['latency_mean_s'][0])}, makespan {seconds(values['makespan_s'][0])}, "
                f"{quantity(values['sender_j'][0], 'J')} a sender (host {time.monotonic() - self._start_s:.1f} s)",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def title(traffic: Traffic) -> str:
    """Return a point's name, such as ``10 nodes, 100 B, 2 messages/s``."""
    nodes = f"{traffic.nodes} node{'s' if traffic.nodes != 1 else ''}"
    if traffic.pattern == "trace":
        return f"{nodes}, trace of {len(traffic.offers)} messages"
    rate = f", {traffic.rate:g} messages/s" if traffic.rate else ""
    return f"{nodes}, {traffic.size_bytes} B{rate}"


def _capture(
    path: str, setup: probe_setup.Setup, traffic: Traffic, nodes: tuple[Node, ...], seed: int, header: bool
) -> str:
    """Simulate replication 0 again with its frames written down; frames do not change the events."""
    capture = Capture(cast(ShowsFrames, setup.channel))

    def content(transfer: int, src: int, size_bytes: int) -> bytes:
        if header:
            return message(Payload(pattern(size_bytes - HEADER_BYTES), 0.0), "update", src, transfer % (1 << 24))
        return pattern(size_bytes)

    task = Task(dump(setup.channel), nodes, traffic, seed, 0)
    medium = cast(Medium, Tapped(task.opened(capture), capture, content))
    replicate(medium, nodes, task.offers())
    files_module.write(Path(path), capture.to_bytes())
    return path


def deliveries(task: Task) -> str:
    """Simulate a replication again; return CSV with a row for each message and destination, times in nanoseconds."""
    started, ended, _ = follow(task.opened(), task.offers())
    return text_module.to_csv([
        DELIVERY_COLUMNS,
        *(
            (d.transfer, d.src, d.dst, d.size_bytes, started[d.transfer].at_ns, d.at_ns, int(d.ok),
             d.packets, d.attempts, d.wire_bytes, d.airtime_ns)
            for d in ended
        ),
    ])  # fmt: skip


def pattern(size_bytes: int) -> bytes:
    """Return bytes that count 0, 1, ... 255, 0, ..., so that each tells its offset."""
    return (bytes(range(256)) * (size_bytes // 256 + 1))[:size_bytes]
