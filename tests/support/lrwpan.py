"""Cells of IEEE 802.15.4 from flat keys."""

from __future__ import annotations

from typing import Any

from netsim import registry
from netsim.scenario.parsing import hints

# The path loss of ns-3's lr-wpan module, whose receivers hear and notice more than any radio's data sheet promises.
NS3 = {
    "path_loss": "log_distance", "reference_loss_db": 46.6777, "noise_dbm": -106.987, "sensitivity_dbm": -106.58,
    "cca_threshold_dbm": -96.58,
}  # fmt: skip


def cell_keys(mac: str = "csma_ca", path_loss: str = "none", **keys: Any) -> dict[str, Any]:
    """The configuration of a link; keys of its mac and its path loss go into them."""
    parts = {"mac": mac, "path_loss": path_loss}
    nested = {
        kind: {"name": name, **{k: keys.pop(k) for k in hints(registry.get(kind, name)) if k in keys}}
        for kind, name in parts.items()
    }
    return {"name": "ieee802154", **nested, **keys}


def cell(**keys: Any) -> Any:
    """A link; see `cell_keys`."""
    return registry.build("channel", cell_keys(**keys))
