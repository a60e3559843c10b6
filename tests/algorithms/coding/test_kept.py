"""What a codec says it kept is what its payload names, and the sample's compiled twin finds the same threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.coding import select
from algorithms.coding.changes import Changes
from algorithms.coding.kernels import select as select_kernels
from algorithms.compressors.identity import Identity
from algorithms.compressors.sign_top_k import SignTopK
from algorithms.compressors.top_k import TopK
from netsim.interfaces import Key


def vector(d: int, share: float, dtype: Any = np.float64) -> Any:
    rng = np.random.default_rng(7)
    return np.where(rng.random(d) < share, rng.standard_normal(d), 0.0).astype(dtype)


@pytest.mark.parametrize("codec", [TopK(k=30), SignTopK(k=30)], ids=lambda codec: codec.name)
@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_what_is_kept_is_what_the_payload_names(codec: Any, share: float) -> None:
    x = vector(1000, share)
    kept = codec.support(x)
    payload = codec.on(kept).encode_keyed(x, Key(0, 0))
    assert payload == codec.encode(x, np.random.default_rng(3))
    assert kept.tolist() == np.flatnonzero(codec.decode(payload.data, x.size)).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 1.0])
def test_the_sample_gives_the_same_threshold_compiled(dtype: Any, share: float) -> None:
    keys = select._keys(vector(50_000, share, dtype))
    places = select._sample_places(keys.size)
    for rank in (1, 5, 60, places.size):
        compiled = select_kernels.sampled(keys, places, select._MASKS[keys.itemsize], rank)
        assert int(compiled) == int(select._sampled(keys, places, rank))


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("float_bit", [64, 32, 16])
def test_dense_vectors_add_up_and_decode_as_the_definition_says(float_bit: Any, dtype: Any, scale: float) -> None:
    """Bit for bit: in blocks without a whole vector in between, and in the type that is wanted."""
    rng, codec = np.random.default_rng(5), Identity(float_bit)
    for size in (1, 1000, 70_001):
        x = rng.standard_normal(size) * 10.0 ** rng.integers(-3, 4, size)
        total = (rng.standard_normal(size) * 10.0 ** rng.integers(-12, 13, size)).astype(dtype)
        data, plain = codec.encode_keyed(x, Key(0, 0)).data, total.copy()
        plain += scale * codec.decode(data, size)
        codec.add_to(data, total, scale)
        assert total.tobytes() == plain.tobytes()
        found = codec.decode_as(data, size, np.dtype(dtype))
        assert found.dtype == dtype
        assert found.tobytes() == codec.decode(data, size).astype(dtype).tobytes()
        code = Changes(total, float_bit)
        changed = np.where(rng.random(size) < 0.4, rng.standard_normal(size), total).astype(dtype)
        data = code.encode_keyed(changed, Key(0, 0)).data
        assert code.decode_as(data, size, total.dtype).tobytes() == code.decode(data, size).astype(dtype).tobytes()
