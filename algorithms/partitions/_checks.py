"""What every partition checks first."""

from __future__ import annotations

from netsim.errors import ConfigError, Fault


def check_nodes(nodes: int, samples: int) -> None:
    """Raise `ConfigError` unless every node can have a sample."""
    if nodes > samples:
        allowed = f"at most {samples}, as each node needs one of the {samples} samples"
        raise ConfigError([Fault(("nodes",), allowed, str(nodes))])
