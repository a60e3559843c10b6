"""Which files beside a Python file it imports, found by reading and not by importing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

OURS = frozenset({"netsim", "algorithms", "channels"})


def helpers(file: str | Path) -> dict[str, Path]:
    """Return the modules in a file's own folder that it imports, directly or through one another.

    Parameters
    ----------
    file
        A Python file. Imports anywhere in it count, those inside functions too; relative ones do not.

    Returns
    -------
    Name of each top-level module to its file, which is ``__init__.py`` for a package.
    """
    start = Path(file).resolve()
    found, left = dict[str, Path](), [start]
    while left:
        for name in _imported(left.pop()):
            here = start.parent / f"{name}.py", start.parent / name / "__init__.py"
            module = next((path for path in here if path.is_file()), None)
            if module is not None and name not in found and name not in OURS:
                found[name] = module
                left += package_files(module)
    return found


def package_files(module: Path) -> list[Path]:
    """Return the source files of a module: itself, or all of its package."""
    return sorted(module.parent.rglob("*.py")) if module.name == "__init__.py" else [module]


def _imported(file: Path) -> Iterator[str]:
    """The first part of every name that a file imports; nothing where it is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
