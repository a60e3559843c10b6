"""Independent tasks in child processes: any order of finishing, answers by their index.

A child is ``python -c`` with pipes, as in `netsim.study.workers`: it ends when its parent does, however that ends.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, cast

from netsim import compiling
from netsim.errors import NetsimError, SimulationError
from netsim.registry import load_plugin

BOOT = """
import signal, sys, pickle
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = pickle.load(sys.stdin.buffer)
from netsim.study.jobs import serve
serve()
"""


def each(function: str, tasks: Sequence[Any], jobs: int, plugins: Sequence[str] = ()) -> Iterator[tuple[int, Any]]:
    """Yield (index, answer) of every task, as they finish; with one job in this process and in order.

    Parameters
    ----------
    function
        ``module:name`` of a function of one task; tasks and answers are pickled.
    tasks
        What it takes.
    jobs
        Processes; 0: one per core.
    plugins
        Files that each process loads first; already loaded here.

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
    left = queue.SimpleQueue[tuple[int, Any]]()
    for item in enumerate(tasks):
        left.put(item)
    done = queue.SimpleQueue[tuple[int, Any]]()
    children = [_Child(function, plugins, is_first=not place) for place in range(processes)]
    threads = [threading.Thread(target=child.work, args=(left, done), daemon=True) for child in children]
    for thread in threads:
        thread.start()
    try:
        for _ in range(len(tasks)):
            index, answer = done.get()
            if isinstance(answer, Exception):
                raise answer
            yield index, answer
    finally:
        for child in children:
            child.close()


class _Child:
    """A process that answers one task after the other."""

    def __init__(self, function: str, plugins: Sequence[str], is_first: bool) -> None:
        command, environment = [sys.executable, "-P", "-c", BOOT], dict(os.environ)
        if not is_first:
            environment[compiling.QUIET] = "1"  # only the first process notes that compiled code cannot be kept
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._input, self._output = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._say(sys.path)
        self._say((function, tuple(plugins)))

    def work(self, left: queue.SimpleQueue[tuple[int, Any]], done: queue.SimpleQueue[tuple[int, Any]]) -> None:
        """Take tasks until none is left."""
        while True:
            try:
                index, task = left.get_nowait()
            except queue.Empty:
                return
            self._say(task)
            try:
                answer = pickle.load(self._output)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                done.put((index, SimulationError(f"the process of task {index} ended before it answered")))
                return
            done.put((index, answer))

    def close(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()

    def _say(self, what: object) -> None:
        # A dead child is noticed when its answer is read.
        with suppress(OSError, ValueError):
            pickle.dump(what, self._input)
            self._input.flush()


def serve() -> None:
    """Answer what the parent asks until it is no more."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints must not go into the pipe
    name, plugins = pickle.load(source)
    orders = queue.SimpleQueue[Any]()
    threading.Thread(target=_listen, args=(source, orders), daemon=True).start()
    for plugin in plugins:
        load_plugin(plugin)
    function = _function(name)
    while True:
        task = orders.get()
        try:
            answer = function(task)
        except NetsimError as error:
            answer = error
        except Exception as error:
            answer = SimulationError(f"{type(error).__name__}: {error}")
        pickle.dump(answer, sink)
        sink.flush()


def _listen(source: IO[bytes], orders: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            orders.put(pickle.load(source))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _function(name: str) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    return cast(Callable[[Any], Any], getattr(importlib.import_module(module), attribute))
