"""The few words of JSON Schema that netsim writes, checked by the book: enough to test what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip
_KNOWN = {
    "type", "enum", "const", "anyOf", "$ref", "properties", "required", "additionalProperties", "items", "minimum",
    "maximum", "exclusiveMinimum", "exclusiveMaximum", "$schema", "$defs", "title", "prefixItems", "minItems",
    "maxItems",
}  # fmt: skip


def valid(value: Any, schema: Mapping[str, Any], defs: Mapping[str, Any] | None = None) -> bool:
    """Whether `value` is one that `schema` allows (draft 2020-12)."""
    defs = schema.get("$defs", defs or {})
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if "$ref" in schema and not valid(value, defs[schema["$ref"].removeprefix("#/$defs/")], defs):
        return False
    if "anyOf" in schema and not any(valid(value, option, defs) for option in schema["anyOf"]):
        return False
    if "const" in schema and not _equal(value, schema["const"]):
        return False
    if "enum" in schema and not any(_equal(value, option) for option in schema["enum"]):
        return False
    if "type" in schema and not _is(value, schema["type"]):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (
            value >= schema.get("minimum", value)
            and value <= schema.get("maximum", value)
            and not value <= schema.get("exclusiveMinimum", value - 1)
            and not value >= schema.get("exclusiveMaximum", value + 1)
        )
    if isinstance(value, list):
        return _items(value, schema, defs)
    return _object(value, schema, defs) if isinstance(value, dict) else True


def _is(value: Any, name: str) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name]) and not (isinstance(value, bool) and name in ("integer", "number"))


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _items(value: list[Any], schema: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    first = schema.get("prefixItems", [])
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    return all(valid(item, one, defs) for item, one in zip(value, first, strict=False)) and all(
        valid(item, schema.get("items", {}), defs) for item in value[len(first) :]
    )


def _object(value: dict[str, Any], schema: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not all(key in value for key in schema.get("required", ())):
        return False
    if more is False and set(value) - set(known):
        return False
    return all(valid(item, known.get(key, more if isinstance(more, dict) else {}), defs) for key, item in value.items())
