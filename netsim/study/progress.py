"""How a study goes on, on stderr: moving bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from netsim.study.plan import Run
from netsim.study.store import Record
from netsim.text import seconds

if TYPE_CHECKING:
    from rich.progress import TaskID

QUIET_S = 10.0
BAD = ("failed", "stalled", "diverged")


def watcher(show: bool, total: int, records: dict[str, Record]) -> Watcher:
    """Return the watcher that suits stderr, of `total` runs; `records` are those finished already, by their hash.

    It says nothing where `show` is False.
    """
    return (Watcher if not show or sys.stderr is None else _Bars if sys.stderr.isatty() else _Lines)(total, records)


class Watcher:
    """Collects the records and says nothing; a context manager, called from several threads."""

    def __init__(self, total: int, records: dict[str, Record]) -> None:
        self.total = total
        self.records = records
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def start(self, run: Run) -> None:
        """Show that a run begins."""

    def compiling(self, run: Run, kernel: str) -> None:
        """Show that a run waits while a kernel is compiled, which takes seconds, but once for all processes."""

    def tick(self, run: Run, round: int, sim_time_s: float, loss: float) -> None:
        """Show how far a run has come."""

    def finish(self, run: Run, record: Record) -> None:
        """Show that a run has ended."""
        with self._lock:
            self.records[run.hash] = record


class _Lines(Watcher):
    """A line per finished run, and one every 10 s while none finishes."""

    def __enter__(self) -> Self:
        self._running: dict[Run, str] = {}
        self._said_s = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_talking, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def start(self, run: Run) -> None:
        with self._lock:
            self._running[run] = "starts"

    def compiling(self, run: Run, kernel: str) -> None:
        with self._lock:
            self._running[run] = f"compiling {kernel}"

    def tick(self, run: Run, round: int, sim_time_s: float, loss: float) -> None:
        with self._lock:
            self._running[run] = f"round {round}, simulated {seconds(sim_time_s)}, loss {loss:.4g}"

    def finish(self, run: Run, record: Record) -> None:
        with self._lock:
            super().finish(run, record)
            self._running.pop(run, None)
            width = len(str(self.total))
            self._say(f"[{len(self.records):{width}}/{self.total}] {title(run)}: {ending(record)}")

    def _say(self, line: str) -> None:
        with suppress(OSError, ValueError):  # whoever listened may have gone; the study goes on
            print(line, file=sys.stderr, flush=True)
        self._said_s = time.monotonic()

    def _keep_talking(self) -> None:
        while not self._over.wait(QUIET_S / 10):
            with self._lock:
                if time.monotonic() - self._said_s >= QUIET_S:
                    now = "; ".join(f"{title(run)}: {state}" for run, state in self._running.items())
                    self._say(f"{len(self.records)} of {self.total} runs finished; running: {now or 'nothing yet'}")


class _Bars(Watcher):
    """The study's bar and a line per running run; runs that ended badly stay on the screen."""

    def __enter__(self) -> Self:
        from rich import progress
        from rich.console import Console

        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=20),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[Run, TaskID] = {}
        self._bars.start()
        self._study = self._bars.add_task("study", total=self.total, completed=len(self.records))
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def start(self, run: Run) -> None:
        limit = run.scenario.stop.rounds
        self._tasks[run] = self._bars.add_task(title(run), total=limit)

    def compiling(self, run: Run, kernel: str) -> None:
        self._bars.update(self._tasks[run], description=f"{title(run)}: compiling {kernel}")

    def tick(self, run: Run, round: int, sim_time_s: float, loss: float) -> None:
        text = f"{title(run)}: simulated {seconds(sim_time_s)}, loss {loss:.4g}"
        self._bars.update(self._tasks[run], description=text, completed=round)

    def finish(self, run: Run, record: Record) -> None:
        super().finish(run, record)
        self._bars.remove_task(self._tasks.pop(run))
        self._bars.advance(self._study)
        if record.status in BAD:
            self._bars.console.print(f"{title(run)}: {ending(record)}", markup=False, highlight=False)


def title(run: Run) -> str:
    """Return a run's name, such as ``uplink=wan  CAT S  rep 2``."""
    return "  ".join(part for part in (run.point, run.label, f"rep {run.replication}") if part)


def ending(record: Record) -> str:
    """Return how a run ended, in words, and both times."""
    times = f"simulated {seconds(record.sim_time_s)}, host {record.host_s:.2f} s"
    if record.status in BAD:
        return f"{record.status}: {record.sentence} ({times})"
    return f"{record.status} in {record.rounds} rounds, {times}"
