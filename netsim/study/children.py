"""Processes that do one task after the other, and end when their parent does, however that ends.

A child is ``python -c`` with pipes, not a `multiprocessing` process: it starts as quickly, and it does not import the
caller's main module again, so that a study in a script, or in one that comes through a pipe, needs no
``if __name__ == "__main__"``. It has no standard input, and what it prints goes to the standard error.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from netsim import compiling, console
from netsim.errors import NetsimError, SimulationError
from netsim.registry import load_plugin

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# The pipes get numbers of their own first: a task may close or read the standard streams.
BOOT = """
import os, pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
os.dup2(os.open(os.devnull, os.O_RDWR), 0)
os.dup2(2, 1)
sys.path[:] = pickle.load(orders)
from netsim.study.children import serve
serve(orders, answers)
"""


class Died(SimulationError):
    """A child ended in the middle of a task; the text says how."""


class Child:
    """A process, seen by its parent.

    Parameters
    ----------
    function
        ``module:name`` of a function of one task; tasks and answers are pickled.
    plugins
        Files that the process loads first.
    is_first
        The first of several children speaks for all where compiled code cannot be kept.
    """

    def __init__(self, function: str, plugins: Sequence[str] = (), is_first: bool = True) -> None:
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
        if not is_first:
            environment[compiling.QUIET] = "1"
        command = [sys.executable, "-P", "-c", BOOT]
        # A group of its own, which ends with it: a task may leave processes behind.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, process_group=0
        )
        self._orders, self._answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._say(import_path())
        self._say((function, tuple(plugins)))

    def ask(self, task: object, hear: Callable[[str, Any], None] = lambda *_: None) -> Any:
        """Have a task done and return the answer; `hear` gets what the function tells meanwhile.

        Raises
        ------
        NetsimError
            What the function raised.
        Died
            If the process ended before it answered.
        """
        self._say(task)
        while True:
            try:
                what, answer = pickle.load(self._answers)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                raise Died(self._exit_in_words()) from None
            if what == "answer":
                return answer
            if what == "error":
                raise answer
            hear(what, answer)

    @property
    def is_dead(self) -> bool:
        """True where the process died in its last task."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """End the process now, and those that its tasks have left."""
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, and wait for it."""
        for pipe in (self._orders, self._answers):
            with suppress(OSError):
                pipe.close()
        self._process.wait()
        self.kill()

    def _say(self, what: object) -> None:
        # A dead child is noticed when its answer is read.
        with suppress(OSError, ValueError):
            pickle.dump(what, self._orders)
            self._orders.flush()

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


def each(function: str, tasks: Sequence[Any], jobs: int, plugins: Sequence[str] = ()) -> Iterator[tuple[int, Any]]:
    """Yield (index, answer) of every task, as they finish; with one job in this process and in order.

    Parameters
    ----------
    function, plugins
        See `Child`; the plugins are already loaded here.
    jobs
        Processes; 0: one per core.

    Raises
    ------
    NetsimError
        What the function raised, or that a process died.
    """
    processes = min(jobs or os.cpu_count() or 1, len(tasks))
    if processes <= 1:
        here = _function(function)
        for index, task in enumerate(tasks):
            yield index, here(task)
        return
    children = [Child(function, plugins, is_first=not place) for place in range(processes)]
    idle = queue.SimpleQueue[Child]()
    for child in children:
        idle.put(child)

    def ask(task: Any) -> Any:
        child = idle.get()
        try:
            return child.ask(task)
        finally:
            idle.put(child)

    threads = ThreadPoolExecutor(processes)
    futures = {threads.submit(ask, task): index for index, task in enumerate(tasks)}
    try:
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except Died as error:
                raise SimulationError(f"task {futures[future]}: {error}") from None
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
            child.close()


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


def import_path() -> list[str]:
    """Return where children import from: the working folder, unless netsim itself is there, comes last."""
    here, root = Path.cwd(), Path(__file__).parents[2]
    last = [folder for folder in sys.path if Path(folder).absolute() == here != root]
    return [*(folder for folder in sys.path if folder not in last), *last[:1]]


# --- the child itself -------------------------------------------------------------------------------


def tell(what: str, answer: object) -> None:
    """Tell the parent something while a task is done."""
    pickle.dump((what, answer), _parent[0])
    _parent[0].flush()


_parent: list[IO[bytes]] = []


def serve(orders: IO[bytes], answers: IO[bytes]) -> None:
    """Do what the parent says until it says no more, or is no more."""
    _parent.append(answers)
    os.register_at_fork(after_in_child=_parent.clear)  # a copy that a task makes of this process has nothing to tell
    name, plugins = pickle.load(orders)
    tasks = queue.SimpleQueue[Any]()
    threading.Thread(target=_listen, args=(orders, tasks), daemon=True).start()
    with one_thread(), console.kept():
        while True:
            task = tasks.get()
            try:
                for plugin in plugins:
                    load_plugin(plugin)
                what, answer = "answer", _function(name)(task)
            except NetsimError as error:
                what, answer = "error", error
            except BaseException as error:
                what, answer = "error", SimulationError(f"{type(error).__name__}: {error}")
            tell(what, answer)


def _listen(orders: IO[bytes], tasks: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            tasks.put(pickle.load(orders))
    finally:  # the parent has gone, or a task has spoilt the pipe
        os._exit(0)


def _function(name: str) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    return cast(Callable[[Any], Any], getattr(importlib.import_module(module), attribute))
