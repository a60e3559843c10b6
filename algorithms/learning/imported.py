"""Functions and modules of the user's, by file or by import name."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from netsim.errors import ConfigError, Fault
from netsim.files import places
from netsim.imports import local_modules, package_files


def file_of(named: str) -> Path | None:
    """Return the file of ``FILE.py:NAME``, where it is there; None for an import name."""
    file, _, _ = named.rpartition(":")
    if not file.endswith(".py"):
        return None
    return next((path for path in places(file) if path.is_file()), None)


def sources(named: str) -> list[Path]:
    """Return every file of the user's that decides what ``FILE.py:NAME`` is: itself, and modules not installed."""
    file = file_of(named)
    if file is None:
        return []
    modules = [file, *local_modules(file).values()]
    return [source for module in modules for source in package_files(module)]


def imported(named: str, key: str) -> Any:
    """Import the object that ``FILE.py:NAME`` or ``package.module:NAME`` names.

    A file is run once per process and content; modules beside it can be imported from it.

    Parameters
    ----------
    named
        As above.
    key
        Of the scenario, for the error.

    Raises
    ------
    ConfigError
        If there is no such file, module or name, or running it fails.
    """
    place, _, name = named.rpartition(":")
    allowed = "FILE.py:NAME with the file beside the scenario, or an import name package.module:NAME"
    if not place or not name.isidentifier():
        raise ConfigError([Fault((key,), allowed, repr(named))])
    try:
        if place.endswith(".py"):
            file = file_of(named)
            if file is None:
                raise ConfigError([Fault((key,), allowed, f"no file {place}")])
            module = _run(file.resolve(), hashlib.sha256(file.read_bytes()).hexdigest())
        else:
            module = importlib.import_module(place)
        return getattr(module, name)
    except ConfigError:
        raise
    except Exception as error:  # whatever the user's file does
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError([Fault((key,), f"{named} cannot be imported", text)]) from error


@functools.lru_cache(maxsize=16)
def _run(file: Path, digest: str) -> Any:
    name = f"netsim_modules.{file.stem}_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
