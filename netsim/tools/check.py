"""``netsim check``: the contracts of the components in a file, as a table of what holds and what does not."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from netsim import registry
from netsim.scenario import yaml_lines
from netsim.study.children import one_thread
from netsim.testing import Check, NotCheckedError, checks, examples, title
from netsim.testing.contract import broken

NEEDED = ("interface", "reports")  # where one of these is broken, the later checks are not run
BUDGET_S = 60.0  # of one check of one example
GRACE_S = 10.0  # after which a check that cannot be interrupted ends the process

Tell = Callable[[str], None]


class TimeUpError(BaseException):
    """A check takes too long; no Exception, so that components do not catch it."""


def command(files: Sequence[str], tell: Tell) -> bool:
    """Check the components in Python files, plugins or netsim's own, and tell the table line by line.

    True where everything that could be checked holds.

    Raises
    ------
    ConfigError
        If a file cannot be loaded.
    """
    found = [(file, *key) for file in files for key in registry.components_of(file, "check")]
    good = True
    with one_thread():
        for i, (file, kind, name) in enumerate(found):
            tell(f"{'' if i == 0 else chr(10)}{file}: {kind} {name}")
            good &= _component(kind, name, tell)
    return good


def _component(kind: str, name: str, tell: Tell) -> bool:
    try:
        made = examples(kind, name)
    except Exception as error:
        _row(tell, "examples", "BROKEN", *_said(broken(error, "")))
        return False
    cls: Any = registry.get(kind, name)
    words, missing = list[str](), ""
    for check in checks(kind):
        word, *text = ("not checked", f"{missing} must hold first") if missing else _check(check, made, cls.examples)
        words.append(word)
        _row(tell, title(check), word, *text)
        if word == "BROKEN" and title(check) in NEEDED:
            missing = title(check)
    tell(f"  {words.count('holds')} of {len(words)} hold, with {len(made)} example{'' if len(made) == 1 else 's'}")
    return "BROKEN" not in words


def _check(check: Check, made: Sequence[Any], given: Sequence[Any]) -> tuple[str, ...]:
    """Return ``holds`` and the promise, or ``BROKEN`` or ``not checked`` and the reason, for the first such example."""
    for component, example in zip(made, given, strict=True):
        try:
            with within(BUDGET_S):
                check(component)
        except NotCheckedError as error:
            return "not checked", str(error)
        except TimeUpError as error:
            return "BROKEN", f"does not end within {BUDGET_S:g} s, at {registry.place(error)}", _example(example)
        except (Exception, SystemExit) as error:
            wrong = error if isinstance(error, Exception) else RuntimeError(f"it ends the process with {error}")
            return "BROKEN", *_said(broken(wrong, "")), _example(example)
    return "holds", (check.__doc__ or "").partition("\n")[0].removeprefix("Check that ")


def _said(error: Any) -> tuple[str, ...]:
    return (error.sentence, *([f"breaks on {error.case}"] if error.case else []))


def _example(example: Any) -> str:
    return f"of the example {yaml_lines.write_line(dict(example))}" if example else ""


def _row(tell: Tell, what: str, word: str, *text: str) -> None:
    lines = [" ".join(line.split()) for line in text if line]
    tell(f"  {what:<16}{word:<13}{lines[0] if lines else ''}".rstrip())
    for line in lines[1:]:
        tell(f"  {'':<29}{line}")


@contextlib.contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Raise `TimeUpError` in what runs in here after so many seconds, where signals allow that.

    What hears no signal, such as compiled code, ends the process some seconds later, with a traceback on stderr.
    """
    hears = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=sys.__stderr__)
    if hears:
        before = signal.signal(signal.SIGALRM, _time_up)
        # Again and again: the first error may end up in a bare except.
        signal.setitimer(signal.ITIMER_REAL, limit_s, 1.0)
    try:
        yield
    finally:
        if hears:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def _time_up(*_: object) -> None:
    raise TimeUpError
