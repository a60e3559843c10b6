"""From what radios did to the time in each state and the joules: the same books for every medium access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from channels.media.states import IDLE, LISTEN, RX, SLEEP, TX
from netsim.interfaces import STATES
from netsim.units import NS_PER_S


class RadioPolicy(Protocol):
    """What a radio does while its node takes part in nothing (kind ``radio_policy``); by itself it has no schedule.

    Attributes
    ----------
    sleeps
        Whether it ever sleeps.
    base_state
        The state that a message's joules are counted from.
    lead_ns
        Waking of all who take part, at the start of every message.
    wake_ns, wake_j
        Time and joules of one wake-up, in state ``idle``; None: that state's power.
    mean_wait_s
        From a random instant to the next at which a message may begin.
    """

    @property
    def sleeps(self) -> bool: ...
    @property
    def base_state(self) -> Literal["idle", "sleep"]: ...
    @property
    def lead_ns(self) -> int: ...
    @property
    def wake_ns(self) -> int: ...
    @property
    def wake_j(self) -> float | None: ...
    @property
    def mean_wait_s(self) -> float:
        return 0.0

    def next_start_ns(self, at_ns: int) -> int:
        """Return the first instant from `at_ns` on at which a message may begin."""
        return at_ns

    def rest_ns(self, at_ns: int) -> tuple[int, int]:
        """Return the times until `at_ns` that an unused radio listens and wakes; it sleeps for the rest."""

    def next_change_ns(self, at_ns: int) -> int | None:
        """Return when an unused radio next goes from one state to another after `at_ns`; None: never."""
        return None


def wake_power_w(policy: RadioPolicy, power_w: Mapping[str, float]) -> float:
    """Return the power in watts of a radio that is waking, from its power in each state."""
    if policy.wake_j is None or not policy.wake_ns:
        return power_w["idle"]
    return policy.wake_j / (policy.wake_ns / NS_PER_S)


class RadioBooks:
    """What each radio did from 0 on: taking part, being down, and resting by its policy in between.

    A radio that takes part in something sends, receives, wakes or listens; one that is down sleeps. Such intervals of
    one radio do not overlap, and may be booked in any order and in pieces.

    Parameters
    ----------
    rows
        Number of radios.
    policy, power_w
        Of all of them; watts in each of `netsim.interfaces.STATES`.

    Examples
    --------
    >>> from channels.policies.sleep_when_idle import SleepWhenIdle
    >>> books = RadioBooks(2, SleepWhenIdle(), {"tx": 52e-3, "rx": 56e-3, "listen": 56e-3, "idle": 1e-3, "sleep": 6e-5})
    >>> books.take_part(0, start_ns=100, stop_ns=150, tx_ns=30, rx_ns=5)
    >>> books.states_ns(200).tolist()
    [[30, 5, 15, 0, 150], [0, 0, 0, 0, 200]]
    """

    def __init__(self, rows: int, policy: RadioPolicy, power_w: Mapping[str, float]) -> None:
        self._policy = policy
        self._power_w = np.array([power_w[state] for state in STATES])
        self._wake_w = wake_power_w(policy, power_w)
        self.max_power_w = float(max(*self._power_w, self._wake_w))
        # Of each radio, ns: sending, receiving, waking for a message, listening in a message; and the listening and the
        # waking that its policy would have caused while it was in use or down. Lists: numpy is slower for one row.
        self._counts = [[0] * 6 for _ in range(rows)]

    def copy(self) -> RadioBooks:
        """Return an independent copy."""
        other = object.__new__(RadioBooks)
        vars(other).update(vars(self), _counts=[row.copy() for row in self._counts])
        return other

    def take_part(self, row: int, start_ns: int, stop_ns: int, tx_ns: int, rx_ns: int, wake_ns: int = 0) -> None:
        """Book a radio's use from `start_ns` to `stop_ns`; it listened when it did not send, receive or wake."""
        counts = self._counts[row]
        counts[0] += tx_ns
        counts[1] += rx_ns
        counts[2] += wake_ns
        counts[3] += stop_ns - start_ns - tx_ns - rx_ns - wake_ns
        self.be_down(row, start_ns, stop_ns)

    def be_down(self, row: int, start_ns: int, stop_ns: int) -> None:
        """Book that a radio's node was down from `start_ns` to `stop_ns`: the radio slept."""
        counts, before, after = self._counts[row], self._policy.rest_ns(start_ns), self._policy.rest_ns(stop_ns)
        counts[4] += after[0] - before[0]
        counts[5] += after[1] - before[1]

    def states_ns(self, at_ns: int) -> npt.NDArray[np.int64]:
        """Return nanoseconds in each of `netsim.interfaces.STATES`, shape (rows, 5); every row sums to `at_ns`."""
        tx_ns, rx_ns, wake_ns, listen_ns, no_listening_ns, no_waking_ns = np.array(self._counts, np.int64).T
        listening_ns, waking_ns = self._policy.rest_ns(at_ns)
        out = np.empty((len(self._counts), len(STATES)), np.int64)
        out[:, TX], out[:, RX] = tx_ns, rx_ns
        out[:, LISTEN] = listen_ns + (listening_ns - no_listening_ns)
        out[:, IDLE] = wake_ns + (waking_ns - no_waking_ns)
        out[:, SLEEP] = at_ns - out[:, :SLEEP].sum(axis=1)
        return out

    def energy_j(self, states_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return joules in each state, shape (rows, 5); a radio under a policy is ``idle`` only while it wakes."""
        power_w = self._power_w.copy()
        power_w[IDLE] = self._wake_w
        return np.asarray(states_ns / NS_PER_S * power_w)
