"""The log of packet trains forgets what has ended, however often it is asked for totals."""

from __future__ import annotations

from channels.media.busy import BusyLog, PacketTrain


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
