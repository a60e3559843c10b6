"""TCP's transfer times: the engine against the closed forms; against ns-3 and SimGrid they are in test_validation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.validation.simgrid import flow_s
from channels.media.flows.tcp import GROWTH, mathis_bps, mathis_window, slow_start_segments, transfer_s
from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Node

# ns-3.44, NewReno, 100 Mbit/s: mean goodput of five transfers of 5 MB in Mbit/s by loss and one way in s.
LOSSY = {
    (0.001, 0.005): 34.5, (0.001, 0.025): 7.56, (0.001, 0.05): 3.80,
    (0.01, 0.005): 7.52, (0.01, 0.025): 1.57, (0.01, 0.05): 0.785,
}  # fmt: skip


def lone_ns(size: int, **keys: Any) -> int:
    """Nanoseconds of a message alone, from the medium."""
    medium = registry.build("channel", {"name": "wan", **keys}).open(
        [Node(0), Node(1, is_server=True)], np.random.default_rng(0)
    )
    medium.submit(0, 0, (1,), size)
    while not (got := medium.advance(medium.next_event_ns())):
        pass
    return int(got[0].at_ns)


def by_rounds_s(size: int, rate: float, one_way: float, growth: float) -> float:
    """The closed form once more, one transfer at a time."""
    n = math.ceil(size / 1448)
    last = size - (n - 1) * 1448
    tx = 8 * 1502 / rate
    rtt = 2 * one_way + tx
    t, w, sent = 2 * one_way + 2 * 8 * 54 / rate, 10.0, 0
    while True:
        k = min(math.floor(w), n - sent)
        if math.floor(w) * tx >= rtt or sent + k >= n:
            return t + (n - sent - 1) * tx + 8 * (last + 54) / rate + one_way
        sent, t, w = sent + k, t + rtt, w * growth


@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
@pytest.mark.parametrize(("rate", "one_way"), [(1e6, 0.005), (33e6, 0.02), (1e9, 0.1), (123456.789, 0.3)])
def test_engine_closed_form_and_rounds_are_one(rate: float, one_way: float, congestion: str) -> None:
    """To a nanosecond; the closed form for many sizes at once and by rounds to 1e-12."""
    sizes = [1, 65, 1448, 1449, 14480, 14481, 100_000, 123_457, 10**6, 5 * 10**6]
    many = transfer_s(sizes, rate, one_way, growth=GROWTH[congestion])[0]
    for size, ours in zip(sizes, many.tolist(), strict=True):
        assert ours == pytest.approx(by_rounds_s(size, rate, one_way, GROWTH[congestion]), rel=1e-12)
        got = lone_ns(size, rate_bps=rate, rtt_s=2 * one_way, congestion=congestion)
        assert abs(got - ours * 1e9) <= 1


@pytest.mark.parametrize("loss", [0.0, 5e-324, 1e-18, 0.0001, 0.001, 0.01])
@pytest.mark.parametrize("handshake", [True, False])
def test_engine_equals_closed_form_under_loss_and_with_unequal_ways(loss: float, handshake: bool) -> None:
    for size in (1, 30_000, 777_777, 4 * 10**6):
        keys = {"rate_bps": 20e6, "down_bps": 50e6, "server_bps": 1e7, "loss": loss, "handshake": handshake}
        ours = transfer_s(size, 1e7, 0.015, loss=loss, handshake=handshake)[0]
        assert abs(lone_ns(size, rtt_s=0.03, **keys) - float(ours) * 1e9) <= 1


def test_the_handshake_takes_both_ways() -> None:
    """SYN up at 1 Mbit/s, SYN-ACK down at 8 Mbit/s, then one segment of 154 bytes; three times 20 ms."""
    assert lone_ns(100, rate_bps=1e6, down_bps=8e6, rtt_s=0.04) == 432_000 + 54_000 + 1_232_000 + 60_000_000


def test_loss_is_mathis() -> None:
    """Formula and transfer within 20 % of the means of five at p = 0.001, up to 35 % above at 0.01."""
    for (loss, one_way), theirs in LOSSY.items():
        ours = mathis_bps(2 * one_way + 8 * 1502 / 100e6, loss) / 1e6
        whole = 8 * 5e6 / (lone_ns(5_000_000, rate_bps=1e8, rtt_s=2 * one_way, loss=loss) / 1e9) / 1e6
        for mbps in (ours, whole):
            assert -0.2 < mbps / theirs - 1 < (0.2 if loss == 0.001 else 0.35)


def test_transfers_beside_many_runs_of_ns3() -> None:
    """Mean seconds at 100 Mbit/s and 50 ms: 500 kB (200 runs) and 50 MB (100) at p = 0.001, 5 MB (400) at 0.01."""
    for size, loss, theirs, off in ((500_000, 0.001, 1.043, 0.1), (50_000_000, 0.001, 117.3, 0.07),
                                    (5_000_000, 0.01, 45.84, 0.15)):  # fmt: skip
        assert lone_ns(size, rate_bps=1e8, rtt_s=0.1, loss=loss) / 1e9 == pytest.approx(theirs, rel=off)


def test_long_transfers_go_at_the_law() -> None:
    """1 GB: within 1 % of the window of Mathis per round trip."""
    for loss in (0.001, 0.01):
        bps = 8e9 / float(transfer_s(1e9, 1e8, 0.05, loss=loss)[0])
        assert bps == pytest.approx(mathis_bps(0.10012016, loss), rel=0.01)


@pytest.mark.parametrize("loss", [1e-18, 1e-4, 0.003, 0.01])
def test_slow_start_ends_with_the_first_loss(loss: float) -> None:
    """Segments before the first loss, term by term, and the lost one."""
    for n in (1, 7, 100, 1500):
        before = sum(k * loss * (1 - loss) ** k for k in range(n)) + n * (1 - loss) ** n
        assert slow_start_segments(n, loss) == min(n, math.floor(before + 1))


def test_a_larger_message_is_earlier_by_a_segment_at_most() -> None:
    """Where slow start ends a segment later; without loss never."""
    sizes = np.arange(1, 600_000, 97)
    for loss in (0.0, 0.001, 0.01):
        steps = np.diff(transfer_s(sizes, 1e8, 0.05, loss=loss)[0])
        assert steps.min() >= (-0.10012016 / mathis_window(loss) if loss else 0.0)


def test_mathis_by_hand() -> None:
    """1448 * 8 bit / 100.12016 ms * sqrt(3 / (4 * 0.01))."""
    assert mathis_bps(0.10012016, 0.01) == pytest.approx(11584 / 0.10012016 * math.sqrt(75), rel=1e-14)


def test_loss_beyond_the_formula_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss: with transport tcp at most 0.01, .* Got 0.03"):
        registry.build("channel", {"name": "wan", "rate_bps": 1e6, "loss": 0.03})


def test_flow_models_have_a_largest_window() -> None:
    """SimGrid 4.1, the fastest of five clients: 100 MB at 50 ms, 4 MiB per 100 ms, in LV08 times 0.97."""
    for model, theirs in (("cm02", 2.434185791015625), ("lv08", 3.108423495892397)):
        assert float(flow_s(100_000_000, 1e9, 0.05, model)) == pytest.approx(theirs, rel=1e-9)
