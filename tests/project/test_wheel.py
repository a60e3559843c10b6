"""The wheel beside other packages whose names are algorithms and channels, whichever is installed first."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netsim import registry
from tests.support import PLUGINS, ROOT

FOREIGN = {
    "channels/__init__.py": "FOREIGN = 'channels'\n",
    "channels/layers.py": "from channels import FOREIGN\n",
    "algorithms/__init__.py": "FOREIGN = 'algorithms'\n",
    "algorithms/compressors/foo.py": "from algorithms import FOREIGN\n",
    "algorithms/agents/bar.py": "raise ImportError('no component of netsim')\n",
}
CODE = """
import sys
from netsim import registry
from netsim.cli import main
import algorithms.compressors.foo, channels.layers, netsim.results, netsim.testing
assert registry.__file__.startswith(sys.argv[1]), registry.__file__
assert (algorithms.compressors.foo.FOREIGN, channels.layers.FOREIGN) == ("algorithms", "channels")
print({kind: [registry.get(kind, name).name for name in registry.names(kind)] for kind in registry.PACKAGES})
sys.exit(main(["check", sys.argv[2]]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the wheel cannot be built here: {done.stderr.splitlines()[-1:]}")
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [True, False])
def test_ours_and_foreign_packages_share_their_folders(wheel: Path, is_first: bool, tmp_path: Path) -> None:
    """Unpacking into one folder is what pip does."""
    with zipfile.ZipFile(wheel) as ours:
        assert not set(ours.namelist()) & set(FOREIGN)
        if is_first:
            ours.extractall(tmp_path)
        for name, text in FOREIGN.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        if not is_first:
            ours.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CODE}"
    command = [sys.executable, "-c", code, str(tmp_path), str(PLUGINS / "power_of_two.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    names = {kind: sorted(registry._files(kind)) for kind in registry.PACKAGES}
    assert done.stdout.splitlines()[0] == str(names)
    assert done.stdout.splitlines()[-1] == "  12 of 12 hold, with 1 example"
