"""A channel to probe: from its name, a YAML mapping, a small YAML file, or a scenario."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from netsim import registry
from netsim.errors import ConfigError, Fault, nearest_name
from netsim.fields import Ref
from netsim.interfaces import Channel, Node
from netsim.scenario import sweep, yaml_lines
from netsim.scenario.parsing import build_component, hints
from netsim.scenario.scenario import Places

KEYS = ("channel", "positions", "energy")
Place = tuple[float, float]


@dataclass(frozen=True)
class Setup:
    """What is probed.

    Parameters
    ----------
    ring_m
        The server at the origin, the senders evenly on a circle of this radius; None where places are given or unknown.
    places_m
        Of the senders in order, and of the server last; () where they are not given.
    """

    channel: Channel
    ring_m: float | None = None
    places_m: tuple[Place, ...] = ()

    @property
    def name(self) -> str:
        """The channel's name."""
        return str(getattr(self.channel, "name", type(self.channel).__name__))

    def nodes(self, senders: int) -> list[Node]:
        """Return the senders 0 .. n - 1, and the server n.

        Raises
        ------
        ConfigError
            If there are places for another number of nodes.
        """
        places: Sequence[Place | None] = self.places_m
        if self.ring_m is not None:
            turns = [2 * math.pi * i / senders for i in range(senders)]
            places = [(self.ring_m * math.cos(t), self.ring_m * math.sin(t)) for t in turns] + [(0.0, 0.0)]
        elif not places:
            places = [None] * (senders + 1)
        if len(places) != senders + 1:
            allowed = f"a place for each of {senders} senders and, last, for the server"
            raise ConfigError([Fault(("positions",), allowed, f"{len(places)} places")])
        return [Node(i, i == senders, place) for i, place in enumerate(places)]


def load(source: str, overrides: Sequence[str] = ()) -> Setup:
    """Load the channel and the nodes that `source` names.

    Parameters
    ----------
    source
        A registered channel (``ieee802154``), a mapping in YAML (``{name: ethernet_udp, rate_bps: 10 Mbit/s}``), a YAML
        file with ``channel`` and optionally ``positions`` and ``energy`` (one that comes with netsim by its name, such
        as ``probe/tcp``), or a scenario, of which the link or else the uplink is taken.
    overrides
        ``key=value`` with a key of the channel (of a file also ``positions`` and ``energy``), or of the scenario.

    Raises
    ------
    ConfigError
        Listing all that is wrong.
    """
    data, places = _read(source)
    if data is None:
        return _of_scenario(source, overrides)
    for override in overrides:
        data = _put(data, override)
    try:
        return _parse(data)
    except ConfigError as error:
        located = [dataclasses.replace(f, origin=f.origin or places.origin(f.path)) for f in error.faults]
        raise ConfigError(located) from None


def _read(source: str) -> tuple[dict[str, Any] | None, Places]:
    """Return a mapping with `KEYS`, and where it was written; None where `source` is a scenario."""
    from netsim.scenario import bundled, channels

    path, text = channels().get(source, Path(source)), source.lstrip()
    is_file = "{" not in source and path.is_file()
    if not is_file and not text.startswith("{"):
        if source in registry.names("channel"):
            return {"channel": {"name": source}}, Places()
        if source in bundled():
            return None, Places()
        names = registry.names("channel")
        allowed = f"a channel ({', '.join(names)}), a mapping in YAML, a YAML file or a scenario"
        raise ConfigError([Fault(("channel",), allowed, repr(source), nearest_name(source, names))])
    file = str(path) if is_file else "channel"
    document = yaml_lines.read(path.read_text("utf-8-sig") if is_file else text, file)
    if not isinstance(document.data, Mapping):
        allowed = "a mapping with channel, or one with the name of a channel"
        raise ConfigError([Fault(("channel",), allowed, "something else", origin=file)])
    data, lines = dict(document.data), document.lines
    if "algorithms" in data or "problem" in data:
        return None, Places()
    if "channel" not in data and "name" in data:
        return {"channel": data}, Places(file, {("channel", *path): line for path, line in lines.items()})
    return data, Places(file, lines)


def _put(data: dict[str, Any], override: str) -> dict[str, Any]:
    key, equals, value = override.partition("=")
    path, origin = sweep.split(key.strip()), f"-s {override}"
    if not equals or not path:
        raise ConfigError([Fault((), "key=value is needed", repr(override), origin=origin)])
    where = path if path[0] in KEYS else ("channel", *path)
    try:
        changed: dict[str, Any] = sweep.put(data, where, yaml_lines.read(value, origin).data)
    except LookupError as error:
        raise ConfigError([Fault(where, str(error), origin=origin)]) from None
    return changed


def _parse(data: Mapping[str, Any]) -> Setup:
    for key in data:
        if key not in KEYS:
            allowed = f"no such key; there are {', '.join(KEYS)}"
            raise ConfigError([Fault((key,), allowed, nearest=nearest_name(key, KEYS))])
    if "channel" not in data:
        raise ConfigError([Fault(("channel",), "a channel: its name, or a mapping with its name", "nothing")])
    config = data["channel"]
    if "energy" in data:
        config = _with_energy(config, data["energy"])
    ring_m, places = _positions(data.get("positions"))
    return Setup(build_component("channel", config, ("channel",)), ring_m, places)


def _with_energy(config: Any, energy: Any) -> Any:
    config = {"name": config} if isinstance(config, str) else config
    if not isinstance(config, Mapping) or "name" not in config:
        return config  # the check of the channel itself reports it
    cls = registry.get("channel", str(config["name"]))
    fields = [name for name, hint in hints(cls).items() if _refers_to(hint, "energy")]
    if not fields:
        raise ConfigError([Fault(("energy",), f"nothing, as channel {config['name']} has no energy profile", "one")])
    return {**config, fields[0]: energy}


def _refers_to(hint: Any, kind: str) -> bool:
    notes = getattr(hint, "__metadata__", ()) if get_origin(hint) is Annotated else ()
    return any(isinstance(n, Ref) and n.kind == kind for n in notes) or any(_refers_to(a, kind) for a in get_args(hint))


def _positions(data: Any) -> tuple[float | None, tuple[Place, ...]]:
    if data is None:
        return None, ()
    allowed = "{ring_m: radius}, or a list of [x, y] in metres, the server's last"
    if isinstance(data, Mapping):
        ring_m = data.get("ring_m")
        if set(data) != {"ring_m"} or not isinstance(ring_m, int | float) or not 0 < ring_m < math.inf:
            raise ConfigError([Fault(("positions",), allowed, repr(dict(data)))])
        return float(ring_m), ()
    try:
        places = tuple((float(x), float(y)) for x, y in data)
    except (TypeError, ValueError):
        raise ConfigError([Fault(("positions",), allowed, repr(data)[:60])]) from None
    if not all(math.isfinite(c) for place in places for c in place):
        raise ConfigError([Fault(("positions",), allowed, "a coordinate that is not finite")])
    return None, places


def _of_scenario(source: str, overrides: Sequence[str]) -> Setup:
    from netsim.scenario import load as load_scenario
    from netsim.scenario import points

    networks = [point.scenario.network for point in points(load_scenario(source, overrides))]
    links = ((n.link or n.uplink, tuple(n.topology.positions_m)) for n in networks)
    found = [(channel, places) for channel, places in links if channel is not None]
    found = [pair for i, pair in enumerate(found) if pair not in found[:i]]
    if len(found) != 1:
        allowed = "a scenario with one link or uplink; name the channel itself instead"
        got = f"a sweep over {len(found)}" if found else "none"
        raise ConfigError([Fault(("network",), allowed, got, origin=source)])
    channel, places = found[0]
    return Setup(channel, None, places)
