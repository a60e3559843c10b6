"""Contract tests of every registered problem, by its `examples`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contracts import checks, components


@pytest.mark.parametrize("check", checks("problem"))
@pytest.mark.parametrize("made", components("problem"))
def test_contract(made: Any, check: Any) -> None:
    if made.name == "torch_module":
        pytest.importorskip("torch")
    check(made)
