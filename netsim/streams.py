"""The standard streams, which may be closed, full, or have lost their reader, and end no work when they are."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, TextIO


class Lenient:
    """A text stream that drops what cannot be written and keeps the first reason.

    Parameters
    ----------
    stream
        Where to write; None, which Python has for a closed stream, drops everything.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115
        self.fault: Exception | None = None

    def write(self, text: str) -> int:
        """Write a text, with escapes in place of characters that the stream does not have."""
        try:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError as error:
                return self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except (OSError, ValueError) as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what is buffered."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.fault = self.fault or error
        # What is buffered would fail again when the process ends, and change its exit code.
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_closed_ones() -> None:
    """Put the null device where a standard stream is closed; else the next file takes its number and its text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
