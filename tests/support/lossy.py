"""A channel that loses messages at random, each after a random time, and tells the sender or does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from netsim.interfaces import Delivery, FrameSink, Medium, Node
from netsim.testing.worlds import Jitter


@dataclass(frozen=True)
class Lossy(Jitter):
    """A `Jitter` on which each message is lost with the probability `loss` at each of its destinations."""

    loss: float = 0.25
    tells_failure: bool = True

    reliable_delivery: ClassVar[bool] = False

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Open a medium at time 0."""
        return _losing(super().open(nodes, rng), rng, self.loss)


def _losing(medium: Any, rng: np.random.Generator, loss: float) -> Medium:
    """Make some deliveries of a medium fail."""
    advance = medium.advance

    def losing(to_ns: int) -> list[Delivery]:
        return [d._replace(ok=bool(rng.random() >= loss)) for d in advance(to_ns)]

    medium.advance = losing
    found: Medium = medium
    return found
