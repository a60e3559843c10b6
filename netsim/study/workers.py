"""Runs in this process, in child processes, or on a Dask cluster; each with one BLAS thread.

A child is ``python -c`` with pipes, not a `multiprocessing` process: it starts as quickly, and it does not import
the caller's main module again, so that a study in a script needs no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import functools
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from netsim import compiling
from netsim.errors import ConfigError
from netsim.registry import load_plugin
from netsim.study.execute import execute
from netsim.study.plan import Run, Tick
from netsim.study.progress import Watcher
from netsim.study.store import Record, Store

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
TICK_S = 0.2
BOOT = """
import signal, sys, pickle
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = pickle.load(sys.stdin.buffer)
from netsim.study.workers import serve
serve()
"""


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS and OpenMP to one thread: with more, sums come out in other orders and in other bits."""
    from threadpoolctl import threadpool_limits

    # The variables reach libraries that are loaded later, the limits those already loaded.
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_here(runs: Sequence[Run], store: Store, watcher: Watcher) -> None:
    """Do the runs one after the other in this process.

    Raises
    ------
    ConfigError
        If a finished run cannot be kept.
    """
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

    Raises
    ------
    ConfigError
        If a finished run cannot be kept.
    """
    left, children, lock = deque(runs), set[Child](), threading.Lock()
    is_over = threading.Event()

    def work() -> None:
        child: Child | None = None
        while True:
            with lock:
                if not left:
                    break
                run = left.popleft()
                if child is None:
                    child = Child(plugins, store.folder, is_first=not children)
                    children.add(child)
            watcher.start(run)
            record = child.do(run, watcher)
            if is_over.is_set():
                return
            watcher.finish(run, record)
            if child.is_dead:
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
                    for child in children:
                        child.kill()
                raise
    finally:
        for child in children:
            child.close()


def run_on_cluster(address: str, runs: Sequence[Run], store: Store, watcher: Watcher, plugins: Sequence[str]) -> None:
    """Do the runs on a Dask cluster and keep here what they send back.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``. Its workers have one thread each and netsim installed, and
        see data and plugins under the same paths.

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
    _load_plugins(plugins)
    with one_thread():
        return _execute(wire)


# --- a child, seen by its parent -------------------------------------------------------------------


class Child:
    """A process that does one run after the other.

    Parameters
    ----------
    plugins
        Files that it loads first.
    folder
        Where it keeps finished runs.
    is_first
        The first of a study's children speaks for all where compiled code cannot be kept.
    """

    def __init__(self, plugins: Sequence[str], folder: Path, is_first: bool = True) -> None:
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
        if not is_first:
            environment[compiling.QUIET] = "1"
        command = [sys.executable, "-P", "-c", BOOT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._say(sys.path)
        self._say((tuple(plugins), folder))

    def do(self, run: Run, watcher: Watcher) -> Record:
        """Have one run done and kept.

        Raises
        ------
        ConfigError
            If the child could not keep it.
        """
        start_s = time.perf_counter()
        self._say((run.hash, pickle.dumps(run)))
        while True:
            try:
                what, answer = pickle.load(self._output)
            except (EOFError, pickle.UnpicklingError):
                return Record("failed", self._exit_in_words(), host_s=time.perf_counter() - start_s)
            if what == "done":
                return cast(Record, answer)
            if what == "unkept":
                raise ConfigError(answer)
            if what == "compiling":
                watcher.compiling(run, answer)
            else:
                watcher.tick(run, *answer)

    @property
    def is_dead(self) -> bool:
        """True where the process died in its last run."""
        return self._process.returncode is not None

    def close(self) -> None:
        """End the process, and wait for it."""
        with suppress(BrokenPipeError):
            self._input.close()
        self._output.close()
        self._process.wait()

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def _say(self, what: object) -> None:
        # A dead child is noticed when its answer is read.
        with suppress(BrokenPipeError):
            pickle.dump(what, self._input)
            self._input.flush()

    def _exit_in_words(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self.close()
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"its process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


# --- the child itself -------------------------------------------------------------------------------


def serve() -> None:
    """Do what the parent says until it says no more, or is no more."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints must not go into the pipe
    plugins, folder = pickle.load(source)
    orders = queue.SimpleQueue[Any]()
    threading.Thread(target=_listen, args=(source, orders), daemon=True).start()
    _load_plugins(plugins)
    store = Store(folder)

    def say(what: str, answer: object) -> None:
        pickle.dump((what, answer), sink)
        sink.flush()

    with one_thread(), compiling.announced(lambda kernel: say("compiling", kernel)):
        while True:
            hash, wire = orders.get()
            record, files = _execute(wire, _throttled(lambda *state: say("tick", state)))
            try:
                if files:
                    store.save(hash, record, files)
            except ConfigError as error:
                say("unkept", str(error))
                continue
            say("done", record)


def _execute(wire: bytes, tick: Tick | None = None) -> tuple[Record, dict[str, bytes]]:
    try:
        run: Run = pickle.loads(wire)
    except (ImportError, AttributeError) as error:
        # For example a component that the caller's script defines.
        return Record("failed", f"another process cannot find its components ({error}); make them a plugin"), {}
    return execute(run, tick)


def _listen(source: IO[bytes], orders: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            orders.put(pickle.load(source))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _load_plugins(plugins: Sequence[str]) -> None:
    for plugin in plugins:
        load_plugin(plugin)


def _throttled(tick: Tick) -> Tick:
    last_s = time.monotonic()

    def maybe(round: int, sim_time_s: float, loss: float) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= TICK_S:
            last_s = now_s
            tick(round, sim_time_s, loss)

    return maybe
