"""Finished runs, kept under their hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim import files as files_module
from netsim.errors import UnfinishedError

SEAL = "sha256"  # key of ``run.json``: the digest of everything else in it


@dataclass(frozen=True, slots=True)
class Record:
    """How a run ended.

    Parameters
    ----------
    status
        ``reached``, ``done``, ``stalled``, ``diverged`` or ``failed``.
    sentence
        The same in words.
    rounds, sim_time_s
        Where it ended.
    host_s
        Seconds that it took on this machine.
    traceback
        Of a failed run; '' otherwise.
    deaths_s
        When batteries were empty, by node.
    graph
        Between peers: ``edges``, ``spectral_gap`` and ``mixing_norm``.
    met_at_start
        Targets that were met before anything was sent.
    diverged
        ``round``, ``node`` and ``norm`` of a run that diverged; the norm is ``inf`` or ``nan`` where it is no number.
    """

    status: str
    sentence: str
    rounds: int = 0
    sim_time_s: float = 0.0
    host_s: float = 0.0
    traceback: str = ""
    deaths_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    graph: Mapping[str, float] = dataclasses.field(default_factory=dict)
    met_at_start: Sequence[str] = ()
    diverged: Mapping[str, float | str] = dataclasses.field(default_factory=dict)


class Store:
    """Finished runs, each a folder named by its hash with its tables and ``run.json``.

    Parameters
    ----------
    folder
        Holds the runs of one study and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, hash: str, record: Record, files: Mapping[str, files_module.Content]) -> None:
        """Keep a run, whole or not at all.

        Raises
        ------
        UnfinishedError
            If the file system does not take it.
        """
        digests = {name: files_module.sha256(data) for name, data in files.items()}
        facts = json.dumps(_sealed({**dataclasses.asdict(record), "files": digests, "hash": hash}), indent=1)
        with files_module.writing(self.folder.parent, UnfinishedError):
            files_module.write_folder(self.folder / hash, {**files, "run.json": facts.encode()})

    def load(self, hash: str) -> Record | None:
        """Return how a kept run ended; None where it is missing or damaged."""
        try:
            facts = json.loads((self.folder / hash / "run.json").read_text("utf-8"))
            if _sealed({name: fact for name, fact in facts.items() if name != SEAL}) != facts:
                return None
            del facts[SEAL]
            digests = facts.pop("files")
            if facts.pop("hash") != hash or any(
                files_module.sha256(self.folder / hash / name) != digest for name, digest in digests.items()
            ):
                return None
            return Record(**{**facts, "met_at_start": tuple(facts["met_at_start"])})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def check(self, hashes: Iterable[str]) -> None:
        """Refuse to go on where a run that was kept during this study is gone or was changed.

        Raises
        ------
        UnfinishedError
            With the run's folder.
        """
        for hash in hashes:
            if self.load(hash) is None:
                what = "deleted or changed while the study was running"
                raise UnfinishedError(f"{self.folder / hash}: {what}; the same command does this run again")

    def tables(self, hash: str) -> dict[str, Path]:
        """Return the arrow file of each table."""
        return {file.stem: file for file in sorted((self.folder / hash).glob("*.arrow"))}

    def captures(self, hash: str) -> list[Path]:
        """Capture files of a kept run."""
        return sorted((self.folder / hash).glob("*.pcap"))

    def hashes(self) -> list[str]:
        """Return the hashes of all kept runs."""
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith(files_module.ASIDE))

    def tidy(self) -> None:
        """Remove what a killed study left half-written."""
        for path in self.folder.glob(f"{files_module.ASIDE}*"):
            files_module.remove(path)

    def remove(self, hash: str) -> int:
        """Remove a kept run and return its bytes."""
        size = sum(file.stat().st_size for file in (self.folder / hash).rglob("*") if file.is_file())
        files_module.remove(self.folder / hash)
        return size


def _sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with the digest of what a reader will find in their place."""
    return {**facts, SEAL: hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}
