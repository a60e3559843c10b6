"""Contract tests of every registered algorithm, by its `examples`."""

from __future__ import annotations

from typing import Any, cast

import pytest

from netsim import registry
from tests.contracts import agent as contract

ALGORITHMS = [
    pytest.param(registry.build("algorithm", {"name": name, **example}), id=f"{name}-{i}")
    for name in registry.names("algorithm")
    for i, example in enumerate(cast(Any, registry.get("algorithm", name)).examples)
]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_contract(algorithm: Any, check: Any) -> None:
    check(algorithm)
