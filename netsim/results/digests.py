"""Whether a study's files are still those that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.files import sha256

# The page can be rebuilt from the other files; the manifest holds the digests; `runs` has its own.
_OTHERS = frozenset({"manifest.json", "report.html"})


def digests(folder: Path, names: frozenset[str]) -> dict[str, str]:
    """Return the sha256 of every file of a study by its name in the folder, sorted.

    `names` are files and folders that the study has written there; what else lies there is not the study's.
    """
    tops = [folder / name for name in names - _OTHERS if (folder / name).exists()]
    files = [file for top in tops for file in (top.rglob("*") if top.is_dir() else [top]) if file.is_file()]
    return {file.relative_to(folder).as_posix(): sha256(file) for file in sorted(files)}


def altered(folder: Path, manifest: Mapping[str, Any], name: str = "") -> list[str]:
    """Return a sentence for each file of a study, or for the one named, that is no longer what the study wrote."""
    written = manifest.get("files")
    sentences = list[str]()
    for file, digest in written.items() if isinstance(written, Mapping) else ():
        if name in ("", file):
            path = folder / file
            if not path.is_file():
                sentences.append(f"{file} is missing.")
            elif sha256(path) != digest:
                sentences.append(f"{file} is not what the study wrote: it was cut, edited or replaced.")
    return sentences
