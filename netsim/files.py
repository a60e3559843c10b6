"""Files that are there as a whole or not at all: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import cast

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
    part = _beside(path)
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write(path: Path, data: bytes | str) -> None:
    """Write one small file as a whole; text is UTF-8.

    Parameters
    ----------
    path
        The file. Where it is a link, the file that it leads to is replaced and the link stays. What is no regular
        file (a device, a FIFO, the standard output) is written to as it is.

    Raises
    ------
    OSError
        Whatever the file system says, with `path` as its file name.
    """
    raw = data.encode(errors="backslashreplace") if isinstance(data, str) else data  # names may have surrogates
    try:
        if (stream := _standard_stream(path)) is not None:
            stream.flush()
            stream.buffer.write(raw)
            stream.flush()
        elif path.exists() and not path.is_file():
            with path.open("wb") as sink:
                sink.write(raw)
        else:
            with aside(path.resolve()) as part:
                part.write_bytes(raw)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def check_writable(option: str, path: str | None) -> None:
    """Refuse a path that `write` cannot write to, before the work whose results go there.

    Parameters
    ----------
    option
        Words of the command line, for the sentence.
    path
        The file wanted; None: none is.

    Raises
    ------
    ConfigError
        For a folder, a folder that is not there or takes no files, and the like.
    """
    if path is None:
        return
    try:
        target = Path(path).resolve()
        if not path or target.is_dir():
            raise IsADirectoryError(0, "a file is needed, this is a folder")
        if _standard_stream(Path(path)) is not None or (target.exists() and not target.is_file()):
            return
        with suppress(FileNotFoundError):
            target.lstat()  # says that the name is too long
        check_folder(target.parent)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: a NUL
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{option} {path}: cannot be written: {why}") from error


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
    part = _beside(folder)
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


def check_folder(folder: Path) -> None:
    """Raise the file system's OSError where a folder takes no new file."""
    part = _beside(folder / "new")
    part.touch()
    part.unlink()


def is_standard(path: str | None) -> bool:
    """Return whether a path leads to where the standard output or the standard error go."""
    return path is not None and _standard_stream(Path(path)) is not None


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


def _beside(path: Path) -> Path:
    """Return a name in the same folder that is not longer than a short name."""
    return path.with_name(f"{ASIDE}{os.getpid()}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}")


def _standard_stream(path: Path) -> TextIOWrapper | None:
    """Return the standard output or error if `path` leads to the same file; one opened anew would overwrite it."""
    for stream in (sys.stdout, sys.stderr):
        # Streams of tests and notebooks have no file.
        with suppress(OSError, AttributeError, ValueError):
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()) and not _is_null(path):
                return cast(TextIOWrapper, stream)
    return None


def _is_null(path: Path) -> bool:
    return os.path.samestat(path.stat(), os.stat(os.devnull))


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
