"""Print the oldest version of every dependency that pyproject.toml allows, as constraints of pip."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"]:
    name, _, oldest = requirement.partition(">=")
    print(f"{name}=={oldest}")
