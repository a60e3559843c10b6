"""Folders that keep compiled code between processes, and what makes their files safe to load.

numba writes an index and machine code for a kernel and loads both without checking them: a truncated file raises
whatever `pickle` raises, and a changed byte may end the process. Here each kernel has a folder of its own. A file is
loaded only if the seal beside it, a list of names with their SHA-256, vouches for it; any other file is deleted and
compiled again. The name of the folder holds a digest of the kernel's source: code from other sources is never found.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

QUIET = "NETSIM_CACHE_QUIET"  # set in processes whose parent or sibling gives the note
PROBE_BYTES = 1 << 16  # a full disk or a spent quota accepts an empty file but not this one
LOCK_S = 120.0  # longest wait for another process that compiles the same kernel
VERSIONS_KEPT = 8  # folders of one module, each compiled from other sources
DIGEST_LENGTH = 16
SEAL, LOCK = "seal.json", "lock"


@functools.cache
def root() -> Path | None:
    """Return the folder for compiled code, or None where none can be written; then say so once on stderr.

    It is ``kernels`` in the folder that NETSIM_CACHE names, else NUMBA_CACHE_DIR, else in ``~/.cache/netsim``.
    """
    named = os.environ.get("NETSIM_CACHE") or os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named or "~/.cache/netsim")
    try:
        folder = folder.expanduser() / "kernels"
        if not named and not Path.home().is_dir():
            raise FileNotFoundError(None, "the home folder does not exist")
        _prove_writable(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        if not os.environ.get(QUIET):
            why = getattr(error, "strerror", None) or error
            print(
                f"netsim: no folder to keep compiled code in (tried {folder}: {why}); compiling in memory,"
                " set NETSIM_CACHE or NUMBA_CACHE_DIR",
                file=sys.stderr,
                flush=True,
            )
        return None
    return folder


def digest_of(module: ModuleType, extra: str) -> str:
    """Return a digest of all source that code compiled in `module` may contain, once the module's imports have run.

    `extra` is what else makes compiled code differ, such as the compiler's version.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    whole = hashlib.sha256(extra.encode())
    for name, digest in sorted(sources(module).items()):
        whole.update(name.encode() + b"\0" + digest)
    return whole.hexdigest()


def sources(module: ModuleType) -> dict[str, bytes]:
    """Return the digests of a module of kernels and of all modules from which they may hold kernels or constants.

    These are the modules of its package and of netsim that it imports at its top level, directly or through others.
    """
    tops = {module.__name__.partition(".")[0], "netsim"}
    found, left = dict[str, bytes](), [module.__name__]
    while left:
        name = left.pop()
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is None or name in found:
            continue
        found[name], imported = _source(path)
        left += [other for other in imported if other.partition(".")[0] in tops]
    return found


class KernelFolder:
    """The folder of one kernel's compiled code, made if it is not there.

    Raises
    ------
    OSError
        If it cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _prove_writable(path, 0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process, so that several processes compile a kernel once.

        Where files cannot be locked, or the other process takes too long, the kernel is compiled twice.
        """
        from filelock import FileLock

        lock = FileLock(self.path / LOCK)
        try:
            with suppress(OSError):  # a timeout is one, too
                lock.acquire(timeout=LOCK_S, poll_interval=0.01)
            yield
        finally:
            lock.release()

    def check(self) -> bool:
        """Delete every file that the seal does not vouch for, and return whether all that it names are there.

        Raises
        ------
        OSError
            If such a file cannot be deleted.
        """
        sealed = self._sealed()
        good = set[str]()
        for name, path in self._files():
            if sealed.get(name) == _digest(path):
                good.add(name)
            else:
                path.unlink(missing_ok=True)
        return bool(good) and len(good) == len(sealed)

    def seal(self) -> None:
        """Vouch for the files as they are now; where the seal cannot be written, they are compiled anew next time."""
        with suppress(OSError):
            now = {name: _digest(path) for name, path in self._files()}
            if now != self._sealed():
                aside = self.path / f"{SEAL}.{os.getpid()}"
                aside.write_text(json.dumps(now))
                os.replace(aside, self.path / SEAL)

    def clear(self) -> None:
        """Delete all compiled code.

        Raises
        ------
        OSError
            If a file cannot be deleted.
        """
        for _, path in self._files():
            path.unlink()

    def _files(self) -> list[tuple[str, Path]]:
        found = (path for path in self.path.rglob("*") if path.parent != self.path and not path.is_dir())
        return [(str(path.relative_to(self.path)), path) for path in found]

    def _sealed(self) -> dict[str, str]:
        try:
            sealed = json.loads((self.path / SEAL).read_bytes())
        except (OSError, ValueError):
            return {}
        return sealed if isinstance(sealed, dict) else {}


def kernel_folder(function: Callable[..., object], extra: str) -> KernelFolder | None:
    """Return the folder for a function's compiled code; None where it is kept in memory alone.

    The function stands at the top level of a module that is being imported or has been; `extra`: see `digest_of`.
    """
    base, module = root(), sys.modules.get(function.__module__)
    if base is None or module is None:
        return None
    try:
        return KernelFolder(_module_folder(base, module, extra) / function.__qualname__)
    except OSError:
        return None


@functools.cache
def _module_folder(base: Path, module: ModuleType, extra: str) -> Path:
    short = module.__name__.rpartition(".")[2]
    folder = base / f"{short}-{digest_of(module, extra)[:DIGEST_LENGTH]}"
    if folder.is_dir():
        os.utime(folder)
        return folder
    folder.mkdir(exist_ok=True)
    with suppress(OSError):  # another process may delete the same folders
        ages = {path: path.stat().st_mtime for path in base.glob(f"{short}-{'?' * DIGEST_LENGTH}")}
        for old in sorted(ages, key=ages.__getitem__)[:-VERSIONS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


@functools.cache
def _source(path: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a file's digest and the modules that it may import: of ``from a import b`` both ``a`` and ``a.b``."""
    text = Path(path).read_bytes()
    names = list[str]()
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import):
            names += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            names += [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return hashlib.sha256(text).digest(), tuple(names)


def _prove_writable(folder: Path, size_bytes: int = PROBE_BYTES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(size_bytes))


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
