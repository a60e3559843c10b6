"""One run, done in this process."""

from __future__ import annotations

import math
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from typing import TYPE_CHECKING, Any

from netsim.errors import NetsimError, SimulationError, words_of
from netsim.files import Content
from netsim.interfaces import HasContent
from netsim.registry import place
from netsim.study.inputs import digest, file_digest, files_of
from netsim.study.plan import MAX_OPENED, Run, Tick, check_inputs
from netsim.study.store import Record

if TYPE_CHECKING:
    from netsim.interfaces import Problem
    from netsim.scenario import Scenario
    from netsim.simulation.ending import RunResult
    from netsim.simulation.replay import Replications


def execute(run: Run, tick: Tick | None = None) -> tuple[Record, dict[str, Content]]:
    """Do one run.

    Parameters
    ----------
    run
        What to do.
    tick
        Called with (round, simulated seconds, loss).

    Returns
    -------
    How it ended, and the files to keep: one arrow file per table, and captures. A run that raised an error is a record
    of status ``failed``, with the rows up to there.
    """
    start_s, result, process = time.perf_counter(), None, os.getpid()
    error: BaseException | None
    try:
        with _no_input(), chdir(os.getcwd()):
            result = _do(run, tick)
        error = result.error
    except SystemExit as caught:
        error = SimulationError(f"sys.exit({caught.code!r}) was called ({place(caught)})")
    except KeyboardInterrupt:
        raise
    except BaseException as caught:
        error = caught
    finally:
        if os.getpid() != process:  # a component has forked, and this copy came back: the run is the other's
            os._exit(1)
    files = dict[str, Content]()
    if result is not None:
        from netsim import arrow

        files |= {f"{name}.arrow": arrow.to_bytes(table) for name, table in result.tables.items()} | dict(result.files)
    return _record(result, error, time.perf_counter() - start_s), files


@contextmanager
def _no_input() -> Iterator[None]:
    """Give a run an empty stdin: a component that asks for input fails, and does not wait for ever or eat orders."""
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = before


def _do(run: Run, tick: Tick | None) -> RunResult:
    problem = open_problem(run.scenario, run.replication)
    is_first = run.scenario.draws(run.replication) == run.scenario.draws(0)
    check_inputs(run, content(problem) if is_first else run.data)
    return _attempt(run, problem, tick)


def _record(result: RunResult | None, error: BaseException | None, host_s: float) -> Record:
    facts: dict[str, Any] = {"host_s": host_s}
    if result is not None:
        facts |= {"rounds": result.rounds, "sim_time_s": result.sim_time_s, "met_at_start": result.met_at_start}
        facts["graph"] = dict(result.graph)
        facts["deaths_s"] = {str(node): at_s for node, at_s in result.deaths_s.items()}
        if (found := result.divergence) is not None:
            norm = found.norm if math.isfinite(found.norm) else str(found.norm)  # JSON has no number for it
            facts["diverged"] = {"round": found.round, "node": found.node, "norm": norm}
    if error is None and result is not None:
        return Record(result.status, result.sentence, **facts)
    sentence = "" if error is None else words_of(error)
    if error is not None and not isinstance(error, NetsimError):
        sentence = f"{type(error).__name__}: {sentence} ({place(error)})"
    facts["traceback"] = "".join(traceback.format_exception(error))
    return Record("failed", " ".join(sentence.split()), **facts)


def _attempt(run: Run, problem: Problem, tick: Tick | None) -> RunResult:
    """Simulate a run; replications that train alike are trained once in this process, and the network replayed."""
    from netsim.simulation import engine, replay

    if run.scenario.replications == 1 or not replay.train_alike(run.scenario) or not run.group:
        return engine.attempt(run.scenario, run.entry, run.replication, problem, tick)
    if run.group not in _replications:
        _replications.clear()
        _replications[run.group] = replay.Replications(run.scenario, run.entry, problem)
    return _replications[run.group].attempt(run.replication, tick)


def problem_key(scenario: Scenario, replication: int = 0) -> str:
    """Return what identifies a problem: configuration, seed, redrawn streams, and its files as they are now."""
    draws = scenario.draws(replication)
    return digest([scenario.problem, scenario.seed, draws, list(map(file_digest, files_of(scenario.problem)))])


def open_problem(scenario: Scenario, replication: int = 0) -> Problem:
    """Open a replication's problem; it is kept for the process as long as its files stay, as loading is slow."""
    key = problem_key(scenario, replication)
    if key not in _opened:
        while len(_opened) >= MAX_OPENED:
            del _opened[next(iter(_opened))]
        _opened[key] = scenario.open_problem(replication)
    return _opened[key]


def content(problem: Problem) -> str:
    """Return a digest of the data of an opened problem; '' where it does not offer one."""
    return problem.content() if isinstance(problem, HasContent) else ""


def close_problems() -> None:
    """Give back the memory of what `open_problem` keeps."""
    _opened.clear()
    _replications.clear()


_opened = dict[str, "Problem"]()
_replications = dict[str, "Replications"]()  # of one algorithm at a time
