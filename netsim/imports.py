"""Which modules a Python file imports, found by reading and not by importing."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import sysconfig
from pathlib import Path

OURS = frozenset({"netsim", "algorithms", "channels"})


def helpers(file: str | Path) -> dict[str, Path]:
    """Return the modules in a file's own folder that it imports, directly or through one another.

    Imports anywhere in it count, those inside functions too; relative ones do not.

    Returns
    -------
    Name of each top-level module to its file, which is ``__init__.py`` for a package.
    """
    folder = Path(file).resolve().parent
    return {name: module for name, module in local_modules(file).items() if module == _beside(folder, name)}


def local_modules(file: str | Path) -> dict[str, Path]:
    """Return the modules that a file imports and that nobody has installed, directly or through one another.

    They lie beside the file or elsewhere on ``sys.path``, but not in ``site-packages`` nor in Python's library. An
    ``__init__.py`` stands for all of its package; imports count as in `helpers`.

    Returns
    -------
    Name of each top-level module to its file, which is ``__init__.py`` for a package, or its folder for a package
    without one.
    """
    start = Path(file).resolve()
    found, left, seen = dict[str, Path](), package_files(start), set[str]()
    while left:
        for name in _imported(left.pop()) - seen - OURS:
            seen.add(name)
            module = _beside(start.parent, name) or _elsewhere(name)
            if module is not None and module != start:
                found[name] = module
                left += package_files(module)
    return found


def third_party(file: str | Path) -> list[str]:
    """Return the top-level names of installed packages that a file or its local modules import, sorted."""
    start = Path(file).resolve()
    local = local_modules(start)
    read = [f for module in (start, *local.values()) for f in package_files(module)]
    names = set[str]().union(*map(_imported, read))
    return sorted(names - local.keys() - OURS - sys.stdlib_module_names)


def package_files(module: Path) -> list[Path]:
    """Return the source files of a module: itself, or all of its package."""
    if module.name == "__init__.py":
        return sorted(module.parent.rglob("*.py"))
    return sorted(module.rglob("*.py")) if module.is_dir() else [module]


def source_of(module: str) -> Path | None:
    """Return the file of a loaded module, or that of the local package in which it lies; None where it has no file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    top = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    return Path(top or file).resolve()


def _beside(folder: Path, name: str) -> Path | None:
    here = folder / f"{name}.py", folder / name / "__init__.py"
    return next((path for path in here if path.is_file()), None)


def _elsewhere(name: str) -> Path | None:
    """Return the file, or the folder without ``__init__.py``, of a module on ``sys.path`` that is not installed."""
    if name in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    path = Path(places[0]).resolve() if places else None
    if path is None or not path.exists() or (path.is_file() and path.suffix != ".py"):
        return None
    installed = [Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    is_installed = {"site-packages", "dist-packages"} & set(path.parts) or any(p in path.parents for p in installed)
    return None if is_installed else path


def _imported(file: Path) -> frozenset[str]:
    """Return the first part of every name that a file imports; nothing where it is no Python."""
    try:
        status = file.stat()
    except OSError:
        return frozenset()
    return _imported_by(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _imported_by(file: Path, *version: int) -> frozenset[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return frozenset(names)
