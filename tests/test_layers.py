"""Who imports whom: the table of docs/design.md against the imports of every file."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("netsim", "algorithms", "channels")
DISTRIBUTIONS = {"scikit-learn": "sklearn", "pyyaml": "yaml", "pyzmq": "zmq"}
# Of what the table says in brackets: third-party modules that only some files of a layer may import.
ONLY_IN = {
    "pint": r"netsim\.units",
    "sklearn": r"algorithms\.datasets\..*",
    "simpy": r"netsim\.engine",
    "typer": r"netsim\.cli",
    "zmq": r"netsim\.measure",
}


@cache
def modules() -> Mapping[str, Path]:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


@cache
def imports(name: str) -> frozenset[str]:
    """Modules that one of ours imports anywhere in its file: ours in full, others by their top name.

    Of what is imported for the type checker alone only ours count.
    """
    tree = ast.parse(modules()[name].read_text())
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unseen = {id(inner) for check in checks for inner in ast.walk(check)}
    found: set[str] = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {ours(one) or one.partition(".")[0] for one in names if ours(one) or id(node) not in unseen}
    return frozenset(found)


def ours(name: str) -> str:
    """The longest module of ours that `name` begins with; '' where there is none."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name


def rows() -> list[list[str]]:
    lines = (ROOT / "docs/design.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d \|", line)]
    assert [row[0] for row in table] == list("01234")
    return table


@cache
def layers() -> Mapping[str, int]:
    """The layer of every module: from the table, or of a private one the lowest that imports it."""
    found: dict[str, int] = {}
    for number, names, _ in rows():
        for name in re.findall(r"`([\w.*]+)`", names):
            full = name if name.startswith(PACKAGES) else f"netsim.{name}"
            fits = [m for m in modules() if m == full or (full.endswith(".*") and m.startswith(full[:-1]))]
            assert fits, f"docs/design.md names {full}, which does not exist"
            found |= dict.fromkeys(fits, int(number))
    users: dict[str, set[str]] = {}
    for name in modules():
        for one in imports(name) - {name}:
            while "." in one:  # who imports a module imports its package
                users.setdefault(one, set()).add(name)
                one = one.rpartition(".")[0]
    changed = True
    while changed:
        changed = False
        for name in (name for name in users if "._" in name):
            lowest = min([found[user] for user in users[name] if user in found] or [9])
            changed |= lowest < found.get(name, 9)
            found[name] = min(lowest, found.get(name, 9))
    return {name: layer for name, layer in found.items() if layer < 9}


def allowed(layer: int) -> tuple[set[int], set[str]]:
    """Other layers and third-party modules that a layer may import."""
    text = rows()[layer][2]
    below = set(range(layer)) if "everything below" in text else {int(n) for n in re.findall(r"\b\d\b", text)}
    words = re.sub(r"\([^)]*\)|;.*", "", text)
    third = {DISTRIBUTIONS.get(w.strip(), w.strip()) for w in words.split(",")}
    if "everything below" in text:
        third |= {name for n in range(layer) for name in allowed(n)[1]}
    return below | {layer}, third


PUBLIC = [name for name in modules() if name not in PACKAGES]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_module_imports_only_what_its_layer_may(name: str) -> None:
    assert name in layers(), f"{name} is in no row of the table of docs/design.md, and nobody imports it"
    below, third = allowed(layers()[name])
    for one in sorted(imports(name)):
        top = one.partition(".")[0]
        if top in PACKAGES:
            layer = layers().get(one, 0)
            assert one in PACKAGES or layer in below, f"{name} imports {one} of layer {layer}"
            if layers()[name] == 1 and layer == 1:
                assert top == name.partition(".")[0], f"{name} imports {one}: algorithms and channels do not meet"
        elif top not in sys.stdlib_module_names:
            assert top in third, f"{name} (layer {layers()[name]}) imports {top}"
            assert re.fullmatch(ONLY_IN.get(top, ".*"), name), f"{name} imports {top}"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_itself_imports_nothing(package: str) -> None:
    assert imports(package) <= {"__future__"}


def test_there_are_no_cycles_of_imports_at_import_time() -> None:
    """Imports inside functions and under TYPE_CHECKING do not count: they happen later or never."""
    edges = {}
    for name, file in modules().items():
        top = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        full = [f"{n.module}.{a.name}" if isinstance(n, ast.ImportFrom) else a.name for n in top for a in n.names]
        edges[name] = {ours(one) for one in full} - {"", name}
    while free := [name for name, needs in edges.items() if not needs & set(edges)]:
        for name in free:
            del edges[name]
    assert not edges, f"cycle among {sorted(edges)}"


def test_the_rules_catch_a_breach() -> None:
    below, third = allowed(1)
    assert below == {0, 1}
    assert third >= {"numpy", "scipy", "numba", "sklearn"}
    assert "simpy" not in third
    assert allowed(4)[0] == {0, 1, 2, 3, 4}
    assert "simpy" in allowed(3)[1] & allowed(4)[1]
    assert layers()["netsim._yaml"] == 2
    assert layers()["netsim._catalogue"] == 4
