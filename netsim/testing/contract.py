"""What a check is, and how it names the smallest input that breaks a promise."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from netsim import registry
from netsim.errors import ConfigError, NetsimError, SimulationError
from netsim.scenario import parsing

Check = Callable[[Any], None]

# Kinds with a contract of their own, functions `check_...` in their order; other kinds only promise what every
# configuration does.
MODULES = {
    "algorithm": "netsim.testing.agents",
    "channel": "netsim.testing.channels",
    "compressor": "netsim.testing.compressors",
    "dataset": "netsim.testing.datasets",
    "problem": "netsim.testing.problems",
}
# Lengths at which a longer input is cut to find a shorter one that breaks the same promise.
LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)


class ContractError(NetsimError, AssertionError):
    """A component breaks a promise.

    Parameters
    ----------
    sentence
        Which one, and how.
    case
        The smallest input found on which it breaks; '' where there is none to name.
    """

    def __init__(self, sentence: str, case: str = "") -> None:
        self.sentence, self.case = sentence, case
        super().__init__(f"{sentence}; breaks on {case}" if case else sentence)


class NotCheckedError(NetsimError):
    """A promise cannot be checked here, such as that of a dataset whose file is missing."""


def checks(kind: str) -> tuple[Check, ...]:
    """Return the checks of a kind of component, the simplest first.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    registry.names(kind)  # raises for an unknown kind
    if kind not in MODULES:
        return (check_configuration,)
    found = {n: f for n, f in vars(importlib.import_module(MODULES[kind])).items() if n.startswith("check_")}
    return found.pop("check_interface"), check_configuration, *found.values()


def examples(kind: str, name: str) -> tuple[Any, ...]:
    """Return a component as each of its ``examples`` configures it.

    Raises
    ------
    ContractError
        If its class has none, or one of them is refused.
    """
    cls: Any = registry.get(kind, name)
    given = getattr(cls, "examples", ())
    if not given:
        sentence = f"{cls.__name__} has no examples to check it with; give it some: examples: ClassVar = ({{...}},)"
        raise ContractError(f"{sentence}, each its keys without the name")
    made = []
    for example in given:
        try:
            made.append(registry.build(kind, {"name": name, **example}))
        except ConfigError as error:
            raise ContractError(f"the example is refused: {error}", str(example)) from error
    return tuple(made)


def title(check: Check) -> str:
    """Return a check's name in words.

    Examples
    --------
    >>> title(check_configuration)
    'configuration'
    """
    return check.__name__.removeprefix("check_").replace("_", " ")


def check_configuration(component: Any) -> None:
    """Check that plain data, JSON and pickle give an equal component, which is frozen and hashable."""
    kind = component.kind
    plain = parsing.dump(component)
    require(json.loads(json.dumps(plain)) == plain, f"its keys are no JSON: {plain}")
    again = registry.build(kind, plain)
    require(again == component, f"its keys, {plain}, build another component, {again}")
    require(parsing.dump(again) == plain, f"built from {plain} it has other keys, {parsing.dump(again)}")
    require(pickle.loads(pickle.dumps(component)) == component, "pickle gives another component")
    hash(component)
    try:
        component.anything = 1
    except dataclasses.FrozenInstanceError:
        return
    raise ContractError("it can be changed; a component is a dataclass(frozen=True)")


def require(kept: object, sentence: str) -> None:
    """Raise `ContractError` with the sentence where a promise is not kept."""
    if not kept:
        raise ContractError(sentence)


def require_methods(component: Any, *methods: str) -> None:
    """Raise `ContractError` where a component or a living object lacks a method."""
    missing = [name for name in methods if not callable(getattr(component, name, None))]
    require(not missing, f"{type(component).__name__} has no method {', '.join(missing)}")


def refusal(call: Callable[[], object], kind: type[NetsimError], promise: str) -> str:
    """Return the text of the error that a call must raise; `promise` says why it must."""
    try:
        call()
    except kind as error:
        return str(error)
    except Exception as error:
        raise ContractError(f"{promise} with {kind.__name__}; it raises {type(error).__name__}: {error}") from error
    raise ContractError(f"{promise} with {kind.__name__}; it is accepted")


def broken(error: Exception, case: str) -> ContractError:
    """Return an error as a broken promise: its own sentence, or its type, text and place."""
    while isinstance(error, SimulationError) and isinstance(error.__cause__, ContractError):
        error = error.__cause__
    if isinstance(error, ContractError):
        return error if error.case else ContractError(error.sentence, case)
    if isinstance(error, SimulationError):
        return ContractError(str(error), case)
    return ContractError(f"{type(error).__name__}: {error} ({registry.place(error)})", case)


@contextlib.contextmanager
def on(case: str) -> Iterator[None]:
    """Check a promise on one input in here; whatever goes wrong is said to break on that input."""
    try:
        yield
    except NotCheckedError:
        raise
    except Exception as error:
        raise broken(error, case) from error


def on_smallest(promise: Callable[[Any], None], whole: Any, show: Callable[[Any], str]) -> None:
    """Check a promise on anything with a length and slices, which `show` writes.

    Where it is broken, check ever longer beginnings, to name the shortest.
    """
    try:
        promise(whole)
        return
    except NotCheckedError:
        raise
    except Exception as error:
        first = error
    for length in LENGTHS:
        if length < len(whole):
            with on(show(whole[:length])):
                promise(whole[:length])
    raise broken(first, show(whole)) from first
