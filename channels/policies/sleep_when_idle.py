"""A radio that sleeps whenever its node has nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from channels.media.radio_books import RadioPolicy
from channels.media.waking import Waking
from netsim.errors import ConfigError
from netsim.registry import component


@component("radio_policy")
@dataclass(frozen=True)
class SleepWhenIdle(Waking, RadioPolicy):
    """A radio sleeps while its node takes part in nothing, and knows by itself when it is wanted.

    That is the best that any schedule can do: who sends and who receives wakes when the message's turn comes. All who
    take part wake then, at the same instant, and the message begins `wake_s` later, for every message anew; the medium
    is taken for that time. A message's joules are counted beyond ``sleep``, its wake-up included.

    Raises
    ------
    ConfigError
        If `wake_j` is given and `wake_s` is 0.

    Examples
    --------
    >>> SleepWhenIdle(wake_s=0.001).lead_ns
    1000000
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"wake_s": "1 ms", "wake_j": "30 uJ"})
    sleeps: ClassVar[bool] = True
    base_state: ClassVar[Literal["idle", "sleep"]] = "sleep"

    def __post_init__(self) -> None:
        if faults := list(self._waking_faults()):
            raise ConfigError(faults)

    @property
    def lead_ns(self) -> int:
        """See `channels.media.radio_books.RadioPolicy`."""
        return self.wake_ns

    def rest_ns(self, at_ns: int) -> tuple[int, int]:
        """See `channels.media.radio_books.RadioPolicy`."""
        return 0, 0
