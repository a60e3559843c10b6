"""A plugin for the tests of the study runner: runs that end in every way there is, without a network.

It brings a problem and an algorithm of this name, and an engine that plays them. A child process of a study finds the
engine in place as soon as it has loaded the plugin; the tests' own process puts it there for one test only.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from netsim.arrow import table
from netsim.fields import NonNegativeFloat, PositiveInt, Range
from netsim.registry import component
from netsim.rng import stream
from netsim.scenario.parts import COUNTERS, DIRECTIONS
from netsim.simulation import engine


class Opened:
    """A problem with nothing in it."""

    metric_names = frozenset({"loss", "loss_gap", "grad_norm"})


@component("problem")
@dataclass(frozen=True)
class NoProblem:
    """A problem that costs nothing; `log` is a file that counts how often it is opened."""

    nodes: PositiveInt = 2
    path: str = ""
    log: str = ""
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, seed: int) -> Any:
        if self.log:
            with Path(self.log).open("a") as log:
                log.write("opened\n")
        return Opened()


@component("algorithm")
@dataclass(frozen=True)
class Trouble:
    """Ends its run as told.

    Parameters
    ----------
    how
        ``raise`` an error, ``exit`` or ``kill`` the process, ``stall``, ``miss`` its target, or reach it (``none``).
    pause_s
        Of the host, in each round.
    extra
        Report a column that others lack.
    """

    how: Literal["none", "raise", "exit", "kill", "stall", "miss"] = "none"
    pause_s: NonNegativeFloat = 0.0
    extra: bool = False
    bias: Annotated[float, Range(gt=0)] = 1.0
    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def server(self, ctx: Any) -> Any:
        raise NotImplementedError

    def worker(self, ctx: Any) -> Any:
        raise NotImplementedError


def simulate(
    scenario: Any,
    entry: Any,
    replication: int,
    problem: Any,
    progress: Callable[[int, float, float], None] | None = None,
) -> engine.RunResult:
    """Rows that depend on seed, replication and algorithm, and on the number of BLAS threads."""
    algorithm, rows = entry.algorithm, scenario.stop.rounds
    draws = stream(scenario.seed, replication, 0, f"trouble {algorithm.bias}")
    for round in range(rows):
        time.sleep(algorithm.pause_s)
        if progress:
            progress(round, float(round), 1.0)
    if algorithm.how == "raise":
        raise ValueError(f"round 3 went\nwrong at {os.path.basename(__file__)}")
    if algorithm.how == "exit":
        os._exit(3)
    if algorithm.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    columns: dict[str, Any] = {"round": np.arange(rows), "sim_time_s": np.cumsum(draws.random(rows))}
    columns |= {"loss": draws.random(rows), "loss_gap": 2.0 ** -np.arange(rows), "grad_norm": draws.random(rows)}
    columns |= {"accuracy": np.full(rows, np.nan), "energy_j": columns["sim_time_s"] * algorithm.bias}
    columns |= {f"{d}_{c}": np.arange(rows) * (i + 1) for i, d in enumerate(DIRECTIONS) for c in COUNTERS}
    columns["blas_threads"] = np.full(rows, blas_threads())
    if algorithm.extra:
        columns["budget"] = draws.random(rows)
    tables = {"rounds": table(columns), "energy": table({"node": np.arange(2), "state": ["tx", "rx"]})}
    if scenario.record.messages:
        tables["messages"] = table({"round": np.arange(3), "kind": ["update"] * 3, "ok": np.array([True, True, False])})
    status = {"stall": "stalled", "miss": "done"}.get(algorithm.how, "reached")
    sentence = "the server waits for 2 messages of round 3 and has 1" if status == "stalled" else "all is well"
    return engine.RunResult(status, sentence, tables, float(columns["sim_time_s"][-1]), rows - 1)  # type: ignore[arg-type]


def blas_threads() -> int:
    """The most threads that any BLAS of this process would use, in one that is loaded only now too."""
    import scipy.special  # noqa: F401
    from threadpoolctl import threadpool_info

    return max(library["num_threads"] for library in threadpool_info())


if "pytest" not in sys.modules:
    engine.attempt = simulate
