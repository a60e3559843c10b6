"""What ``netsim data`` says and does: which datasets are here, where files belong, and their download."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

from netsim import files as files_module
from netsim import registry
from netsim.errors import ConfigError, DataError, UnknownNameError
from netsim.files import data_folder
from netsim.interfaces.problems import DataFile

TIMEOUT_S = 30
SHOWN = 12  # digits of a digest


def overview(name: str | None = None) -> str:
    """Return a line for each dataset, or for one: present, or which file is wanted where."""
    names = registry.names("dataset") if name is None else (name,)
    width = max(map(len, names), default=0)
    folder = data_folder(None)
    place = f"data folder {folder}" if folder else "no data folder: set the environment variable NETSIM_DATA to one"
    return "\n".join([place, *(f"{one:<{width}}  {_state(_open(one))}" for one in names)])


def fetch(name: str) -> str:
    """Download what a dataset wants into the data folder, unless it is here; return a sentence that says where it is.

    Raises
    ------
    ConfigError
        If there is no such dataset, or no data folder to write to.
    DataError
        If nobody offers the file, it cannot be reached, or its sha256 is another than expected.
    """
    dataset = _open(name)
    files: tuple[DataFile, ...] = dataset.wants()
    if not files:
        return f"{name}: comes with netsim, nothing to download"
    if (here := dataset.found()) is not None:
        return f"{name}: here already, {here}"
    folder, targets = data_folder(None), list[str]()
    for either in dataset.needs() if hasattr(dataset, "needs") else (files,):
        offered = next((file for file in either if file.url), None)
        if offered is None:
            wanted = " or ".join(file.path for file in either)
            raise DataError(f"{name}: netsim knows no address to download {wanted} from; {_where(either[0], folder)}")
        if folder is None:
            allowed = "a data folder is needed to download to; set the environment variable NETSIM_DATA"
            raise ConfigError(f"{name}: {allowed}")
        target = folder / offered.path
        if not target.exists():
            _download(name, offered, target)
        targets.append(str(target))
    return f"{name}: {', '.join(targets)}"


def _download(name: str, file: DataFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(file.url, timeout=TIMEOUT_S) as source, files_module.aside(target) as part:
            with part.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            if file.sha256 and (digest := files_module.sha256(part)) != file.sha256:
                allowed = f"{name}: a file of sha256 {file.sha256} is needed from {file.url}; nothing was kept"
                raise DataError(f"{allowed}. Got {digest}")
    except (URLError, ConnectionError, TimeoutError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise DataError(f"{name}: {file.url} cannot be had ({why}); put the file at {target} by hand") from None


def _open(name: str) -> Any:
    if name not in registry.names("dataset"):
        raise UnknownNameError([registry.unknown_name("dataset", name)])
    cls: Any = registry.get("dataset", name)
    return registry.build("dataset", {"name": name, **next(iter(getattr(cls, "examples", ())), {})})


def _state(dataset: Any) -> str:
    files: tuple[DataFile, ...] = dataset.wants()
    if not files:
        return "here, comes with netsim"
    if (here := dataset.found()) is not None:
        return f"here, {here}{_facts(dataset, here)}"
    if hasattr(dataset, "path") or Path(files[0].path).is_absolute():
        return f"reads your own: {files[0].note}"
    offer = "; netsim data NAME --fetch downloads it" if any(file.url for file in files) else ""
    return f"missing; {_where(files[0], data_folder(None))} ({files[0].note}){offer}"


def _facts(dataset: Any, here: Path) -> str:
    """Return the size of all files of a dataset, and the beginning of each one's sha256."""
    files: Sequence[Path] = dataset.files() if hasattr(dataset, "files") else [here]
    files = [file for file in files if file.is_file()]
    return "".join(f"; {file.stat().st_size} B sha256 {files_module.sha256(file)[:SHOWN]}" for file in files)


def _where(file: DataFile, folder: Path | None) -> str:
    return f"put {file.path} into {folder or 'the folder that NETSIM_DATA names'}"
