"""What a component or an opened problem may say of its inputs, so that no stale result is taken for a fresh one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class ReadsFiles(Protocol):
    """A component whose configuration names files: a run is done again where the content of one has changed."""

    def files(self) -> Sequence[Path]:
        """Return every file that is read, or a folder that is read whole; nothing where they are missing."""


@runtime_checkable
class HasContent(Protocol):
    """An opened problem that tells its data from others, also where no file holds them."""

    def content(self) -> str:
        """Return a digest of all data, and of nothing else: equal where, and only where, the data are."""
