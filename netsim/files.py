"""Files that are there as a whole or not at all: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from netsim.errors import ConfigError

ASIDE = ".aside-"


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a name in the same folder to write to; on success it becomes `path`, on any error it is removed.

    Parameters
    ----------
    path
        The file wanted; an older one stays as it is until the new one is complete and on the disk.

    Raises
    ------
    OSError
        Whatever the file system says, such as that it is full.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "figure.txt"
    >>> with aside(path) as part:
    ...     _ = part.write_text("42")
    ...     path.exists()
    False
    >>> path.read_text()
    '42'
    """
    part = path.with_name(f"{ASIDE}{os.getpid()}-{path.name}")
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write(path: Path, data: bytes | str) -> None:
    """Write one small file as a whole; text is UTF-8, with escapes for the halves of a character that are none."""
    with aside(path) as part:
        part.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files that appears complete or not at all.

    Parameters
    ----------
    folder
        What stands there already is replaced.
    files
        File name to content.

    Raises
    ------
    OSError
        Whatever the file system says.
    """
    part = folder.with_name(f"{ASIDE}{os.getpid()}-{folder.name}")
    try:
        part.mkdir()
        for name, data in files.items():
            (part / name).write_bytes(data)
            _flush(part / name)
        _flush(part)
        remove(folder)
        os.replace(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _flush(folder.parent)


def sha256(path: Path) -> str:
    """Return the digest of a file's content, in hexadecimal."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a refusal of the file system inside the block into one sentence.

    Raises
    ------
    ConfigError
        For a disk that is full, a folder that may not be written, and the like.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        text = f"{folder}: cannot be written: {why}. What is finished stays; the same command goes on from there"
        raise ConfigError(text) from error


def _flush(path: Path) -> None:
    """Have the kernel put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def data_folder(data_dir: str | None) -> Path | None:
    """Return `data_dir`, else the folder that NETSIM_DATA names, else None."""
    name = data_dir or os.environ.get("NETSIM_DATA")
    return Path(name).expanduser() if name else None
