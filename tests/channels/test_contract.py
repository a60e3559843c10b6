"""Contract tests of every registered channel, by its `examples`."""

from __future__ import annotations

from typing import Any, cast

import pytest

from netsim import registry
from tests.contracts import channel as contract

# Not the plugins that other tests load into this process.
OURS = [name for name in registry.names("channel") if registry.get("channel", name).__module__.startswith("channels.")]
CHANNELS = [
    pytest.param(registry.build("channel", {"name": name, **example}), id=f"{name}-{i}")
    for name in OURS
    for i, example in enumerate(cast(Any, registry.get("channel", name)).examples)
]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("channel", CHANNELS)
def test_contract(channel: Any, check: Any) -> None:
    check(channel)
