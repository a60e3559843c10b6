"""The same examples everywhere: hypothesis draws them from the tests themselves, and nothing depends on the clock."""

import pytest
from hypothesis import HealthCheck, settings

from netsim.compiling import IS_ON

settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under NUMBA_DISABLE_JIT=1 leave out the tests that are about compiled kernels."""
    if not IS_ON:
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(pytest.mark.skip(reason="numba does not compile here (NUMBA_DISABLE_JIT)"))
