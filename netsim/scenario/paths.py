"""Files that a scenario names: looked for beside it, then in the working folder, and written down in full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CODE = ("module", "loss")


def in_full(data: Any, folder: Path, key: str = "") -> Any:
    """Return a scenario's data with the full path of every existing file, so that it means the same from any folder.

    Files are the texts at keys ``path``, ``..._path`` and ``data_dir``, and ``FILE.py:NAME`` at ``module`` and
    ``loss``, swept or not.
    One that is neither in the scenario's `folder` nor in the working folder stays as it is: it may be in a data folder.
    """
    if isinstance(data, Mapping):
        return {name: in_full(item, folder, str(name).rpartition(".")[2]) for name, item in data.items()}
    if isinstance(data, list | tuple):
        return [in_full(item, folder, key) for item in data]
    if not isinstance(data, str) or not data or not _names_a_file(key):
        return data
    file, colon, name = data.rpartition(":") if key in _CODE else (data, "", "")
    if key in _CODE and not file.endswith(".py"):
        return data
    for place in (folder, Path()):
        path = place.absolute() / file
        if path.exists() and not Path(file).is_absolute():
            return f"{path.resolve()}{colon}{name}"
    return data


def _names_a_file(key: str) -> bool:
    return key in ("path", "data_dir", *_CODE) or key.endswith("_path")
