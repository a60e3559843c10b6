"""From plain data (YAML, Python mappings) to frozen dataclasses and back, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from netsim import registry
from netsim.errors import ConfigError, Fault, UnknownNameError, nearest_name
from netsim.fields import Range, Ref
from netsim.units import QuantityError, outside, to_number, unit_of

Path = tuple[str | int, ...]

_PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\w[^\n]*)\n((?: +[^\n]*\n|\n)+)", re.MULTILINE)


class _Bad(Exception):
    """Carries faults up from a nested value."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults


@functools.cache
def hints(cls: type) -> dict[str, Any]:
    """Return field name to type, with its annotations, of a dataclass's public fields."""
    known = typing.get_type_hints(cls, include_extras=True)
    return {f.name: known[f.name] for f in dataclasses.fields(cls) if f.init and not f.name.startswith("_")}


def parse(cls: type, data: object, path: Path = ()) -> Any:
    """Make a dataclass from a mapping.

    Parameters
    ----------
    cls
        A dataclass; its fields are the allowed keys, those without default are required.
    data
        Plain data.
    path
        Where `data` stands, for the errors.

    Raises
    ------
    ConfigError
        With one fault for each thing wrong, in the order of the fields.
    """
    try:
        return _dataclass(cls, data, path)
    except _Bad as bad:
        raise ConfigError(bad.faults) from None


def parse_fields(cls: Any, data: Mapping[str, Any], path: Path = ()) -> tuple[dict[str, Any], list[Fault]]:
    """Return the valid fields of a dataclass that `data` gives, and the faults of the others.

    For a caller that has more to check, and wants to say everything at once; defaults are not filled in.
    """
    known, faults, values = hints(cls), list[Fault](), dict[str, Any]()
    for key in data:
        if key not in known:
            what = f"no key of {cls.name}" if hasattr(cls, "kind") else "no such key"
            allowed = f"{what}; there are {', '.join(known)}" if known else f"{what}; it has none"
            faults.append(Fault((*path, key), allowed, repr(key), nearest_name(str(key), known)))
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key, hint in known.items():
        if key in data:
            try:
                values[key] = _convert(hint, data[key], (*path, key), key)
                if bounds := outside(values[key], key):
                    faults.append(Fault((*path, key), bounds, _show(data[key])))
            except _Bad as bad:
                faults.extend(bad.faults)
        elif default_of(fields[key]) is dataclasses.MISSING:
            faults.append(Fault((*path, key), f"a value is needed, {describe(hint, key)}", "nothing"))
    return values, faults


def build_component(kind: str, config: object, path: Path = ()) -> Any:
    """Build a component from its name or a mapping with ``name``; see `netsim.registry.build`."""
    try:
        return _component(kind, config, path)
    except _Bad as bad:
        names = [f for f in bad.faults if f.allowed.startswith("no ")]
        raise (UnknownNameError if names and len(names) == len(bad.faults) else ConfigError)(bad.faults) from None


def dump(value: object) -> Any:
    """Return plain data from which `parse` or `build_component` makes an equal value; every default written out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {name: dump(getattr(value, name)) for name in hints(type(value))}
        cls: Any = type(value)
        return {"name": cls.name, **plain} if hasattr(cls, "kind") else plain
    if isinstance(value, Mapping):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(item) for item in value]
    return value


def describe(hint: Any, key: str = "") -> str:
    """Return a field's allowed values in words: ``a number > 0 in bit/s``.

    Examples
    --------
    >>> from netsim.fields import PositiveFloat
    >>> describe(PositiveFloat, "rate_bps")
    'a number > 0 in bit/s, or a string with a unit'
    """
    if isinstance(hint, list | tuple):
        return ", or ".join(describe(h, key) for h in hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for note in args[1:]:
            if isinstance(note, Ref):
                return f"{'an' if note.kind[0] in 'aeiou' else 'a'} {note.kind}: its name, or a mapping with its name"
            if isinstance(note, Range):
                return _number(args[0], f" {note}", key)
        return describe(args[0], key)
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(describe(a, key) for a in args if a is not type(None)) + (
            ", or nothing" if type(None) in args else ""
        )
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin in (list, tuple, Sequence) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return f"a list, each {describe(args[0], key)}" if args else "a list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping, each value {describe(args[1], key)}" if args[1] is not Any else "a mapping"
    if hint is int or hint is float:
        return _number(hint, "", key)
    if dataclasses.is_dataclass(hint):
        return "a mapping with " + ", ".join(hints(typing.cast(type, hint)))
    return {bool: "true or false", str: "a text", type(None): "nothing"}.get(hint, "any value")


def schema(hint: Any, key: str = "") -> dict[str, Any]:
    """Return the JSON Schema of a field's type; components become a choice among all registered ones."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        ref = next((n for n in args[1:] if isinstance(n, Ref)), None)
        if ref:
            return {"$ref": f"#/$defs/{ref.kind}"}
        out = schema(args[0], key)
        bounds = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
        limits = {
            word: getattr(note, short)
            for note in args[1:]
            if isinstance(note, Range)
            for short, word in bounds.items()
            if getattr(note, short) is not None
        }
        for option in out.get("anyOf", [out]):
            if option.get("type") in ("number", "integer"):
                option.update(limits)
        return out
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema(a, key) for a in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple and args and args[-1] is not ...:
        items = [schema(a, key) for a in args]
        return {"type": "array", "prefixItems": items, "minItems": len(args), "maxItems": len(args)}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": schema(args[0], key) if args else {}}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema(args[1], key)}
    if hint in (int, float):
        plain = {"type": "integer" if hint is int else "number"}
        return {"anyOf": [plain, {"type": "string"}]} if unit_of(key) else plain
    if dataclasses.is_dataclass(hint):
        return dataclass_schema(typing.cast(type, hint))
    kinds = {bool: "boolean", str: "string", type(None): "null"}
    return {"type": kinds[hint]} if hint in kinds else {}


def dataclass_schema(cls: Any) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass; of a component, with its ``name``."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    told = _meanings(cls)
    properties = {
        name: {**schema(hint, name), **({"description": told[name]} if name in told else {})}
        for name, hint in hints(cls).items()
    }
    required = [n for n in properties if default_of(fields[n]) is dataclasses.MISSING]
    if hasattr(cls, "kind"):
        properties = {"name": {"const": cls.name}, **properties}
        required = ["name", *required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _meanings(cls: type) -> dict[str, str]:
    """Return what the documentation of a class and its bases says of each key, from the list of parameters."""
    out = dict[str, str]()
    for base in reversed(cls.__mro__):
        for names, text in parameters(base):
            out |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return out


def parameters(cls: Any) -> list[tuple[str, str]]:
    """Return names and text of each entry of the list of parameters in a class's own documentation."""
    section = _PARAMETERS.search(inspect.cleandoc(cls.__doc__ or "") + "\n")
    return _ENTRY.findall(section[1]) if section else []


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default, or what makes it; `dataclasses.MISSING` where it has none."""
    return field.default_factory if field.default is dataclasses.MISSING else field.default


def _number(kind: type, bounds: str, key: str) -> str:
    unit = unit_of(key)
    text = ("a whole number" if kind is int else "a number") + bounds
    return f"{text} in {unit}, or a string with a unit" if unit else text


def _component(kind: str, config: object, path: Path) -> Any:
    if isinstance(config, str):
        config = {"name": config}
    if dataclasses.is_dataclass(config) and getattr(config, "kind", None) == kind:
        return config
    if not isinstance(config, Mapping) or "name" not in config:
        got = (
            f"a mapping with {', '.join(map(str, config))}" if isinstance(config, Mapping) and config else _show(config)
        )
        raise _Bad(Fault(path or (kind,), describe(Annotated[Any, Ref(kind)]), got))
    try:
        cls = registry.get(kind, str(config["name"]))
    except UnknownNameError:
        raise _Bad(registry.unknown_name(kind, config["name"], (*path, "name") if path else ())) from None
    except ConfigError as error:
        raise _Bad(*(dataclasses.replace(f, path=path or (kind,)) for f in error.faults)) from None
    return _dataclass(cls, {k: v for k, v in config.items() if k != "name"}, path)


def _dataclass(cls: type, data: object, path: Path) -> Any:
    if not isinstance(data, Mapping):
        raise _Bad(Fault(path, describe(cls) if hints(cls) else "a mapping", _show(data)))
    values, faults = parse_fields(cls, data, path)
    if faults:
        raise _Bad(*faults)
    try:
        return cls(**values)
    except ConfigError as error:
        raise _Bad(*(dataclasses.replace(f, path=(*path, *f.path)) for f in error.faults)) from None


def _convert(hint: Any, value: object, path: Path, key: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        ref = next((n for n in args[1:] if isinstance(n, Ref)), None)
        if ref:
            return _component(ref.kind, value, path)
        bounds = [n for n in args[1:] if isinstance(n, Range)]
        try:
            out = _convert(args[0], value, path, key)
        except _Bad as bad:
            allowed = describe(hint, key)
            raise _Bad(
                *(dataclasses.replace(f, allowed=allowed) if f.path == path else f for f in bad.faults)
            ) from None
        if isinstance(out, int | float) and not isinstance(out, bool) and not all(out in b for b in bounds):
            raise _Bad(Fault(path, describe(hint, key), _show(value)))
        return out
    if origin in (typing.Union, types.UnionType):
        return _union(hint, args, value, path, key)
    if origin is Literal:
        if any(value == a and type(value) is type(a) for a in args):
            return value
        raise _Bad(Fault(path, describe(hint), _show(value), nearest_name(str(value), map(str, args))))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            raise _Bad(Fault(path, describe(hint, key), _show(value)))
        if origin is tuple and not (len(args) == 2 and args[1] is ...):
            if len(value) != len(args):
                raise _Bad(Fault(path, f"a list of {len(args)}", _show(value)))
            return tuple(_all([(a, v) for a, v in zip(args, value, strict=True)], path, key))
        return tuple(_all([(args[0], v) for v in value], path, key))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _Bad(Fault(path, describe(hint, key), _show(value)))
        return {k: _convert(args[1], v, (*path, k), str(k)) for k, v in value.items()}
    if hint in (int, float):
        return _to_number(hint, value, path, key)
    if hint is Any:
        return value
    if hint is type(None):
        if value is None:
            return None
    elif dataclasses.is_dataclass(hint):
        return value if isinstance(value, typing.cast(type, hint)) else _dataclass(typing.cast(type, hint), value, path)
    elif isinstance(value, hint):
        return value
    if hint is str:
        raise _Bad(text_fault(path, value))
    raise _Bad(Fault(path, describe(hint, key), _show(value)))


def text_fault(path: Path, value: object) -> Fault:
    """Return the fault of a value that is no text; one that YAML takes for something else needs quotes."""
    return Fault(path, f"a text{_quotes(value)}", _show(value))


def _quotes(value: object) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number"}
    kind = kinds.get(type(value))
    return f"; YAML reads this as {kind}: put it in quotes" if kind else ""


def _all(pairs: list[tuple[Any, object]], path: Path, key: str) -> list[Any]:
    out, faults = list[Any](), list[Fault]()
    for i, (hint, value) in enumerate(pairs):
        try:
            out.append(_convert(hint, value, (*path, i), key))
        except _Bad as bad:
            faults.extend(bad.faults)
    if faults:
        raise _Bad(*faults)
    return out


def _union(hint: Any, args: tuple[Any, ...], value: object, path: Path, key: str) -> Any:
    meant: list[Fault] = []
    nearest = ""
    # 1.0 is a fraction before it is a count: float goes first where the value is one.
    for option in sorted(args, key=lambda a: _base(a) is not float) if isinstance(value, float) else args:
        try:
            return _convert(option, value, path, key)
        except _Bad as bad:
            # A fault below this value, or in the only mapping option, shows that this option was meant.
            sole = isinstance(value, Mapping) and _takes_mapping(option) and sum(map(_takes_mapping, args)) == 1
            meant.extend(f for f in bad.faults if sole or len(f.path) > len(path))
            nearest = nearest or next((f.nearest for f in bad.faults if f.path == path), "")
    allowed = describe(hint, key) + (_quotes(value) if str in args else "")
    raise _Bad(*(meant or [Fault(path, allowed, _show(value), nearest)]))


def _base(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _takes_mapping(hint: Any) -> bool:
    notes = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    base = typing.get_origin(_base(hint)) or _base(hint)
    is_mapping = isinstance(base, type) and (dataclasses.is_dataclass(base) or issubclass(base, Mapping))
    return is_mapping or any(isinstance(note, Ref) for note in notes)


def _to_number(kind: type, value: object, path: Path, key: str) -> int | float:
    number: int | float | None = None
    nearest = ""
    if isinstance(value, str):
        try:
            number = to_number(value, unit_of(key))
        except QuantityError as error:
            nearest = error.nearest
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    try:
        # int() and float() refuse what is infinite, NaN or beyond a float.
        if number is not None and (kind is not int or number == int(number)) and math.isfinite(float(number)):
            return int(number) if kind is int else float(number)
    except (ValueError, OverflowError):
        pass
    raise _Bad(Fault(path, _number(kind, "", key), _show(value), nearest))


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
