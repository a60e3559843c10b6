"""A port that serves bits first come, first served, with a buffer that may be full."""

from __future__ import annotations


class FifoPort:
    """Inputs of constant rates into a fluid queue that leaves at a constant rate.

    Parameters
    ----------
    rate
        At which bits leave, in nanobits per second.
    room
        Work (`channels.media.flows.sharing.BIT_WORK`) that may wait; None: without end.

    Notes
    -----
    What waits grows with the sum of the inputs' rates beyond the port's. While it stands at `room` and the inputs bring
    more than leaves, bits of all inputs are lost, so everyone who is sending then is damaged. The last bit of an input
    leaves behind all that waits when it comes.

    Examples
    --------
    Two inputs of 3 into a port of 2: after 10 there wait 40, and the last bits leave 20 later.

    >>> port = FifoPort(rate=2, room=None)
    >>> port.begin(0, 1, 3), port.begin(0, 2, 3)
    (None, None)
    >>> port.end(10, 1), port.end(10, 2)
    ((30, True), (30, True))
    """

    def __init__(self, rate: int, room: int | None) -> None:
        self._rate, self._room = rate, room
        self._inputs: dict[int, int] = {}
        self._damaged = set[int]()
        self._waits = self._coming = self._since_fs = 0

    def begin(self, at_fs: int, serial: int, rate: int) -> None:
        """Begin an input of this rate."""
        self._settle(at_fs)
        self._inputs[serial] = rate
        self._coming += rate

    def wait_fs(self, at_fs: int) -> int:
        """Return how long a bit waits that comes now."""
        self._settle(at_fs)
        return -(-self._waits // self._rate)

    def end(self, at_fs: int, serial: int) -> tuple[int, bool]:
        """End an input; return when its last bit leaves the port, and whether no bit of it was lost."""
        self._settle(at_fs)
        self._coming -= self._inputs.pop(serial)
        is_whole = serial not in self._damaged
        self._damaged.discard(serial)
        return at_fs - -self._waits // self._rate, is_whole

    def jump(self, at_fs: int, work: int) -> None:
        """Add all bits of a message of others at once; those that find no room are lost."""
        self._settle(at_fs)
        self._waits += work
        if self._room is not None:
            self._waits = min(self._waits, self._room)

    def _settle(self, at_fs: int) -> None:
        if at_fs <= self._since_fs:
            return
        waits = self._waits + (self._coming - self._rate) * (at_fs - self._since_fs)
        if self._room is not None and waits > self._room:
            self._damaged.update(self._inputs)
            waits = self._room
        self._waits, self._since_fs = max(0, waits), at_fs
