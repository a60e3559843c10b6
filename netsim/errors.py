"""The errors that netsim raises, each also a built-in error that callers already know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class NetsimError(Exception):
    """Base of every error that netsim raises on purpose."""

    def __str__(self) -> str:  # KeyError would quote the sentence
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a configuration.

    Parameters
    ----------
    path
        Keys and indices from the top of the configuration to the value.
    allowed
        What is allowed there, a sentence without its full stop.
    got
        What stands there, as text; '' where nothing does.
    nearest
        The nearest allowed name; '' where there is none.
    origin
        Where the user wrote it, such as ``FILE:LINE``; '' where nobody knows.
    """

    path: tuple[str | int, ...]
    allowed: str
    got: str = ""
    nearest: str = ""
    origin: str = ""

    def where(self) -> str:
        """Return the path as a user writes it: ``algorithms[2].cost.c0``."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text or "scenario"

    def __str__(self) -> str:
        got = f" Got {self.got}." if self.got else ""
        nearest = f" Nearest: {self.nearest}." if self.nearest else ""
        origin = f"{self.origin}: " if self.origin else ""
        return f"{origin}{self.where()}: {self.allowed}.{got}{nearest}"


class ConfigError(NetsimError, ValueError):
    """A configuration that cannot be used; `faults` lists everything wrong with it."""

    def __init__(self, faults: Sequence[Fault] | str) -> None:
        self.faults = (Fault((), faults),) if isinstance(faults, str) else tuple(faults)
        super().__init__(faults if isinstance(faults, str) else "\n".join(map(str, faults)))


class UnfinishedError(ConfigError):
    """A study that had begun and cannot be finished, as on a disk that fills up; what is finished is kept."""


class UnknownNameError(ConfigError, KeyError):
    """A component, kind, key or bundled scenario that does not exist."""


class DataError(NetsimError, ValueError):
    """Data that is missing, damaged or outside what a problem can use."""


class EncodeError(NetsimError, ValueError):
    """A vector that no payload can carry, such as one with NaN."""


class DecodeError(NetsimError, ValueError):
    """Bytes that are not a payload of this codec and dimension."""


class SimulationError(NetsimError, RuntimeError):
    """A run that cannot go on, such as an agent that breaks its contract."""


def words_of(error: BaseException) -> str:
    """Return the text of an error; where making it fails, too, say so."""
    try:
        return str(error)
    except Exception as other:
        return f"its text cannot be made: {type(other).__name__}"


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Return the one of `names` that is most similar to `name`, or ''.

    Examples
    --------
    >>> nearest_name("to_k", ["top_k", "identity"])
    'top_k'
    """
    return next(iter(difflib.get_close_matches(str(name), list(names), 1, 0.5)), "")


def nearest_hint(name: str, names: Iterable[str]) -> str:
    """Return the nearest name as the end of a sentence, ``. Nearest: top_k``; '' where none is near."""
    found = nearest_name(name, names)
    return f". Nearest: {found}" if found else ""
