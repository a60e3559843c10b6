"""Keys of algorithms that compress what their workers send, and constants of compressors that theory asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from algorithms.coding.codec import Codec
from algorithms.roles.star import Star
from netsim.errors import ConfigError, Fault, SimulationError
from netsim.fields import Range, Ref
from netsim.interfaces import Context


@dataclass(frozen=True)
class Compressed(Star):
    """Keys of a star whose uploads go through any compressor, and whose memories are the algorithm's own.

    Parameters
    ----------
    compressor
        Of the uploads; one that works per tensor gets the problem's layout.
    """

    compressor: Annotated[Codec, Ref("compressor")]

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_memory(self.compressor)

    def codec(self, ctx: Context) -> Codec:
        """Return the compressor for the problem's tensors."""
        return self.compressor.bind(ctx.facts.layout)


@dataclass(frozen=True)
class Unbiased(Compressed):
    """Keys of an algorithm whose theory wants E Q(x) = x and E||Q(x) - x||^2 <= w ||x||^2 with a known w."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.compressor.is_unbiased:
            allowed = "an unbiased compressor, such as qsgd, rand_k or natural; for others there are ef21 and ef_sgd"
            raise ConfigError([Fault(("compressor",), allowed, self.compressor.name)])

    def variance(self, ctx: Context) -> float:
        """Return w for the problem's dimension.

        Raises
        ------
        ConfigError
            If the compressor promises none.
        """
        w = self.compressor.bind(ctx.facts.layout).variance_bound(ctx.facts.dim)
        if w is None:
            allowed = "a compressor that states E||Q(x) - x||^2 <= w ||x||^2, or numbers in place of auto"
            raise ConfigError([Fault(("compressor",), allowed, self.compressor.name)])
        return w


@dataclass(frozen=True)
class Learning(Unbiased):
    """Keys of an algorithm in which both ends add the part a of every compressed change to a vector that they know.

    Parameters
    ----------
    memory_rate
        a; ``auto`` is 1 / (1 + w).
    """

    memory_rate: Literal["auto"] | Annotated[float, Range(ge=0, le=1)] = "auto"

    def rate(self, ctx: Context) -> float:
        """Return a."""
        return 1.0 / (1.0 + self.variance(ctx)) if self.memory_rate == "auto" else self.memory_rate


def refuse_memory(compressor: Codec, key: str = "compressor") -> None:
    """Refuse a compressor that keeps an error memory inside an algorithm that has memories of its own.

    Parameters
    ----------
    compressor, key
        The compressor, and where it stands.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if compressor.is_outermost:
        allowed = "the code inside, as the algorithm has a memory of its own"
        raise ConfigError([Fault((key,), allowed, compressor.name)])


def strong_convexity(ctx: Context) -> float:
    """Return mu of F.

    Raises
    ------
    SimulationError
        If it is 0.
    """
    mu = ctx.facts.strong_convexity
    if not mu > 0.0:
        raise SimulationError(f"a strongly convex problem is needed, such as one with l2 above 0. Got mu = {mu:g}")
    return mu
