"""What a worker keeps of what its compressor lost, for compressors that change from message to message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from algorithms.roles.budget_code import vector_of
from netsim.interfaces import Array, Encoded

Memory: TypeAlias = Literal["none", "ef", "ef21"]


class Compensation(Protocol):
    """What is compressed in place of a gradient, and what is kept of it."""

    def target(self, g: Array) -> Array:
        """Return what to compress for this gradient."""

    def keep(self, target: Array, sent: Encoded) -> None:
        """Take note of what the target became."""


class NoMemory:
    """Compresses gradients and forgets what is lost."""

    def target(self, g: Array) -> Array:
        """Return the gradient."""
        return g

    def keep(self, target: Array, sent: Encoded) -> None:
        """Forget."""


@dataclass(slots=True)
class ErrorMemory:
    """Compresses e + g; e <- e + g - Q.

    Parameters
    ----------
    e
        The error so far, zeros at the start.
    """

    e: Array

    def target(self, g: Array) -> Array:
        """Return e + g."""
        return self.e + g

    def keep(self, target: Array, sent: Encoded) -> None:
        """Keep what was not sent."""
        self.e = target - vector_of(sent)


@dataclass(slots=True)
class EstimateMemory:
    """Compresses g - h; h <- h + Q, here and at the server (EF21).

    Parameters
    ----------
    h
        The estimate of the gradient, zeros at the start.
    """

    h: Array

    def target(self, g: Array) -> Array:
        """Return g - h."""
        return g - self.h

    def keep(self, target: Array, sent: Encoded) -> None:
        """Add what was sent."""
        self.h = self.h + vector_of(sent)


def compensation(memory: Memory, zeros: Array) -> Compensation:
    """Return a new memory of that kind."""
    kinds: dict[Memory, Compensation] = {"none": NoMemory(), "ef": ErrorMemory(zeros), "ef21": EstimateMemory(zeros)}
    return kinds[memory]
