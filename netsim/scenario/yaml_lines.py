"""YAML text to plain data and back, with the line of every key.

Scalars are read by YAML 1.2's rules, where ``1e-3`` is a number and ``on``, ``yes``, ``12:30`` and dates are texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from netsim.errors import ConfigError, Fault
from netsim.scenario.parsing import Path
from netsim.units import vanishes

MAX_DEPTH = 64
MAX_VALUES = 100_000

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says: plain data, and the line of each key and list item by its path, counted from 1."""

    data: Any
    lines: Mapping[Path, int]


def read(text: str, file_name: str) -> Document:
    """Read one YAML document; errors name the file.

    Raises
    ------
    ConfigError
        For broken syntax, keys that are no text or stand twice, tags, and text that would expand without
        bound; each fault has its line as origin.

    Examples
    --------
    >>> read("a: [1e-3, yes]", "x.yaml").data
    {'a': [0.001, 'yes']}
    """
    try:
        node = _compose(text, file_name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        lines = text.splitlines()
        stop = lines[line - 1][mark.column : mark.column + 1] if mark and line <= len(lines) else ""
        said = ", ".join(filter(None, (error.context, error.problem)))
        what = "spaces must indent, a tab cannot" if stop == "\t" else said
        raise _fault(file_name, line, (), f"the text is no YAML: {what}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = ord(error.character) if isinstance(error.character, str) else error.character
        raise _fault(file_name, line, (), "a text in UTF-8 is needed", f"the character U+{code:04X}") from None
    reader = _Reader(file_name)
    data = None if node is None else reader.plain(node, ())
    if reader.faults:
        raise ConfigError(reader.faults)
    return Document(data, reader.lines)


def write(data: object) -> str:
    """Return YAML that `read` reads as equal data; short mappings and lists in one line."""
    return str(yaml.dump(data, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120))


def write_line(data: object) -> str:
    """Return YAML in one line; see `write`.

    Examples
    --------
    >>> write_line({"name": "gd", "step_size": 0.5})
    '{name: gd, step_size: 0.5}'
    """
    text = yaml.dump(
        [data], Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=True, width=1 << 30
    )
    return str(text).strip()[1:-1]


def _resolving(base: Any, resolvers: Any) -> Any:
    """Return a loader or dumper class with the scalars of YAML 1.2 added to `resolvers`."""
    made: Any = type("Core" + base.__name__, (base,), {"yaml_implicit_resolvers": resolvers})
    for name, (pattern, first) in _SCALARS.items():
        letters = [*first, ""] if name == "null" else list(first)
        made.add_implicit_resolver(_TAG + name, re.compile(f"^(?:{pattern})$"), letters)
    return made


def _style(text: str) -> str | None:
    # Only double quotes keep every kind of line break as it is.
    return '"' if "".join(text.splitlines()) != text else None


_LOADER = _resolving(getattr(yaml, "CSafeLoader", yaml.SafeLoader), {})
# The dumper quotes what any version of YAML would take for something else than a text.
_DUMPER = _resolving(yaml.SafeDumper, {k: list(v) for k, v in yaml.SafeDumper.yaml_implicit_resolvers.items()})
_DUMPER.ignore_aliases = lambda *_: True
_DUMPER.add_representer(str, lambda dumper, text: dumper.represent_scalar(_TAG + "str", text, style=_style(text)))
# Data that a program has put into a component cannot be read again from a text, but the rest of the scenario can.
_DUMPER.add_representer(None, lambda dumper, value: dumper.represent_str(f"<{type(value).__name__} in memory>"))


def _compose(text: str, file_name: str) -> Any:
    depth, allowed = 0, f"at most {MAX_DEPTH} levels of nesting"
    try:
        for event in yaml.parse(text, _LOADER):
            # Composing recurses, in some versions in C without a limit: look at the depth first.
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                mark: Any = event.start_mark
                raise _fault(file_name, mark.line + 1, (), allowed)
    except yaml.MarkedYAMLError as error:
        # Other versions have a limit of their own, and meet it where they look ahead.
        if "nesting" in (error.problem or "") and error.problem_mark:
            raise _fault(file_name, error.problem_mark.line + 1, (), allowed) from None
        raise
    return yaml.compose(text, _LOADER)


def _fault(file_name: str, line: int, path: Path, allowed: str, got: str = "") -> ConfigError:
    return ConfigError([Fault(path, allowed, got, origin=f"{file_name}:{line}")])


@dataclass
class _Reader:
    """Turns nodes into plain data and notes lines and faults."""

    file_name: str
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _values: int = 0
    _open: list[Any] = field(default_factory=list)

    def plain(self, node: Any, path: Path) -> Any:
        """Return the data of one node."""
        self._values += 1
        line = node.start_mark.line + 1
        if self._values > MAX_VALUES:
            raise _fault(self.file_name, line, (), f"at most {MAX_VALUES} values, aliases expanded")
        if any(node is above for above in self._open):
            raise _fault(self.file_name, line, path, "an alias that does not contain itself")
        if len(self._open) > MAX_DEPTH:
            raise _fault(self.file_name, line, (), f"at most {MAX_DEPTH} levels of nesting, aliases expanded")
        if node.tag not in {_TAG + kind for kind in (*_SCALARS, "str", "map", "seq")}:
            self._add(line, path, "no tags but YAML's own scalars, lists and mappings", node.tag)
            return None
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        self._open.append(node)
        try:
            return self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        finally:
            self._open.pop()

    def _list(self, node: Any, path: Path) -> list[Any]:
        out = []
        for i, item in enumerate(node.value):
            self.lines[*path, i] = item.start_mark.line + 1
            out.append(self.plain(item, (*path, i)))
        return out

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, key = key_node.start_mark.line + 1, key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                is_scalar = isinstance(key_node, yaml.ScalarNode)
                allowed = "keys are texts; put it in quotes" if is_scalar and key else "keys are texts"
                self._add(line, path, allowed, (str(key) or "nothing") if is_scalar else "a list or mapping")
                continue
            here = (*path, key)
            if key in out:
                self._add(line, here, f"each key once; this one stands in line {self.lines[here]} already", repr(key))
                continue
            self.lines[here] = line
            out[key] = self.plain(value_node, here)
        return out

    def _add(self, line: int, path: Path, allowed: str, got: str) -> None:
        self.faults.append(Fault(path, allowed, got, origin=f"{self.file_name}:{line}"))


def _scalar(node: Any) -> Any:
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind not in _SCALARS or not re.fullmatch(_SCALARS[kind][0], text):  # a forced tag does not make a number
        return text
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return text if vanishes(text, number := float(text)) else number
    except ValueError:  # more digits than Python reads
        return text
    return None if kind == "null" else text.lower() == "true" if kind == "bool" else text
