"""Messages of several vectors, index sets alone, values on a known mask: exact lengths, round trips, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.coding.index_set import IndexSet
from algorithms.coding.masked_values import MaskedValues
from algorithms.coding.several import Several
from algorithms.compressors.fractional import Fractional
from algorithms.compressors.identity import Identity
from algorithms.compressors.qsgd import QSGD
from algorithms.compressors.rand_k import RandK
from algorithms.compressors.top_k import TopK
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Key

KEY = Key(3, 5)
X = np.random.default_rng(8).standard_t(3, 100)


@pytest.mark.parametrize("codec", [TopK(k=7), QSGD(levels=4), RandK(k=9, shared_seed=True), Identity(64)], ids=repr)
def test_parts_decode_to_what_they_would_alone_and_no_bit_is_between(codec: Any) -> None:
    """Two numbers, the vector, another vector of 5: each part as its codec alone gives it with the part's key."""
    code = Several((Identity(), codec, TopK(k=2)), (2, None, 5))
    parts = (np.array([1.0, -2.0]), X, np.array([0.0, 3.0, 1.0, -4.0, 0.0]))
    payload = code.encode_keyed(parts, KEY)
    key = KEY if code.shares_randomness else None
    decoded = code.decode(payload.data, 100, key)
    assert decoded[0].tolist() == [1.0, -2.0]
    assert decoded[2].tolist() == [0.0, 3.0, 0.0, -4.0, 0.0]
    for i in range(3):
        np.testing.assert_array_equal(code.part(i).decode(payload.data, 100, key), decoded[i])
    noted, total = Several((Identity(), codec), (2, None)), np.ones(100)
    data = noted.encode_keyed((np.zeros(2), X), KEY).data
    noted.add_to(data, total, 2.0, key)  # the last vector
    np.testing.assert_array_equal(total, 1.0 + 2.0 * noted.decode(data, 100, key)[1])
    alone = [c.encode_keyed(x, KEY) for c, x in zip(code.codecs, parts, strict=True)]
    assert payload.paper_bit == pytest.approx(sum(a.paper_bit for a in alone))
    assert len(payload.data) <= sum(len(a.data) for a in alone)


def test_parts_draw_independently() -> None:
    """The same vector twice by a code that draws: two different draws."""
    code = Several((QSGD(levels=1), QSGD(levels=1)), (None, None))
    one, other = code.decode(code.encode_keyed((X, X), KEY).data, 100)
    assert not np.array_equal(one, other)


def test_a_message_of_several_is_refused_whole() -> None:
    code = Several((Identity(), TopK(k=2)), (1, None))
    data = code.encode_keyed((np.ones(1), X), KEY).data
    for damaged in (data[:-1], data + b"\0", b""):
        with pytest.raises(DecodeError):
            code.decode(damaged, 100)
    with pytest.raises(EncodeError):
        code.encode_keyed((np.array([np.nan]), X), KEY)


@pytest.mark.parametrize("index", ["fixed", "block", "block_paper", "bitmap", "gap", "rice", "auto"])
@pytest.mark.parametrize("known", [True, False])
def test_index_sets(index: Any, known: bool) -> None:
    rng = np.random.default_rng(4)
    for size in (0, 1, 17, 200):
        indices = np.sort(rng.choice(200, size, replace=False))
        code = IndexSet(200, size if known else None, index)
        payload = code.encode_keyed(indices, KEY)
        assert code.decode(payload.data, 200).tolist() == indices.tolist()
        count_bit = 0 if known else 8
        assert len(payload.data) == -(-int(payload.paper_bit + count_bit) // 8)
        votes = np.zeros(200)
        code.add_to(payload.data, votes)
        assert np.flatnonzero(votes).tolist() == indices.tolist()


def test_the_vote_of_majority_voting_is_as_long_as_its_formula() -> None:
    """d = 11,173,962, K = 111,739, B = round(d / K) = 100, w = 7: K (1 + w) + ceil(d / B) = 1,005,652 bits."""
    d, k = 11_173_962, 111_739
    indices = np.sort(np.random.default_rng(0).choice(d, k, replace=False))
    payload = IndexSet(d, k, "block_paper").encode_keyed(indices, KEY)
    assert (payload.paper_bit, len(payload.data)) == (1_005_652, 125_707)


@pytest.mark.parametrize("indices", [[3, 3], [5, 2], [-1, 4], [4, 10]])
def test_index_sets_that_are_none_are_refused(indices: list[int]) -> None:
    with pytest.raises(EncodeError, match="coordinates ascend from 0 to below 10"):
        IndexSet(10).encode_keyed(np.array(indices), KEY)


def test_an_index_set_of_another_size_is_refused() -> None:
    with pytest.raises(EncodeError, match="3 coordinates are needed"):
        IndexSet(10, 3).encode_keyed(np.array([1, 2]), KEY)


@pytest.mark.parametrize("codec", [Identity(), Identity(64), Fractional(bits=4), QSGD(levels=3)], ids=repr)
def test_values_on_a_mask(codec: Any) -> None:
    mask = np.array([0, 4, 50, 99])
    code = MaskedValues(codec, mask, 100)
    payload = code.encode_keyed(X, KEY)
    assert payload.data == codec.encode_keyed(X[mask], KEY).data
    x = code.decode(payload.data, 100)
    np.testing.assert_array_equal(x[mask], codec.decode(payload.data, 4))
    assert np.count_nonzero(np.delete(x, mask)) == 0
    total = np.ones(100)
    code.add_to(payload.data, total, 3.0)
    np.testing.assert_array_equal(total, 1.0 + 3.0 * x)
    assert (payload.index_bit, payload.value_bit) == (0.0, payload.paper_bit)
