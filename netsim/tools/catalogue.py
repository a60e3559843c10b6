"""What there is: components of every kind, described from their own hints and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from netsim import registry
from netsim import text as text_module
from netsim.errors import ConfigError, Fault, NetsimError, UnknownNameError, nearest_name
from netsim.scenario import devices, parsing, yaml_lines

LABEL = "What tables and drawings call it, by default its name; each label once."
MEASURED_DIM, MEASURED_VECTORS = 256, 100
MEASURED_LAYOUT = ((16, 16),)
MEASURED_HEAD = ("setting", "bits", "D", "D of cQ", "D 4^b", "above", "entropy", "promise", "most", "least")
_MEASURED = """\
Bits against error
  Over {} vectors uniform in the unit ball, d = {}; bits are per entry, norms and counts included.
  D is E||Q - x||^2 / E||x||^2, cQ the multiple of Q with the least D. No code has D 4^b below 1; above: bits more than
  that needs. entropy: bits of an ideal coder of the same bytes that takes them one by one. promise: the stated worst
  case of D (of Q / (1 + w), where unbiased), most: the longest payload, least: that of the best code with that promise.
  Gradients are no such vectors: where few entries carry the norm, codes that choose their entries lose less.
"""


def overview(kind: str | None = None) -> str:
    """Return names and first lines of all components of one kind, or of all kinds, boards and the bundled scenarios."""
    if kind == "board":
        return "\n".join(["board", *_boards()])
    lines: list[str] = []
    for one in registry.PACKAGES if kind is None else (kind,):
        known = registry.names(one)
        width = max(map(len, known), default=0)
        lines += [one, *(f"  {name:<{width}}  {_first_line(one, name)}".rstrip() for name in known), ""]
    if kind is None:
        from netsim.scenario import bundled, channels

        lines += ["board", *_boards(), ""]
        lines += ["scenario", *(f"  {name}" for name in bundled()), ""]
        lines += ["to probe", *(f"  {name}" for name in channels()), ""]
    return "\n".join(lines[:-1])


def description(name: str) -> str:
    """Return text, keys and examples of all components of one name, of a compressor also its bits against its error.

    Of a board that comes with netsim: its figures, and where they are from.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    kinds = [kind for kind in registry.PACKAGES if name in registry.names(kind)]
    if not kinds and name in (boards := devices.known()):
        return _board(name, *boards[name])
    if not kinds:
        known = sorted({n for kind in registry.PACKAGES for n in registry.names(kind)})
        allowed = "no component of that name; netsim list shows all"
        raise UnknownNameError([Fault(("describe",), allowed, repr(name), nearest_name(name, known))])
    return "\n\n".join(_component(kind, registry.get(kind, name)) for kind in kinds)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario, with every component under ``$defs``."""
    from netsim.scenario import Scenario

    top = parsing.dataclass_schema(Scenario)
    choices = {kind: {name: registry.get(kind, name) for name in registry.names(kind)} for kind in registry.PACKAGES}
    defs = {kind: _choice(classes, {}) for kind, classes in choices.items()}
    defs["entry"] = _choice(choices["algorithm"], {"label": {"type": "string", "description": LABEL}})
    top["properties"]["algorithms"]["items"] = {"$ref": "#/$defs/entry"}
    network = top["properties"]["network"]["properties"]
    shape = network["topology"]
    by_edges = {
        "required": ["edges"],
        "type": "object",
        "properties": shape["properties"],
        "additionalProperties": False,
    }
    told = shape.pop("description", "")
    network["topology"] = {"anyOf": [shape, shape["properties"]["name"], by_edges], "description": told}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "netsim scenario", **top, "$defs": defs}


def _choice(classes: dict[str, type], more: dict[str, Any]) -> dict[str, Any]:
    made = [parsing.dataclass_schema(cls) for cls in classes.values()]
    bare = [one["properties"]["name"]["const"] for one in made if one["required"] == ["name"]]
    full = [{**one, "properties": {**one["properties"], **more}} for one in made]
    return {"anyOf": [*([{"enum": bare}] if bare else []), *full]}


def _first_line(kind: str, name: str) -> str:
    try:
        return (inspect.getdoc(registry.get(kind, name)) or "").partition("\n")[0]
    except ConfigError as error:
        return f"({error})"


def _component(kind: str, cls: Any) -> str:
    doc = inspect.getdoc(cls) or ""
    module = inspect.getdoc(inspect.getmodule(cls)) or ""
    parts = [f"{kind} {cls.name}", *([module] if module and module != doc else []), doc, *_shared(cls), _keys(cls)]
    examples = [yaml_lines.write_line({"name": cls.name, **example}) for example in getattr(cls, "examples", ())]
    if examples:
        parts.append("\n".join(["Examples in YAML", *(f"  {text}" for text in examples)]))
    if kind == "compressor":
        parts.append(_bits_against_error(cls.name))
    return "\n\n".join(part for part in parts if part)


def _boards() -> list[str]:
    boards = devices.known()
    width = max(map(len, boards))
    return [f"  {name:<{width}}  {title}: {_figures(device)}" for name, (device, title, _) in boards.items()]


def _figures(device: devices.Device) -> str:
    speed = (device.flop_per_s or 0.0) / 1e9
    return f"{speed:g} Gflop/s, {device.power_w:g} W computing, {device.idle_w:g} W waiting"


def _board(name: str, device: devices.Device, title: str, source: str) -> str:
    return (
        f"board {name}\n\n{title}: {_figures(device)}\n\n"
        "Measured, not peak figures: flop/s of High-Performance Linpack in double precision on all cores of the\n"
        "processor, no graphics unit; watts of the whole board at its plug, during that and at rest. A gradient of\n"
        "small vectors, or one in Python, gets less out of the same board.\n\n"
        f"Source: {source} and the table web/data/results.yml of that repository, April 2026\n\n"
        f"Examples in YAML\n  compute: {{devices: {{boards: {name}}}}}"
    )


def _shared(cls: Any) -> list[str]:
    """Return the documentation of the keys that a component inherits and does not describe itself."""
    told, entries = {name for names, _ in parsing.parameters(cls) for name in names.split(", ")}, list[str]()
    for base in (base for base in cls.__mro__[1:] if dataclasses.is_dataclass(base)):
        for names, text in parsing.parameters(base):
            if not told.issuperset(names.split(", ")):
                entries.append(f"{names}\n{text.rstrip()}")
        told |= {name for names, _ in parsing.parameters(base) for name in names.split(", ")}
    return ["\n".join(["Shared keys", "-----------", *entries])] if entries else []


def _bits_against_error(name: str) -> str:
    """Return bits and error of a compressor's settings, beside the bounds on all codes."""
    from netsim.tools import codec_limits

    rows, notes = [], []
    for keys, codec in codec_limits.settings(name):
        setting = yaml_lines.write_line(keys)
        try:
            found = codec_limits.measure(codec.bind(MEASURED_LAYOUT), MEASURED_DIM, MEASURED_VECTORS)
        except NetsimError as error:
            notes.append(f"  {setting}: {error}")
            continue
        numbers = (found.error, found.best_error, found.excess)
        promise = "-" if found.promise is None else text_module.short(found.promise)
        bits = (found.payload_bit, found.above_bit, found.entropy_bit, found.most_bit, found.least_bit)
        mean, above, entropy, most, least = ("-" if b is None else f"{b / found.dim:.3f}" for b in bits)
        rows.append([setting, mean, *map(text_module.short, numbers), above, entropy, promise, most, least])
    table = text_module.table(MEASURED_HEAD, rows).splitlines() if rows else []
    return "\n".join([_MEASURED.format(MEASURED_VECTORS, MEASURED_DIM), *(f"  {line}" for line in table), *notes])


def _keys(cls: Any) -> str:
    known = parsing.hints(cls)
    if not known:
        return "Keys\n  none"
    given = {f.name: f for f in dataclasses.fields(cls)}
    lines = []
    for name, hint in known.items():
        default = parsing.default_of(given[name])
        if default is dataclasses.MISSING:
            text = "required"
        else:
            value = default() if given[name].default is dataclasses.MISSING else default
            text = f"default {yaml_lines.write_line(parsing.dump(value))}"
        lines.append(f"  {name}: {parsing.describe(hint, name)}; {text}")
    return "\n".join(["Keys", *lines])
