"""Runs in this process, in child processes, or on a Dask cluster; each with one BLAS thread."""

from __future__ import annotations

import functools
import pickle
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from netsim import compiling
from netsim.errors import ConfigError
from netsim.files import Content, read
from netsim.registry import load_plugin, place
from netsim.study import children
from netsim.study.execute import execute
from netsim.study.plan import Run, Tick
from netsim.study.progress import Watcher
from netsim.study.store import Record, Store

TICK_S = 0.2


def run_here(runs: Sequence[Run], store: Store, watcher: Watcher) -> None:
    """Do the runs one after the other in this process."""
    for run in runs:
        watcher.start(run)
        tick = _throttled(lambda *state, run=run: watcher.tick(run, *state))
        with compiling.announced(functools.partial(watcher.compiling, run)):
            record, files = execute(run, tick)
        if files:
            store.save(run.hash, record, files)
        watcher.finish(run, record)


def run_in_children(runs: Sequence[Run], store: Store, watcher: Watcher, jobs: int, plugins: Sequence[str]) -> None:
    """Do the runs in `jobs` child processes, which keep what they finish.

    A child that dies takes only its run with it. The children of a killed parent end by themselves.
    """
    left, pool, lock = deque(runs), set[children.Child](), threading.Lock()
    is_over = threading.Event()

    def work() -> None:
        child: children.Child | None = None
        while True:
            with lock:
                if not left:
                    break
                run = left.popleft()
                if child is None:
                    child = children.Child("netsim.study.workers:do", plugins, is_first=not pool)
                    pool.add(child)
            watcher.start(run)
            record = _ask(child, run, store.folder, watcher)
            if is_over.is_set():
                return
            watcher.finish(run, record)
            if record.status == "failed":  # what failed it may have spoilt its process for the next run
                child.close()
                child = None
        if child is not None:
            child.close()

    try:
        with ThreadPoolExecutor(jobs) as threads:
            try:
                futures = [threads.submit(work) for _ in range(jobs)]
                wait(futures, return_when=FIRST_EXCEPTION)
                for future in futures:
                    if future.done():
                        future.result()
            except BaseException:
                with lock:
                    left.clear()
                    is_over.set()
                    for child in pool:
                        child.kill()
                raise
    finally:
        for child in pool:
            child.close()


def run_on_cluster(address: str, runs: Sequence[Run], store: Store, watcher: Watcher, plugins: Sequence[str]) -> None:
    """Do the runs on a Dask cluster and keep here what they send back.

    Its scheduler has an address such as ``tcp://10.0.0.1:8786``, its workers have one thread each and netsim installed,
    and see data and plugins under the same paths.

    Raises
    ------
    ConfigError
        If Dask is not installed, nothing answers at `address`, or a finished run cannot be kept.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ConfigError("--dask: Dask is not installed; pip install 'netsim-learn[dask]'") from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise ConfigError(f"--dask: no scheduler answers. Got {address!r} ({error})") from error
    with client:
        futures = {client.submit(remote, pickle.dumps(run), tuple(plugins), pure=False): run for run in runs}
        for future in as_completed(futures):
            run = futures[future]
            watcher.start(run)
            failure = future.exception()
            if failure:
                record, files = Record("failed", " ".join(f"Dask: {failure}".split())), dict[str, bytes]()
            else:
                record, files = future.result()
            if files:
                store.save(run.hash, record, files)
            watcher.finish(run, record)
            future.release()


def remote(wire: bytes, plugins: Sequence[str]) -> tuple[Record, dict[str, bytes]]:
    """Execute a pickled run in a process that may know nothing of it yet."""
    for plugin in plugins:
        load_plugin(plugin)
    with children.one_thread():
        record, files = _execute(wire)
    return record, {name: read(content) for name, content in files.items()}


def do(task: tuple[Path, str, bytes]) -> Record:
    """Do and keep a pickled run, in a child."""
    folder, hash, wire = task
    with compiling.announced(functools.partial(children.tell, "compiling")):
        try:
            record, files = _execute(wire, _throttled(lambda *state: children.tell("tick", state)))
        except KeyboardInterrupt as error:  # Ctrl-C is the parent's: a component raised it
            record, files = Record("failed", f"KeyboardInterrupt was raised ({place(error)})"), {}
    if files:
        Store(folder).save(hash, record, files)
    return record


def _ask(child: children.Child, run: Run, folder: Path, watcher: Watcher) -> Record:
    def hear(what: str, answer: Any) -> None:
        if what == "compiling":
            watcher.compiling(run, answer)
        else:
            watcher.tick(run, *answer)

    start_s = time.perf_counter()
    try:
        record: Record = child.ask((folder, run.hash, pickle.dumps(run)), hear)
    except children.Died as error:
        return Record("failed", str(error), host_s=time.perf_counter() - start_s)
    return record


def _execute(wire: bytes, tick: Tick | None = None) -> tuple[Record, dict[str, Content]]:
    try:
        run: Run = pickle.loads(wire)
    except (ImportError, AttributeError) as error:
        # For example a component that the caller's script defines.
        return Record("failed", f"another process cannot find its components ({error}); make them a plugin"), {}
    return execute(run, tick)


def _throttled(tick: Tick) -> Tick:
    last_s = time.monotonic()

    def maybe(round: int, sim_time_s: float, loss: float) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= TICK_S:
            last_s = now_s
            tick(round, sim_time_s, loss)

    return maybe
