"""A problem, an algorithm between peers and a lossy channel, to write scenarios with; loaded as a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

from netsim.errors import ConfigError, DataError, Fault
from netsim.fields import Fraction, NonNegativeFloat, PositiveInt, Ref
from netsim.registry import component


@component("problem")
@dataclass(frozen=True)
class Tiny:
    """A problem of a few samples that may turn out to be damaged."""

    nodes: PositiveInt = 3
    l2: NonNegativeFloat = 0.0
    rows: PositiveInt = 10
    batch: Literal["full"] | PositiveInt | Fraction = "full"
    damage: Literal["", "data", "file", "config"] = ""
    dataset: Annotated[Any, Ref("dataset")] | None = None

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, seed: int) -> Any:
        if self.nodes > self.rows:
            raise ConfigError([Fault(("nodes",), f"at most {self.rows} nodes, one per sample", str(self.nodes))])
        if self.damage == "data":
            raise DataError("tiny: numbers are needed. Got NaN in row 3.")
        if self.damage == "file":
            Path("/no/such/file").read_bytes()
        if self.damage == "config":
            raise ConfigError([Fault(("l2",), "l2 > 0 with these data", f"{self.l2:g}")])
        names = {"loss", "grad_norm"} | ({"loss_gap"} if self.l2 > 0 else set())
        constants = {"smoothness": lambda node=None: 1.0, "strong_convexity": lambda: self.l2}
        return SimpleNamespace(metric_names=frozenset(names), **constants)


@component("algorithm")
@dataclass(frozen=True)
class Whisper:
    """An algorithm between peers that tolerates everything."""

    volume: PositiveInt = 1

    tolerates: ClassVar[frozenset[str]] = frozenset({"late", "loss"})
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def peer(self, ctx: Any) -> Any:
        raise NotImplementedError


@component("channel")
@dataclass(frozen=True)
class Fog:
    """A channel that loses messages."""

    rate_bps: NonNegativeFloat = 1.0

    reliable_delivery: ClassVar[bool] = False
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def open(self, nodes: Any, rng: Any, *, frames: Any = None) -> Any:
        raise NotImplementedError
