"""A radio that never sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from channels.media.radio_books import RadioPolicy
from netsim.registry import component


@component("radio_policy")
@dataclass(frozen=True)
class AlwaysOn(RadioPolicy):
    """Whoever does not send or receive listens.

    A message's joules are counted beyond ``idle``, the radio's state with its oscillator on: not beyond ``listen``,
    which on some radios draws more than sending.

    Examples
    --------
    >>> AlwaysOn().rest_ns(100)
    (100, 0)
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    sleeps: ClassVar[bool] = False
    base_state: ClassVar[Literal["idle", "sleep"]] = "idle"
    lead_ns: ClassVar[int] = 0
    wake_ns: ClassVar[int] = 0
    wake_j: ClassVar[float | None] = None

    def rest_ns(self, at_ns: int) -> tuple[int, int]:
        """See `channels.media.radio_books.RadioPolicy`."""
        return at_ns, 0
