"""A step size that rises on a line before another rule goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from algorithms.roles.parts import Step
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat, Ref
from netsim.registry import Examples, component


@component("step")
@dataclass(frozen=True)
class Warmup:
    """gamma_k rises on a line from `start` to what `then` gives at `length`; from there on it is that of `then`.

    Parameters
    ----------
    length
        Rounds or epochs of the rise, whichever `then` counts.
    then
        The rule that follows; it counts from round 0, too.
    start
        The first step.

    References
    ----------
    Goyal and others, "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    Examples
    --------
    >>> from algorithms.steps.constant import Constant
    >>> rule = Warmup(length=5, start=0.1, then=Constant(0.6))
    >>> [round(rule.at(k), 6) for k in (0, 1, 5, 6)]
    [0.1, 0.2, 0.6, 0.6]
    """

    length: PositiveFloat
    then: Annotated[Step, Ref("step")]
    start: NonNegativeFloat = 0.0

    examples: ClassVar[Examples] = (
        {"length": 2, "start": 0.01, "then": {"name": "constant", "value": 0.1}},
        {"length": 5, "then": {"name": "piecewise", "start": 0.5, "boundaries": [150, 225], "per": "epoch"}},
    )

    def __post_init__(self) -> None:
        if isinstance(self.then, Warmup):
            raise ConfigError([Fault(("then",), "a rule that is no warm-up itself", "warmup")])

    @property
    def per(self) -> Any:
        """What `then` counts."""
        return self.then.per

    def at(self, count: float) -> float:
        """Return the step after `count` rounds or epochs."""
        if count >= self.length:
            return self.then.at(count)
        return self.start + (self.then.at(self.length) - self.start) * count / self.length
