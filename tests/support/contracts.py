"""Every component of ours by its `examples`, as parameters of contract tests."""

from __future__ import annotations

from typing import Any

import pytest

from netsim import registry, testing

QUICK = 3  # examples of a component that every run of the tests checks; the slow tests check all


def components(kind: str) -> list[Any]:
    """Without the plugins that other tests load into this process."""
    return [
        pytest.param(made, id=f"{name}-{i}", marks=[pytest.mark.slow] * (i >= QUICK))
        for name in registry.names(kind)
        if registry.get(kind, name).__module__.startswith(("algorithms.", "channels."))
        for i, made in enumerate(testing.examples(kind, name))
    ]


def checks(kind: str) -> list[Any]:
    """The checks of a kind, named."""
    return [pytest.param(check, id=check.__name__) for check in testing.checks(kind)]
