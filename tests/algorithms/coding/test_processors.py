"""The same bytes whatever the processor: compiled kernels and numpy held to SSE2, to AVX2, and as they come."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from algorithms.coding import kernels

SCRIPT = """
import hashlib, sys
import numpy as np
from algorithms.coding import select
from algorithms.coding.codec import draw_key
from netsim import registry

key = draw_key(np.random.default_rng(3))
rng = np.random.default_rng(4)
vectors = {
    "normal": rng.standard_normal(40_003),
    "tails": rng.standard_t(3, 40_003),
    "zeros": np.where(rng.random(40_003) < 0.95, 0.0, rng.standard_normal(40_003)),
}
for name in registry.names("compressor"):
    for number, example in enumerate(registry.get("compressor", name).examples):
        codec = registry.build("compressor", {"name": name, **example})
        digest = hashlib.sha256()
        for x in vectors.values():
            for dtype in (np.float32, np.float64):
                payload = codec.encode_keyed(x.astype(dtype), key)
                digest.update(payload.data)
                digest.update(codec.decode(payload.data, x.size, key).tobytes())
        print(name, number, digest.hexdigest())
for name, x in vectors.items():
    print(name, hashlib.sha256(select.top_k(x, 400).tobytes()).hexdigest())
"""

NUMBA_LEVELS = {
    "as it is": {},
    "SSE2": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse,+sse2"},
    "AVX2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+sse,+sse2,+avx,+avx2,+fma",
    },
}
# numpy is built for a baseline that cannot be undercut; what it dispatches to beyond can be switched off.
NUMPY_OFF = {
    "as it is": [],
    "SSE2": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
    "AVX2": [name for name in __cpu_dispatch__ if __cpu_features__[name] and ("512" in name or name == "X86_V4")],
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 instruction sets")
def test_payloads_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    """Every example of every compressor, and the indices of a selection, on 40,003 entries of three laws."""
    said = {}
    for level, variables in NUMBA_LEVELS.items():
        cache = str(tmp_path / level.replace(" ", "_"))
        environment = {**os.environ, **variables, "NUMBA_CACHE_DIR": cache}
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(NUMPY_OFF[level])
        command = [sys.executable, "-c", SCRIPT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said[level] = done.stdout
    assert said["SSE2"] == said["as it is"]
    assert said["AVX2"] == said["as it is"]
    assert said["SSE2"].count("\n") > 15


def test_a_name_that_is_no_file_of_kernels_is_an_attribute_error() -> None:
    """As `hasattr`, which test runners ask of every module, wants it."""
    assert kernels.bits.__name__ == "algorithms.coding.kernels.bits"
    assert not hasattr(kernels, "no_such_file")
