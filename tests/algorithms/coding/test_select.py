"""Selection against a full sort by (|x| descending, index ascending), on both paths and both float types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from algorithms.coding import select
from algorithms.coding.select import top_k

DTYPES = (np.float32, np.float64)


def by_sort(x: Any, k: int) -> Any:
    order = np.lexsort((np.arange(x.size), -np.abs(x)))
    return np.sort(order[: min(k, np.count_nonzero(x))])


def hard_vectors(d: int) -> dict[str, Any]:
    """Distributions on which sampling or partitioning goes wrong if anything does."""
    rng = np.random.default_rng(40)
    spikes = np.zeros(d)
    spikes[:: max(d // 50, 1)] = rng.standard_normal(spikes[:: max(d // 50, 1)].size)
    sampled = select._sample_places(d) if d >= 4096 else np.arange(0, d, 7)
    misled_high = rng.standard_normal(d) * 1e-3
    misled_high[sampled] = 1 + rng.random(sampled.size)  # the sample sees only large entries
    misled_low = 1 + rng.random(d)
    misled_low[sampled] = 1e-3 * rng.random(sampled.size)  # and here only small ones
    return {
        "normal": rng.standard_normal(d),
        "heavy tail": rng.standard_t(1.5, d),
        "95 % zero": np.where(rng.random(d) < 0.05, rng.standard_normal(d), 0),
        "few nonzeros": spikes,
        "all equal": np.full(d, -0.5),
        "two values": rng.choice([1.0, -2.0], d),
        "small integers": rng.integers(-3, 4, d).astype(float),
        "sorted": np.linspace(-1, 1, d),
        "periodic": np.sin(np.arange(d) * (2 * np.pi / 64)),
        "denormal": rng.integers(-50, 51, d) * 1e-44,
        "zero": np.zeros(d),
        "minus zero": np.where(np.arange(d) == d // 2, 1.0, -0.0),
        "sample sees large": misled_high,
        "sample sees small": misled_low,
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 63, 4095, 4096, 12_289, 16_384, 150_001])
def test_equals_a_full_sort(d: int, dtype: type) -> None:
    """Sizes on both sides of each change of method; 16,384 entries and more are collected by the kernel."""
    for name, x64 in hard_vectors(d).items():
        x = x64.astype(dtype)
        for k in {0, 1, 2, max(d // 1000, 1), max(d // 100, 1), d // 2, d - 1, d, 2 * d}:
            found = top_k(x, k)
            assert found.dtype == np.int64
            np.testing.assert_array_equal(found, by_sort(x, k), err_msg=f"{name}, k = {k}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_paths_agree(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    for x64 in hard_vectors(5000).values():
        x = x64.astype(dtype)
        for k in (1, 40, 4999):
            found = []
            for compiled_from in (1, 10**9):
                monkeypatch.setattr(select, "COMPILED_FROM", compiled_from)
                found.append(top_k(x, k))
            np.testing.assert_array_equal(found[0], found[1])


@given(
    hnp.arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 5e-324])), st.data()
)
@settings(max_examples=300, deadline=None)
def test_ties_go_to_the_lowest_index(x: Any, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, x.size + 1))
    np.testing.assert_array_equal(top_k(x, k), by_sort(x, k))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [50, 5000, 70_000])
def test_what_is_not_finite_comes_first(d: int, dtype: type) -> None:
    """A selection of one entry or more holds NaN or infinity where there is one: codecs rely on it."""
    for bad in (np.nan, -np.nan, np.inf, -np.inf):
        x: Any = np.random.default_rng(41).standard_normal(d).astype(dtype)
        x[d - 7] = bad
        assert top_k(x, 1).tolist() == [d - 7]
        assert d - 7 in top_k(x, 20)


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_kth_largest_equals_a_sort(kind: Any) -> None:
    """The radix kernel on spread, repeated and extreme keys, at every rank of interest."""
    from algorithms.coding.kernels import select

    top = np.iinfo(kind).max >> 1
    rng = np.random.default_rng(42)
    for keys in (
        rng.integers(0, top, 1000, dtype=kind, endpoint=True),
        rng.integers(0, 3, 1000, dtype=kind),
        np.full(300, top, kind),
        np.array([0], kind),
        (rng.integers(0, 2, 1000, dtype=kind) << kind(np.iinfo(kind).bits - 2)) + rng.integers(0, 9, 1000, dtype=kind),
    ):
        ordered = np.sort(keys)[::-1]
        for k in {1, 2, keys.size // 2, keys.size} - {0}:
            if k <= keys.size:
                assert select.kth_largest(keys, k) == ordered[k - 1]


@pytest.mark.compiled
@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_collect_reports_overflow(kind: Any) -> None:
    """Exactly as many as fit are returned; one more is -1, in whole blocks and in the rest behind."""
    from algorithms.coding.kernels import select

    mask = kind(np.iinfo(kind).max >> 1)
    for places in (np.arange(0, 9000, 100), np.arange(8192, 8282), np.arange(90)):
        keys = np.zeros(9000, kind)
        keys[places] = 7
        for capacity in (places.size + 1, places.size, places.size - 1, 0):
            room = capacity + select.LANES
            found, magnitudes = np.full(room + 1, -5), np.full(room + 1, 3, kind)
            count = select.collect(keys, mask, kind(6), found[:-1], magnitudes[:-1])
            assert found[-1] == -5
            assert magnitudes[-1] == 3
            assert count == (places.size if places.size <= capacity else -1)
            if count >= 0:
                np.testing.assert_array_equal(found[:count], places)
                assert (magnitudes[:count] == 7).all()


@pytest.mark.compiled
@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_collect_finds_each_place(kind: Any) -> None:
    """One key above the floor, at each place of four runs of two words and of the rest, among keys at the floor."""
    from algorithms.coding.kernels import select

    top = kind(np.iinfo(kind).max ^ np.iinfo(kind).max >> 1)
    found, magnitudes = np.empty(3 + select.LANES, np.int64), np.empty(3 + select.LANES, kind)
    for place in range(600):
        keys = np.full(600, top + kind(6))
        keys[place] += kind(1)
        assert select.collect(keys, ~top, kind(6), found, magnitudes) == 1
        assert (found[0], magnitudes[0]) == (place, 7)
