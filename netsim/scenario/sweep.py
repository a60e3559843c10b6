"""Paths into plain data, and readable names for the points of a sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from netsim.scenario.parsing import Path
from netsim.units import to_number, unit_of

_PART = re.compile(r"([^\[\]]+)((?:\[\d+\])*)")


def split(text: str) -> Path:
    """Return the path that ``algorithms[1].budget`` or ``algorithms.1.budget`` names; () where it names none.

    Examples
    --------
    >>> split("algorithms[1].budget")
    ('algorithms', 1, 'budget')
    """
    parts: list[str | int] = []
    for part in text.split("."):
        match = _PART.fullmatch(part.strip())
        if match is None:
            return ()
        parts.append(int(match[1]) if match[1].isdecimal() else match[1])
        parts += [int(index) for index in re.findall(r"\d+", match[2])]
    return tuple(parts)


def put(data: Any, path: Path, value: object) -> Any:
    """Return a copy of `data` with `value` at `path`; missing mappings are made, a bare name becomes one with ``name``.

    Raises
    ------
    LookupError
        With a sentence, where a list has no such item or something is no list or mapping.
    """
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        if not isinstance(data, list | tuple):
            raise LookupError(f"item {head} of a list, but there is no list")
        if head >= len(data):
            raise LookupError(f"items 0 .. {len(data) - 1} are there")
        return [*data[:head], put(data[head], rest, value), *data[head + 1 :]]
    if isinstance(data, str):
        data = {"name": data}
    if data is not None and not isinstance(data, Mapping):
        raise LookupError(f"a mapping is needed to hold {head!r}")
    old = data or {}
    return {**old, head: put(old.get(head), rest, value)}


def names(keys: Sequence[Path], values: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return for each swept key a text for each of its values, such as ``uplink=ieee802154``.

    A key is shortened to its end as long as no two are alike; a mapping is called by its ``label`` or ``name``,
    and by what distinguishes it where those are equal.

    Examples
    --------
    >>> names([("problem", "l2")], [[0.1, 0.01]])
    [['l2=0.1', 'l2=0.01']]
    """
    return [
        [f"{short}={text}" for text in _distinct(list(items))]
        for short, items in zip(short_names(keys), values, strict=True)
    ]


def columns(keys: Sequence[Path], values: Sequence[Sequence[Any]]) -> list[list[int | float | str]]:
    """Return for each swept key the cells of its column of the results, one for each value.

    Where all values of a key are numbers, or quantities in the key's unit, these are numbers (whole ones where all
    are); else they are texts, as in `names`.

    Examples
    --------
    >>> columns([("network", "uplink", "rate_bps"), ("problem", "nodes")], [["1 Mbit/s", 250e3], [2, 4]])
    [[1000000.0, 250000.0], [2, 4]]
    >>> columns([("algorithms", 0, "step_size")], [["auto", 0.5]])
    [['auto', '0.5']]
    """
    return [_readings(str(key[-1]), list(items)) for key, items in zip(keys, values, strict=True)]


def short_names(keys: Sequence[Path]) -> list[str]:
    """Return each key shortened to its end as long as no two are alike.

    Examples
    --------
    >>> short_names([("network", "uplink", "rate_bps"), ("network", "downlink", "rate_bps"), ("problem", "l2")])
    ['uplink.rate_bps', 'downlink.rate_bps', 'l2']
    """
    lengths = [1] * len(keys)
    while True:
        short = [_text(key[-length:]) for key, length in zip(keys, lengths, strict=True)]
        clash = [
            short.count(text) > 1 or isinstance(key[-n], int) for text, key, n in zip(short, keys, lengths, strict=True)
        ]
        grown = [n + (c and n < len(key)) for n, c, key in zip(lengths, clash, keys, strict=True)]
        if grown == lengths:
            return short
        lengths = grown


def _readings(key: str, items: list[Any]) -> list[int | float | str]:
    found = [_number(item, unit_of(key)) for item in items]
    there = [number for number in found if number is not None]
    if len(there) < len(items):
        return list(_distinct(items))
    are_whole = all(isinstance(number, int) and abs(number) < 1 << 63 for number in there)
    return list(there) if are_whole else [float(number) for number in there]


def _number(item: Any, unit: str | None) -> int | float | None:
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        return None
    if isinstance(item, str):
        try:
            item = to_number(item, unit)
        except ValueError:
            return None
    return item if math.isfinite(item) else None


def _text(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _distinct(items: list[Any]) -> list[str]:
    told = [_value(item) for item in items]
    named = [{"name": item} if isinstance(item, str) else item for item in items]
    groups: dict[str, list[int]] = {}
    for i, text in enumerate(told):
        groups.setdefault(text, []).append(i)
    for group in (group for group in groups.values() if len(group) > 1):
        alike = [named[i] for i in group if isinstance(named[i], Mapping)]
        for i in group:
            keys = [k for k in named[i] if any(o.get(k) != named[i][k] for o in alike)] if named[i] in alike else []
            told[i] += f" ({', '.join(f'{k}={_value(named[i][k])}' for k in keys)})" if keys else ""
    first = {text: i for i, text in reversed(list(enumerate(told)))}
    return [text if first[text] == i else f"{text} #{i + 1}" for i, text in enumerate(told)]


def _value(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(item.get("label") or item.get("name") or "; ".join(f"{k}={_value(v)}" for k, v in item.items()))
    if isinstance(item, list | tuple):
        return "[" + " ".join(map(_value, item)) + "]"
    if item is None or isinstance(item, bool):
        return "none" if item is None else str(item).lower()
    return f"{item:g}" if isinstance(item, float) and float(f"{item:g}") == item else str(item)
