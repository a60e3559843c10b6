"""Standard streams that never end a study: closed, full, without a reader, or with a character they cannot show."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class _Kept:
    """A stream of text in which some errors end nothing: after one, what is written goes nowhere."""

    def __init__(self, stream: Any, *ignored: type[Exception]) -> None:
        self._stream, self._ignored = stream, ignored

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        try:
            self._stream.write(text)
        except self._ignored:
            self._drop()
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        try:
            self._stream.flush()
        except self._ignored:
            self._drop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self) -> None:
        # Python flushes once more when it ends, and would complain.
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


@contextmanager
def kept() -> Iterator[None]:
    """Put streams in place that keep a command going, for the time of the block.

    A stream that is closed is the null device, so that no file of ours gets its number. What a console cannot show is
    replaced. Errors of stderr and a reader of stdout that is gone are ignored; a full disk under stdout is not.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    streams: list[Any] = [_null() if stream is None else stream for stream in before]
    for stream in streams:
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")
    changed: Any = sys
    changed.stdout, changed.stderr = _Kept(streams[0], BrokenPipeError), _Kept(streams[1], OSError, ValueError)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        changed.stdout, changed.stderr = before


def _null() -> Any:
    return open(os.devnull, "w", encoding="utf-8")
