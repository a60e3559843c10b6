"""Contract tests of every registered algorithm, by its `examples`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contracts import checks, components


@pytest.mark.parametrize("check", checks("algorithm"))
@pytest.mark.parametrize("made", components("algorithm"))
def test_contract(made: Any, check: Any) -> None:
    check(made)
