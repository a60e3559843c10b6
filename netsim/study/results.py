"""What a study left, as data frames."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import ConfigError, DataError
from netsim.results import summary as summaries
from netsim.results.digests import altered

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """A folder that `run` has written; frames are read when first asked for.

    A file that is no longer what the study wrote is a `DataError`, never a frame.
    """

    folder: Path

    @functools.cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What ``manifest.json`` says."""
        manifest: Mapping[str, Any] = json.loads((self.folder / "manifest.json").read_text("utf-8"))
        return manifest

    @property
    def runs(self) -> Sequence[Mapping[str, Any]]:
        """One mapping per run, in order: label, algorithm, replication, point, hash, status, sentence, ..."""
        runs: Sequence[Mapping[str, Any]] = self.manifest["runs"]
        return runs

    @property
    def ok(self) -> bool:
        """True where the study is complete and no run failed or stalled; a target not reached is no failure."""
        bad = ("failed", "stalled", "unfinished")
        return bool(self.manifest["complete"]) and not any(run["status"] in bad for run in self.runs)

    @functools.cached_property
    def rounds(self) -> pd.DataFrame:
        """``rounds.parquet``."""
        return self._frame("rounds")

    @functools.cached_property
    def messages(self) -> pd.DataFrame:
        """``messages.parquet``.

        Raises
        ------
        ConfigError
            If the scenario did not record messages.
        """
        return self._frame("messages")

    @functools.cached_property
    def summary(self) -> pd.DataFrame:
        """``summary.csv``; see `netsim.results.summary.rows`."""
        import pandas as pd

        return pd.DataFrame(self.summary_rows)

    @functools.cached_property
    def summary_rows(self) -> list[summaries.Row]:
        """``summary.csv`` as one mapping per row."""
        return summaries.from_csv(self._written("summary.csv").read_text("utf-8"))

    def summary_text(self) -> str:
        """Return the page's answer and main table as text for a terminal."""
        from netsim import report

        self._written("summary.csv")
        return report.in_words(self.folder)

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        if not (self.folder / f"{name}.parquet").is_file() and f"{name}.parquet" not in self.manifest.get("files", {}):
            raise ConfigError(f"{self.folder}: no {name} were recorded; set record.{name}: true in the scenario")
        with self._written(f"{name}.parquet").open("rb") as file:
            return pd.read_parquet(file)

    def _written(self, name: str) -> Path:
        faults = altered(self.folder, self.manifest, name)
        if faults:
            raise DataError(f"{self.folder}: {faults[0]} The same command writes it again")
        return self.folder / name
