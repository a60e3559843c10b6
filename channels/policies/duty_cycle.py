"""A radio that listens for a share of time, at times that all nodes know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from channels.media.waking import Waking
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveFloat
from netsim.registry import component
from netsim.units import NS_PER_S, seconds_to_ns


@component("radio_policy")
@dataclass(frozen=True)
class DutyCycle(Waking):
    """All radios wake together once a period and listen for a while; a message waits for that window.

    Period k begins at k `period_s`: waking takes `wake_s`, then the radio listens for `on_s`, then it sleeps. A message
    begins at the first instant within a window at which the medium is free; who takes part stays awake to its
    end, however long it takes, and the others follow their schedule. Two messages of which the first ends outside
    a window begin in different periods. For a message submitted at a random time to a free medium the mean wait is
    (P - on)^2 / (2 P), P the period; a radio that takes part in nothing listens for the share on / P. A message's
    joules are counted beyond ``sleep``.

    Parameters
    ----------
    period_s
        > 0.
    on_s
        > 0; with `wake_s` at most `period_s`.

    Raises
    ------
    ConfigError
        If waking and listening do not fit into the period, or `wake_j` is given and `wake_s` is 0.

    References
    ----------
    Ye, Heidemann, Estrin, "An energy-efficient MAC protocol for wireless sensor networks", INFOCOM 2002 (S-MAC:
    periodic listening on a common schedule; without its messages that synchronise the nodes).

    Examples
    --------
    >>> policy = DutyCycle(period_s=0.1, on_s=0.01)
    >>> policy.next_start_ns(9_999_999), policy.next_start_ns(10_000_000)
    (9999999, 100000000)
    >>> policy.rest_ns(150_000_000), policy.mean_wait_s
    ((20000000, 0), 0.0405)
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"period_s": "100 ms", "on_s": "10 ms"},
        {"period_s": 0.05, "on_s": 0.005, "wake_s": 0.001, "wake_j": 3e-5},
    )
    sleeps: ClassVar[bool] = True
    base_state: ClassVar[Literal["idle", "sleep"]] = "sleep"
    lead_ns: ClassVar[int] = 0

    period_s: PositiveFloat = 1.0
    on_s: PositiveFloat = 0.1

    def __post_init__(self) -> None:
        faults = list(self._waking_faults())
        if self.on_ns < 1:
            faults.append(Fault(("on_s",), "at least a nanosecond", f"{self.on_s:g} s"))
        elif self.wake_ns + self.on_ns > self.period_ns:
            allowed = f"with wake_s at most period_s, {self.period_s:g} s"
            faults.append(Fault(("on_s",), allowed, f"{self.wake_s:g} s + {self.on_s:g} s"))
        if faults:
            raise ConfigError(faults)

    @cached_property
    def period_ns(self) -> int:
        """`period_s` in nanoseconds."""
        return seconds_to_ns(self.period_s)

    @cached_property
    def on_ns(self) -> int:
        """`on_s` in nanoseconds."""
        return seconds_to_ns(self.on_s)

    @property
    def mean_wait_s(self) -> float:
        """See `channels.media.radio_books.RadioPolicy`."""
        return (self.period_ns - self.on_ns) ** 2 / (2 * self.period_ns) / NS_PER_S

    def next_start_ns(self, at_ns: int) -> int:
        """See `channels.media.radio_books.RadioPolicy`."""
        into_ns = at_ns % self.period_ns
        if into_ns < self.wake_ns:
            return at_ns - into_ns + self.wake_ns
        if into_ns < self.wake_ns + self.on_ns:
            return at_ns
        return at_ns - into_ns + self.period_ns + self.wake_ns

    def rest_ns(self, at_ns: int) -> tuple[int, int]:
        """See `channels.media.radio_books.RadioPolicy`."""
        periods, into_ns = divmod(at_ns, self.period_ns)
        listening_ns = min(max(into_ns - self.wake_ns, 0), self.on_ns)
        return periods * self.on_ns + listening_ns, periods * self.wake_ns + min(into_ns, self.wake_ns)

    def next_change_ns(self, at_ns: int) -> int | None:
        """See `channels.media.radio_books.RadioPolicy`."""
        into_ns = at_ns % self.period_ns
        changes_ns = (self.wake_ns, self.wake_ns + self.on_ns, self.period_ns)
        return at_ns - into_ns + next(change_ns for change_ns in changes_ns if change_ns > into_ns)
