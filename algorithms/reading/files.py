"""Files that datasets read: where they are wanted, whether they are there, and what to say where they are not."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from netsim.errors import DataError
from netsim.files import data_folder, places, sha256
from netsim.interfaces import Floats
from netsim.interfaces.problems import DataFile


def find(files: Sequence[DataFile], data_dir: str | None = None) -> Path | None:
    """Return the first of `files` that exists, each looked for in `netsim.files.places`."""
    return next((path for file in files for path in places(file.path, data_dir) if path.exists()), None)


def require(name: str, files: Sequence[DataFile], data_dir: str | None = None) -> Path:
    """Return the answer of `find`; raise a `DataError` that says which file to put where."""
    path = find(files, data_dir)
    if path is None:
        folder = data_folder(data_dir)
        place = f" in {folder}" if folder else " in the folder that the environment variable NETSIM_DATA names"
        where = "" if Path(files[0].path).expanduser().is_absolute() else place
        wanted = " or ".join(file.path for file in files)
        url = "".join(f", from {file.url}" for file in files if file.url)
        raise DataError(f"{name}: {wanted} is needed{where} ({files[0].note}{url}). Got no such file.")
    return path


def check_sha256(name: str, path: Path, expected: str) -> None:
    """Raise `DataError` unless the file has that digest; '' expects nothing."""
    if not expected:
        return
    digest = sha256(path)
    if digest != expected:
        raise DataError(f"{name}: {path} is needed undamaged, with the sha256 {expected}. Got {digest}.")


def sklearn_file(name: str, file: str) -> bytes:
    """Read a data file of the installed scikit-learn without importing the package (which takes a second)."""
    spec = importlib.util.find_spec("sklearn")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0], "datasets", "data", file) if folders else None
    if path is None or not path.is_file():
        got = f"no {path}" if path else "no scikit-learn here; pip install scikit-learn"
        raise DataError(f"{name}: the file datasets/data/{file} of scikit-learn is needed. Got {got}.")
    return path.read_bytes()


def has_tiny(text: bytes) -> bool:
    """Return whether a text may hold a number that is too small for a float: such a number would be read as 0."""
    return _TINY.search(text) is not None


_TINY = re.compile(rb"[eE]-0*[1-9][0-9]{2}|0{300}")


def opened(path: Path) -> BinaryIO:
    """Open a file, which is unpacked while it is read where its name ends in .xz, .gz or .bz2."""
    openers: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
    return cast(BinaryIO, openers.get(path.suffix, open)(path, "rb"))


def numbers(text: bytes, separator: str) -> Floats:
    """Return all numbers of a text; `ValueError` where it holds anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text.decode("ascii"), sep=separator)
        except DeprecationWarning as error:
            raise ValueError(str(error)) from None


def table(name: str, text: bytes, columns: int) -> Floats:
    """Return the comma-separated numbers of a scikit-learn file as an array of shape (rows, columns)."""
    try:
        return numbers(text.replace(b"\n", b",").rstrip(b","), ",").reshape(-1, columns)
    except ValueError as error:
        raise DataError(f"{name}: lines of {columns} numbers are needed in scikit-learn's file. Got {error}.") from None
