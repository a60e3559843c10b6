"""Makes the components of ``parts.py`` known for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netsim import registry


@contextmanager
def parts() -> Iterator[None]:
    """While it lasts the registry knows a problem, an algorithm and a channel called ``parts``."""
    registry.load_plugin(Path(__file__).with_name("parts.py"))
    try:
        yield
    finally:
        del sys.modules["netsim_plugins.parts"]
        for kind in ("problem", "algorithm", "channel"):
            del registry._classes[kind, "parts"]
