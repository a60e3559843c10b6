"""What a codec says it kept is what its payload names, and the sample's compiled twin finds the same threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.coding import select
from algorithms.coding.kernels import select as select_kernels
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
