"""Every numeric key of a scenario at its bounds: what comes of it, in a process that can be killed.

The rule: a scenario is refused with a sentence, or its run ends, or within 20 s its clock or its rounds have moved in
the last seconds: a run that its limits make long is none that hangs. A traceback is a fault whatever else happens.
Seconds are those of the process, so that a busy machine does not make faults; one that waits has six times as many.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import resource
import threading
import time
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from netsim.fields import Range
from netsim.scenario import parsing
from netsim.scenario.parsing import Path
from netsim.units import BOUNDS, unit_of

LIMIT_S = 20.0
WHOLE = (0, 1, 2, 2**31, 2**62, -1)
REAL = (0.0, 1.0, 1e-9, 1e-300, 2.0**31, 1e308, -1.0)
MEMORY_BYTES = 6 << 30


@dataclass(frozen=True)
class Case:
    """One key at one value: who owns it, where it stands in the plain scenario."""

    owner: str
    path: Path
    value: int | float

    @property
    def name(self) -> str:
        """The class and key, and the value."""
        return f"{self.owner}.{self.path[-1]} = {self.value!r}"


def cases(plain: Mapping[str, Any], instance: Any, path: Path = ()) -> Iterator[Case]:
    """Yield the cases of a parsed part and of all parts inside it.

    Parameters
    ----------
    plain
        The whole scenario as plain data, in which the paths lead.
    instance
        A frozen dataclass of it.
    path
        Where it stands.
    """
    owner = getattr(type(instance), "name", type(instance).__name__)
    owner = owner if isinstance(owner, str) else type(instance).__name__
    for key, hint in parsing.hints(type(instance)).items():
        here, value = (*path, key), getattr(instance, key)
        kinds = dict(_numbers(hint))
        for kind, bounds in kinds.items():
            for number in _values(kind, bounds, key):
                yield Case(owner, here, number)
        for place, inner in _inside(value):
            yield from cases(plain, inner, (*here, *place))


def _inside(value: Any) -> Iterator[tuple[Path, Any]]:
    if dataclasses.is_dataclass(value):
        yield (), value
    for i, item in enumerate(value if isinstance(value, tuple) else ()):
        if dataclasses.is_dataclass(item):
            yield (i,), item


def _numbers(hint: Any) -> Iterator[tuple[type, tuple[Range, ...]]]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated and args[0] in (int, float):
        yield args[0], tuple(note for note in args[1:] if isinstance(note, Range))
    elif hint in (int, float):
        yield hint, ()
    elif origin is Annotated:
        yield from _numbers(args[0])
    elif origin in (typing.Union, types.UnionType):
        for option in args:
            yield from _numbers(option)
    elif origin is not Literal and origin is not None and isinstance(origin, type) and args:
        yield from ()


def _values(kind: type, bounds: tuple[Range, ...], key: str) -> list[int | float]:
    found: list[int | float] = list(WHOLE if kind is int else REAL)
    for bound in bounds:
        step = 1 if kind is int else 0.0
        ends = (bound.ge, bound.le, *(b and b + s * step for b, s in ((bound.gt, 1), (bound.lt, -1))))
        found += [kind(end) for end in ends if end is not None]
        if kind is float:
            found += [math.nextafter(end, to) for end, to in ((bound.gt, math.inf), (bound.lt, 0.0)) if end]
    least, most = BOUNDS.get(unit_of(key) or "", (math.nan, math.nan))
    if least < most:
        found += [kind(end) for end in (least, most) if kind is float or end >= 1.0]
    return list(dict.fromkeys(found))


# --- a process that tries cases ------------------------------------------------------------------------------


def _try(text: str, index: int, says: Any) -> str:
    """Check and run one scenario; return how it ended."""
    from netsim.errors import ConfigError, DataError
    from netsim.scenario import parse_text
    from netsim.simulation.engine import Engine
    from netsim.study.check import check, in_words
    from netsim.study.execute import open_problem

    try:
        scenario = parse_text(text)
        in_words(scenario, check(scenario))
    except (ConfigError, DataError) as error:
        sentence = str(error)
        return f"refused: {sentence.splitlines()[0][:150]}" if len(sentence) > 20 else f"TRACEBACK: {sentence!r}"
    says("valid", 0, 0)
    entry = scenario.algorithms[min(index, len(scenario.algorithms) - 1)]
    engine = Engine(scenario, entry, 0, open_problem(scenario, 0))
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            says("at", engine.now_ns, engine.recorder.rounds)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        result = engine.run()
    finally:
        done.set()
    return f"{result.status}: {result.sentence[:150]}"


def _serve(pipe: Any) -> None:
    import traceback

    from netsim.errors import NetsimError
    from netsim.simulation import engine
    from netsim.study import check, execute

    del check, engine, execute
    os.environ["NETSIM_MEMORY"] = "1e9"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe.send("ready")
    while True:
        text, index = pipe.recv()
        try:
            pipe.send(("end", _try(text, index, lambda *what: pipe.send(what))))
        except NetsimError as error:
            pipe.send(("end", f"failed: {str(error)[:200]}"))
        except BaseException as error:
            pipe.send(("end", f"TRACEBACK: {error!r}\n{traceback.format_exc()[-1500:]}"))


class Trier:
    """Tries scenarios one after another in a process of its own, and kills it where one hangs."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.pipe.recv()  # all is imported

    def outcome(self, text: str, index: int = 0, limit_s: float = LIMIT_S) -> str:
        """Return how a scenario ended; HANGS, DIES and TRACEBACK are faults.

        Parameters
        ----------
        text
            YAML.
        index
            Which of its algorithms to run.
        limit_s
            The longest that it may take.
        """
        self.pipe.send((text, index))
        begin_s, wait_s, last = self._used_s(), time.monotonic() + 6 * limit_s, None
        moved_s = begin_s
        while (used_s := self._used_s()) < begin_s + limit_s and time.monotonic() < wait_s:
            if not self.pipe.poll(0.2):
                continue
            try:
                word, *what = self.pipe.recv()
            except EOFError:
                self.process.join()
                code = self.process.exitcode
                self._start()
                return f"DIES: exit code {code}"
            if word == "end":
                return str(what[0])
            if what != last:
                moved_s, last = used_s, what
        self.process.kill()
        self.process.join()
        self._start()
        if last is None:
            return "HANGS: in validate"
        goes_on = used_s - moved_s < limit_s / 2 and last != [0, 0]
        return f"{'goes on' if goes_on else 'HANGS'}: at {last[0]} ns, round {last[1]}"

    def _used_s(self) -> float:
        """Return the processor's seconds that the process has had."""
        try:
            stat = FilePath(f"/proc/{self.process.pid}/stat").read_text("ascii", errors="replace")
        except OSError:
            return math.inf
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
