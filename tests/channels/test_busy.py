"""The log of packet trains forgets what has ended, however often it is asked for totals."""

from __future__ import annotations

import numpy as np
import pytest

from channels.media import busy
from channels.media.busy import BusyLog, PacketTrain


@pytest.mark.slow
def test_asking_for_totals_does_not_keep_what_has_ended() -> None:
    log, other = BusyLog(2), BusyLog(2)
    for i in range(15_000):  # more than may be kept
        train = PacketTrain(i % 2, 100 * i, 10, 10, 3, 64, i)
        log.add(train)
        other.add(train)
        log.totals(100 * i + 5)
        log.settle(100 * i)
        assert len(log._kept) + len(log._new) <= 3 * 4096
    for mine, whole in zip(log.totals(1_500_000), other.totals(1_500_000), strict=True):
        assert mine.tolist() == whole.tolist()


def test_packets_that_no_other_train_can_meet_are_counted_not_listed() -> None:
    """The union of trains is the same with and without those packets put aside; against a set of nanoseconds, too."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        trains = int(rng.integers(1, 5))
        table = np.zeros((trains, 7), np.int64)
        table[:, 1], table[:, 3] = rng.integers(0, 100, trains), rng.integers(1, 10, trains)
        table[:, 2], table[:, 4] = table[:, 3] + rng.integers(0, 20, trains), rng.integers(1, 12, trains)
        at_ns = int(rng.integers(100, 300))
        table = table[table[:, 1] <= at_ns]
        if not len(table):
            continue
        near, alone_ns = busy._near_others(table, at_ns)
        rest_ns = busy._expanded_ns(near, at_ns)
        listed = {
            ns
            for _, start, stride, width, packets, _, _ in table.tolist()
            for i in range(packets)
            for ns in range(start + i * stride, min(start + i * stride + width, at_ns))
        }
        assert alone_ns + rest_ns == len(listed)
        assert busy._expanded_ns(table, at_ns) == len(listed)
