"""What a link's cost may count."""

from __future__ import annotations

from netsim.errors import ConfigError, Fault, nearest_name

QUANTITIES = ("bit", "packet", "s", "j")


def check_quantity(quantity: str) -> None:
    """Raise a `ConfigError` where a link has no cost of that name."""
    if quantity not in QUANTITIES:
        allowed = f"a link's cost is in one of {', '.join(QUANTITIES)}"
        raise ConfigError([Fault(("quantity",), allowed, repr(quantity), nearest_name(quantity, QUANTITIES))])
