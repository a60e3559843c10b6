"""Compiled kernels: numba's compiler, whose results are kept between processes wherever they can be written.

numba takes a quarter of a second to import. A module of kernels is therefore imported only where its kernels pay, and
this module imports numba when the first kernel is declared.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, overload

from netsim import code_cache
from netsim.code_cache import QUIET as QUIET

# numba's own switch: kernels run as plain Python, and callers with a numpy twin use that.
IS_ON = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

Function = Callable[..., Any]

_LOADED_PART = 128  # loading numba costs as much as this many times the smallest work that pays
_PATIENCE = 1024  # times as much work as would pay at once: numpy takes as long for it as loading numba does
_settings = threading.Lock()  # of numba, while they are changed for one declaration
_listeners: list[Callable[[str], None]] = []
_passed = 0.0  # work that was done without kernels in here, 1 for as much as would pay at once


def pays(count: int, compiled_from: int) -> bool:
    """Return whether kernels are used for so many values; their twins in numpy give the same bytes.

    From `compiled_from` values on they are used even if numba must be loaded first. Many small calls pay together: a
    process that has done enough without kernels loads numba, too.
    """
    global _passed
    if not IS_ON or count < compiled_from // _LOADED_PART:
        return False
    if count >= compiled_from or "numba" in sys.modules:
        return True
    _passed += count / compiled_from
    return _passed >= _PATIENCE


@contextmanager
def announced(listener: Callable[[str], None]) -> Iterator[None]:
    """Call `listener` with the name of each kernel that is about to be compiled in here, which takes seconds."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@overload
def kernel(function: Function, /, *, signature: Any = None, **options: Any) -> Any: ...
@overload
def kernel(*, signature: Any = None, **options: Any) -> Callable[[Function], Any]: ...
def kernel(function: Function | None = None, /, *, signature: Any = None, **options: Any) -> Any:
    """Declare a function at the top level of a module to be compiled by `numba.njit`; a decorator.

    Compiled code is kept and loaded by later processes (see `netsim.code_cache`); where it cannot be kept, each process
    compiles in memory. Under ``NUMBA_DISABLE_JIT=1`` the function stays plain Python.

    Parameters
    ----------
    signature
        Of numba; given, the function is compiled now and for nothing else, otherwise at its first call with each
        kind of arguments.
    options
        Of `numba.njit`.
    """
    if function is None:
        return functools.partial(kernel, signature=signature, **options)
    if not IS_ON:
        return _plain(function)
    folder = code_cache.kernel_folder(function, _compiler())
    dispatcher = _njit(function, options) if folder is None else _kept(function, folder, options)
    _compile_safely(dispatcher, folder, lambda: _njit(function, options))
    if signature is not None:
        dispatcher.compile(signature)
        dispatcher.disable_compile()
    return dispatcher


@overload
def inlined(function: Function, /, **options: Any) -> Any: ...
@overload
def inlined(**options: Any) -> Callable[[Function], Any]: ...
def inlined(function: Function | None = None, /, **options: Any) -> Any:
    """Declare a function that only kernels call; a decorator.

    Its code stands in theirs: a call would pass every array as nine machine words.
    """
    if function is None:
        return functools.partial(inlined, **options)
    return _njit(function, {"no_cpython_wrapper": True, "forceinline": True, **options}) if IS_ON else function


def _njit(function: Function, options: dict[str, Any]) -> Any:
    import numba

    njit: Any = numba.njit  # its types leave out some options
    return njit(**options)(function)


def _kept(function: Function, folder: code_cache.KernelFolder, options: dict[str, Any]) -> Any:
    """Declare a function whose code numba keeps in `folder`, which it reads from its settings at that moment."""
    import numba

    config: Any = numba.config
    with _settings:
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder.path)
        try:
            dispatcher = _njit(function, {"cache": True, **options})
        except RuntimeError:  # "no locator available"
            return _njit(function, options)
        finally:
            config.CACHE_DIR = before
    # If the folder was deleted meanwhile, numba may choose another one, which is not checked.
    is_there = Path(dispatcher.stats.cache_path).is_relative_to(folder.path)
    return dispatcher if is_there else _njit(function, options)


def _compile_safely(dispatcher: Any, folder: code_cache.KernelFolder | None, again: Callable[[], Any]) -> None:
    """Have files checked before numba loads them and sealed after it has written them.

    `again` declares the same kernel once more, in memory alone.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.errors import NumbaError

    compile_or_load = dispatcher.compile
    twins = list[Any]()  # kept, because numba discards the code of a dispatcher that is deleted

    def compile(signature: Any) -> Any:
        arguments = tuple(getattr(signature, "args", signature))
        if arguments in dispatcher.overloads:
            return compile_or_load(signature)
        # numba's lock first: a kernel that another thread compiles may call this one.
        with global_compiler_lock:
            if folder is None:
                _announce(dispatcher.__name__)
                return compile_or_load(signature)
            with folder.locked():
                try:
                    if not folder.check():
                        _announce(dispatcher.__name__)
                    return compile_or_load(signature)
                except NumbaError:
                    raise
                except Exception:
                    # The folder has become unreadable or full; if full, the code is in memory by now.
                    with suppress(OSError):
                        folder.clear()
                    if arguments not in dispatcher.overloads:
                        twin = again()
                        twin.compile(signature)
                        twins.append(twin)
                        dispatcher.add_overload(twin.overloads[arguments])
                    return dispatcher.overloads[arguments].entry_point
                finally:
                    folder.seal()

    dispatcher.compile = compile


def _announce(name: str) -> None:
    for listener in _listeners:
        listener(name)


def _plain(function: Function) -> Function:
    """Return a function as compiled code runs it: integers of 64 bits wrap around without a warning."""
    import numpy as np

    @functools.wraps(function)
    def plain(*args: Any) -> Any:
        with np.errstate(over="ignore"):
            return function(*args)

    return plain


@functools.cache
def _compiler() -> str:
    """Return everything that decides what is compiled, but the source and the processor, which numba's index holds."""
    import llvmlite
    import numba

    switches = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_")]
    versions = [sys.implementation.cache_tag or sys.version, numba.__version__, llvmlite.__version__]
    return " ".join(versions + sorted(text for text in switches if not text.startswith("NUMBA_CACHE_")))
