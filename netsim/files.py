"""Files that are there as a whole or not at all: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from netsim.errors import ConfigError

ASIDE = ".aside-"
# Of a file: its bytes, a file with the same content, or an open one without a name.
Content = bytes | Path | IO[bytes]


class Temporary(tempfile.SpooledTemporaryFile[bytes]):
    """A file without a name, in memory while it is small, that is closed when nobody holds it."""

    def __init__(self) -> None:
        super().__init__(max_size=1 << 20)

    def __del__(self) -> None:
        self.close()


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a name in the same folder to write to; on success it becomes `path`, on any error it is removed.

    An older file stays as it is until the new one is complete and on the disk.

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
    if _is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "part"
            _pour(Path(folder) / "part", path)
        return
    path = Path(os.path.realpath(path))  # a link stays one
    part = path.with_name(f"{ASIDE}{os.getpid()}-{_short(path.name)}")
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def check_out(option: str, name: str | None) -> None:
    """Check before any work that a file that an option of the command line names can be written; None: no file.

    Raises
    ------
    ConfigError
        If it is a folder, or its folder is missing or may not be written.
    """
    if name is None:
        return
    path = Path(name)
    try:
        if path.is_dir():
            raise ConfigError(f"{option}: a file is needed. Got the folder {name!r}")
        if _is_stream(path):
            return
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise ConfigError(f"{option}: a file in a folder that exists is needed. Got {name!r}")
        with suppress(FileNotFoundError):
            path.stat()  # says that a name is too long, or that links go in a circle
        check_folder(folder)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{option}: a file that can be written is needed. Got {name[:60]!r}: {why}") from None


def is_stdout(name: str | None) -> bool:
    """Return whether a file wanted is the standard output by one of its names: nothing else is then printed there."""
    return name is not None and _number_of(Path(name)) == 1


def _is_stream(path: Path) -> bool:
    """Whether a path names a device, a pipe, or what this process has open: it is written to, and never replaced."""
    if _number_of(path) is not None:
        return True
    try:
        return not (stat.S_ISREG(mode := path.stat().st_mode) or stat.S_ISDIR(mode))
    except (OSError, ValueError):
        return False


def _pour(source: Path, stream: Path) -> None:
    number = _number_of(stream)
    # What is open here has its own place in the file, which another opening would not share.
    handle = os.open(stream, os.O_WRONLY) if number is None else os.dup(number)
    with os.fdopen(handle, "wb") as sink:
        sink.write(source.read_bytes())


def _number_of(path: Path) -> int | None:
    """Return the descriptor that a name such as /dev/stdout stands for; None where it is another name."""
    known = {"/dev/stdout": 1, "/dev/stderr": 2}
    folder, _, name = str(path).rpartition("/")
    if folder in ("/dev/fd", "/proc/self/fd") and name.isascii() and name.isdigit():
        return int(name)
    return known.get(str(path))


def _short(name: str) -> str:
    # The name beside a long one must not be too long for the file system.
    return (
        name if len(name.encode("utf-8", "surrogateescape")) <= 200 else hashlib.sha256(os.fsencode(name)).hexdigest()
    )


def write(path: Path, data: bytes | str) -> None:
    """Write one small file as a whole; text is UTF-8, with escapes for the halves of a character that are none."""
    with aside(path) as part:
        part.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def write_folder(folder: Path, files: Mapping[str, Content]) -> None:
    """Write a folder of files, content by name, that appears complete or not at all and replaces what stands there.

    Raises
    ------
    OSError
        Whatever the file system says.
    """
    part = folder.with_name(f"{ASIDE}{os.getpid()}-{folder.name}")
    try:
        part.mkdir()
        for name, data in files.items():
            with _opened(data) as source, (part / name).open("wb") as file:
                shutil.copyfileobj(source, file)
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
    part = folder / f"{ASIDE}{os.getpid()}"
    part.touch()
    part.unlink()


def sha256(content: Content) -> str:
    """Return the digest of a file's content, in hexadecimal."""
    with _opened(content) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(content: Content) -> bytes:
    """Return a content as bytes."""
    with _opened(content) as file:
        whole: bytes = file.read()
    return whole


def _opened(content: Content) -> AbstractContextManager[Any]:
    """Return a content as a file at its beginning; one that is open stays so."""
    if isinstance(content, bytes):
        return io.BytesIO(content)
    if isinstance(content, Path):
        return content.open("rb")
    content.seek(0)
    return nullcontext(content)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path, raised: type[ConfigError] = ConfigError) -> Iterator[None]:
    """Turn a refusal of the file system inside the block into one sentence.

    Parameters
    ----------
    folder
        For the sentence.
    raised
        The error's type.

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
        raise raised(text) from error


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


def places(file: str, data_dir: str | None = None) -> list[Path]:
    """Return the places of a file of data, the first one first.

    They are below `data_dir` where that is given; else the working folder, then the folder that NETSIM_DATA names.
    """
    folder, own = data_folder(data_dir), Path(file).expanduser()
    return [*([] if data_dir else [own]), *([folder / own] if folder else [])]
