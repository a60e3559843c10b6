"""Whether a folder of results belongs to another scenario of the same name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import ConfigError

if TYPE_CHECKING:
    from netsim.scenario import Scenario

_BEFORE = " as it was before"
# Keys that may change without making it another scenario.
_SAME = frozenset({"question", "source", "finding", "claims", "sweep", "replications", "record"})

MAX_FILE_NAME = 60


def file_of(scenario: Scenario) -> str:
    """Return the file that a scenario was read from, absolute; '' where there is none."""
    file = Path(scenario.file) if scenario.file else None
    return str(file.resolve()) if file is not None and file.is_file() else ""


def other(folder: Path, scenario: Scenario) -> str:
    """Return what the study in a folder was, in words, where it was of another scenario than this one; else ''.

    Scenarios are the same where problem, network, algorithms and whatever else decides a run are, whatever is swept.
    """
    import yaml

    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        old = yaml.safe_load((folder / "scenario.yaml").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ""
    if not isinstance(manifest, dict) or not isinstance(old, dict):
        return ""
    new = yaml.safe_load(scenario.to_yaml())
    if _essence(old) == _essence(new):
        return ""
    file = str(manifest.get("scenario_file") or "")
    if file and file == file_of(scenario):
        return f"it holds the results of {file}{_BEFORE}"
    return f"it holds the results of another scenario, {old.get('name')}" + (f" from {file}" if file else "")


def check_name(folder: Path, scenario: Scenario) -> None:
    """Check that a folder that nobody chose, as it is named after the scenario, has not been given to another one.

    Raises
    ------
    ConfigError
        If it holds the results of another scenario from another file.
    """
    found = other(folder, scenario)
    if found and not found.endswith(_BEFORE):
        text = f"{folder}: {found}; give a folder with -o DIR, or rename one of the two scenarios"
        raise ConfigError(text)


def _essence(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in _SAME}


def file_name(words: str, hash: str) -> str:
    """Return a name for a file that says what it is about: at most 60 letters of ASCII.

    Parameters
    ----------
    words
        What it is about, such as a label; long ones are cut.
    hash
        Of what it holds; its beginning stands for what was cut.

    Examples
    --------
    >>> file_name("CAT S+Q (joules)-rep0", "0123456789abcdef"), file_name("x" * 300, "0123456789abcdef")[-16:]
    ('CAT-S+Q-joules-rep0', 'xxx-0123456789ab')
    """
    name = re.sub(r"[^A-Za-z0-9.=+]+", "-", words)
    is_cut = len(name) > MAX_FILE_NAME or not name.strip("-")
    return f"{name[: MAX_FILE_NAME - 13]}-{hash[:12]}" if is_cut else name
