"""The messages that a run gave to a contending cell, handed to the kernel once more in one compiled call."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np

from channels.media.lrwpan.csma import tables as t
from channels.media.lrwpan.csma.compiling import outer
from channels.media.lrwpan.csma.nodes import ContendingNodes
from channels.media.lrwpan.csma.senders_kernel import run, submit


class Recorded:
    """Notes what one medium is given."""

    def __init__(self, medium: ContendingNodes) -> None:
        self.calls = list[tuple[int, int, tuple[int, ...], int]]()
        real = medium.submit

        def submit(now_ns: int, src: int, dst: tuple[int, ...], size_bytes: int) -> int:
            self.calls.append((now_ns, src, dst, size_bytes))
            return real(now_ns, src, dst, size_bytes)

        medium.submit = submit  # type: ignore[method-assign]


class Alone:
    """The kernel and nothing else: no deliveries are made, nobody asks when the next one is.

    Parameters
    ----------
    open_medium
        Opens the medium anew, with the same draws.
    calls
        What `Recorded` noted.
    end_ns
        Where the run ended.
    """

    def __init__(self, open_medium: Any, calls: list[tuple[int, int, tuple[int, ...], int]], end_ns: int) -> None:
        self._open, self._end_ns = open_medium, end_ns
        medium = open_medium()
        rows, self._targets = list[tuple[int, ...]](), list[Any]()
        first = 0
        for transfer, (now_ns, src, dst, size_bytes) in enumerate(calls):
            row, targets = medium._look_up(src, dst)
            rows.append((now_ns, transfer, row, size_bytes, *medium._plan(size_bytes), first, first + len(targets)))
            self._targets.append(targets)
            first += len(targets)
        self._rows, self._targets = np.array(rows, np.int64), np.concatenate(self._targets)

    def __call__(self) -> dict[str, list[int]]:
        """Every MAC counter at the end."""
        medium = self._open()
        medium._make_room_for(int(self._rows[:, 4].max()))
        assert _replay(*medium._for_run, np.zeros((0, t.LOG_SIZE), np.int64), self._rows, self._targets, self._end_ns)
        medium._clock_ns = self._end_ns
        return counters(medium)


def counters(medium: Any) -> dict[str, list[int]]:
    """Every MAC counter as numbers."""
    return {name: column.tolist() for name, column in medium.counters().items()}


@outer
def _replay(
    g, node, radio, timer, wheel, ring, msg, dst, late, mrg, buffer, kept, par, real, link, cycle, out, out_real, log,
    rows, targets, end,
):  # fmt: skip
    """Whether there was room for all messages at any time."""
    for k in range(rows.shape[0]):
        now, transfer, n, size = rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3]
        run(g, node, radio, timer, wheel, ring, msg, dst, late, mrg, buffer, kept, par, real, link, cycle, out,
            out_real, log, now, 0)  # fmt: skip
        g[t.OUTS] = 0
        if not submit(g, node, radio, timer, wheel, msg, dst, mrg, par, targets[rows[k, 9] : rows[k, 10]], transfer, n,
                      size, rows[k, 4], rows[k, 5], rows[k, 6], rows[k, 7], rows[k, 8], now):  # fmt: skip
            return False
    run(g, node, radio, timer, wheel, ring, msg, dst, late, mrg, buffer, kept, par, real, link, cycle, out, out_real,
        log, end, 0)  # fmt: skip
    g[t.OUTS] = 0
    return True
