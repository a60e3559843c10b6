"""What a finished run and a kept optimum depend on: each input changed alone, kept folders damaged, labels in cells."""

from __future__ import annotations

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.lib import format as npy

import netsim as package
from algorithms.learning import cache
from netsim import blas, study
from netsim.cli import main
from netsim.errors import ConfigError
from netsim.scenario import Scenario, parse_text
from netsim.study import inputs, workers
from netsim.study.execute import close_problems, open_problem
from netsim.study.inputs import code_digest
from netsim.study.plan import plan
from netsim.study.store import Store
from tests.support import ROOT

BASE = """\
name: kept
seed: 3
problem: {name: PROBLEM, nodes: 2, l2: 0.1, partition: iid, dataset: {name: libsvm, path: rows.txt, num_features: 4}}
network: {link: {name: ethernet_udp, rate_bps: 1e6}}
algorithms: [gd]
stop: {rounds: 3}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    monkeypatch.setattr("netsim.study.study._report", lambda folder: None)
    rows(1.0)
    yield
    close_problems()
    code_digest.cache_clear()
    blas.kernels.cache_clear()
    cache._code.cache_clear()


def rows(value: float) -> None:
    lines = [f"{'+1' if i % 3 else '-1'} 1:{value + i / 10} 3:{(-1) ** i} 4:{i % 5}" for i in range(24)]
    Path("rows.txt").write_text("\n".join(lines) + "\n")


def scenario(**changes: str) -> Scenario:
    text = BASE.replace("PROBLEM", "logistic_regression")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse_text(text)


def hash_of(given: Scenario, plugins: tuple[str, ...] = ()) -> str:
    close_problems()
    (run,) = plan(given, plugins, lambda point: open_problem(point).content())  # type: ignore[attr-defined]
    return run.hash


def kept() -> set[str]:
    return {path.name for path in Path("cache").glob("*.f64")}


def optimum(given: Scenario) -> float:
    close_problems()
    return float(open_problem(given).optimum().value)  # type: ignore[attr-defined]


# Changes of which the data or the objective know, and those of which a run alone does.
OF_THE_DATA: dict[str, dict[str, str]] = {
    "num_features": {"num_features: 4": "num_features: 7"},
    "dim": {"num_features: 4": "num_features: 5"},
    "l2": {"l2: 0.1": "l2: 0.2"},
    "l2 by a bit": {"l2: 0.1": "l2: 0.10000000000000002"},
    "partition": {"partition: iid": "partition: {name: dirichlet, alpha: 0.5}"},
    "nodes": {"nodes: 2": "nodes: 3"},
}
OF_THE_RUN: dict[str, dict[str, str]] = {
    "algorithm": {"[gd]": "[{name: gd, step_size: 0.01}]"},
    "rate": {"1e6": "1e7"},
    "rounds": {"rounds: 3": "rounds: 4"},
}
OF_NOTHING: dict[str, dict[str, str]] = {
    "name": {"name: kept": "name: other"},
    "label": {"[gd]": "[{name: gd, label: '=1+1'}]"},
    "replications": {"seed: 3": "seed: 3\\nreplications: 1"},
    "question": {"seed: 3": "seed: 3\\nquestion: Why?"},
    "the number's form": {"l2: 0.1": "l2: 1.0e-1"},
}


@pytest.mark.parametrize("changes", OF_THE_DATA.values(), ids=OF_THE_DATA)
def test_what_the_optimum_depends_on(changes: dict[str, str]) -> None:
    """It is computed anew, as a fresh cache gives it, and the old one is still there for who wants it back."""
    first, old = optimum(scenario()), kept()
    other = optimum(scenario(**changes))
    assert kept() > old
    both = kept()
    assert (optimum(scenario()), optimum(scenario(**changes)), kept()) == (first, other, both)
    shutil.rmtree("cache")
    assert optimum(scenario(**changes)) == other
    assert hash_of(scenario(**changes)) != hash_of(scenario())


@pytest.mark.parametrize("changes", OF_THE_RUN.values(), ids=OF_THE_RUN)
def test_what_a_run_alone_depends_on(changes: dict[str, str]) -> None:
    optimum(scenario())
    old = kept()
    optimum(scenario(**changes))
    assert kept() == old
    assert hash_of(scenario(**changes)) != hash_of(scenario())


@pytest.mark.parametrize("changes", OF_NOTHING.values(), ids=OF_NOTHING)
def test_what_nothing_depends_on(changes: dict[str, str]) -> None:
    changes = {old: new.replace("\\n", "\n") for old, new in changes.items()}
    optimum(scenario())
    old = kept()
    optimum(scenario(**changes))
    assert kept() == old
    assert hash_of(scenario(**changes)) == hash_of(scenario())


def test_the_seed_deals_other_rows() -> None:
    first, old = optimum(scenario()), kept()
    assert optimum(scenario(**{"seed: 3": "seed: 4"})) == pytest.approx(first, rel=0.2)
    assert hash_of(scenario(**{"seed: 3": "seed: 4"})) != hash_of(scenario())
    assert kept() > old


def test_a_dataset_of_the_same_name() -> None:
    """Same path, same size, same time of change: another content is another optimum and another run."""
    status = os.stat("rows.txt")
    first, hash = optimum(scenario()), hash_of(scenario())
    rows(2.0)
    os.utime("rows.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert os.stat("rows.txt").st_size == status.st_size
    assert optimum(scenario()) != first
    assert hash_of(scenario()) != hash
    shutil.copy("rows.txt", "other.txt")
    again = optimum(scenario())
    old = kept()
    assert optimum(scenario(**{"rows.txt": "other.txt"})) == again
    assert kept() == old


CODE: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "netsim's version": lambda m: m.setattr(inputs, "__version__", f"{package.__version__}.post1"),
    "a library's version": lambda m: m.setattr("importlib.metadata.version", lambda name: "99.9"),
    "Python's version": lambda m: m.setattr("platform.python_version", lambda: "3.99.0"),
    "BLAS": lambda m: m.setattr(blas, "kernels", lambda: "openblas 0.0 Nehalem"),
}


@pytest.mark.parametrize("change", CODE.values(), ids=CODE)
def test_code_belongs_to_a_run(change: Callable[[pytest.MonkeyPatch], object], monkeypatch: pytest.MonkeyPatch) -> None:
    old = hash_of(scenario())
    with monkeypatch.context() as patched:
        change(patched)
        code_digest.cache_clear()
        assert hash_of(scenario()) != old
    code_digest.cache_clear()
    assert hash_of(scenario()) == old


KERNEL = """\
import sys
from netsim import blas
from netsim.study.inputs import code_digest
from algorithms.learning.cache import cache_key
sys.stdout.write(" ".join([blas.kernels().replace(" ", "_"), code_digest(), cache_key()]))
"""


@pytest.mark.slow
def test_kernels_of_another_processor() -> None:
    """Sums of OpenBLAS for Nehalem and for Haswell differ in bits: runs and optima of one are not those of the other.

    The number of threads makes no difference.
    """
    if "openblas" not in blas.kernels():
        pytest.skip("numpy uses another BLAS")
    found = []
    for more in (
        {"OPENBLAS_CORETYPE": "Nehalem"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "1"},
    ):
        done = subprocess.run(
            [sys.executable, "-c", KERNEL],
            cwd=ROOT,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout.split())
    for one, other in zip(found[0], found[1], strict=True):
        assert one != other
    assert found[0] == found[2]


PLUGIN = """\
from dataclasses import dataclass
from algorithms.agents.gd import Gd
from netsim.registry import component
from kinds_beside import FACTOR


@component("algorithm", name="kinds_gd")
@dataclass(frozen=True)
class KindsGd(Gd):
    \"\"\"Gradient descent of another name.\"\"\"
"""


@pytest.mark.slow
@pytest.mark.parametrize("file", ["kinds_plugin.py", "kinds_beside.py"])
def test_a_plugin_and_what_it_imports(file: str) -> None:
    """In processes of their own, as a changed plugin is refused in one that has loaded it."""
    Path("kinds_plugin.py").write_text(PLUGIN)
    Path("kinds_beside.py").write_text("FACTOR = 1\n")
    code = (
        "import sys; from pathlib import Path\n"
        "from netsim.registry import load_plugin; load_plugin('kinds_plugin.py')\n"
        "from netsim.scenario import parse_text; from netsim.study.plan import plan\n"
        "sys.stdout.write(plan(parse_text(Path('s.yaml').read_text()), ['kinds_plugin.py'])[0].hash)"
    )
    Path("s.yaml").write_text(BASE.replace("PROBLEM", "logistic_regression").replace("[gd]", "[kinds_gd]"))
    found = []
    for change in ("", "", "# another line\n"):
        with Path(file).open("a") as source:
            source.write(change)
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1] != found[2]


# --- damage ---------------------------------------------------------------------------------------------------------


def cut(file: Path, to: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * to)])


def flip(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * place)] ^= 1
    file.write_bytes(bytes(content))


def flipped(name: str, place: float) -> Callable[[Path], object]:
    return lambda run: flip(run / name, place)


def emptied(path: Path) -> Path:
    """The path, where nothing is any more."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return path


OTHER = list[Path]()
DAMAGES: dict[str, Callable[[Path], object]] = {
    **{f"a byte of run.json at {p}": flipped("run.json", p) for p in (0.0, 0.2, 0.5, 0.8, 0.999)},
    **{f"a byte of rounds at {p}": flipped("rounds.arrow", p) for p in (0.0, 0.5, 0.999)},
    "rounds cut": lambda run: cut(run / "rounds.arrow", 0.5),
    "rounds empty": lambda run: cut(run / "rounds.arrow", 0.0),
    "energy cut": lambda run: cut(run / "energy.arrow", 0.9),
    "run.json cut": lambda run: cut(run / "run.json", 0.5),
    "run.json empty": lambda run: cut(run / "run.json", 0.0),
    "run.json of a list": lambda run: (run / "run.json").write_text("[]"),
    "run.json of a number": lambda run: (run / "run.json").write_text("7"),
    "run.json with surrogates": lambda run: (run / "run.json").write_bytes(b"\xed\xa0\x80"),
    "run.json a folder": lambda run: emptied(run / "run.json").mkdir(),
    "rounds a folder": lambda run: emptied(run / "rounds.arrow").mkdir(),
    "rounds a link into nothing": lambda run: emptied(run / "rounds.arrow").symlink_to("x"),
    "a file": lambda run: emptied(run).write_text("no folder"),
    "another run's": lambda run: shutil.copytree(OTHER[0], emptied(run)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_done_again(damage: Callable[[Path], object]) -> None:
    given = parse_text(
        BASE.replace("PROBLEM", "logistic_regression").replace("[gd]", "[gd, {name: gd, label: B, step_size: 0.1}]")
    )
    study.run(given, "out")
    folder = {run["label"]: Path("out/runs") / run["hash"] for run in study.Results(Path("out")).runs}
    OTHER[:] = [folder["B"]]
    first = Path("out/rounds.parquet").read_bytes(), Path("out/summary.csv").read_bytes()
    damage(folder["gd"])
    results = study.run(given, "out")
    assert results.ok
    assert (Path("out/rounds.parquet").read_bytes(), Path("out/summary.csv").read_bytes()) == first


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


BEFORE: dict[str, Callable[[Path], object]] = {
    "the runs' folder": lambda out: shutil.rmtree(out / "runs"),
    "everything": shutil.rmtree,
    "the manifest": lambda out: (out / "manifest.json").unlink(),
    "a file in place of the runs": lambda out: replaced(out / "runs"),
    "a file in place of all": replaced,
}


@pytest.mark.parametrize("harm", BEFORE.values(), ids=BEFORE)
def test_what_goes_before_a_run_is_kept(harm: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence, or a whole study."""
    here = workers.run_here

    def run_here(runs: Any, store: Store, watcher: Any) -> None:
        harm(Path("out"))
        here(runs, store, watcher)

    said = ""
    with monkeypatch.context() as patched:
        patched.setattr(workers, "run_here", run_here)
        try:
            study.run(scenario(), "out")
        except ConfigError as error:
            said = str(error)
    assert not said or ("out" in said and len(said.splitlines()) == 1)
    if Path("out").is_file():
        Path("out").unlink()
    if Path("out/runs").is_file():
        Path("out/runs").unlink()
    assert study.run(scenario(), "out").ok


GONE: dict[str, Callable[[Path], object]] = {
    "the first run": lambda out: shutil.rmtree(sorted((out / "runs").iterdir())[0]),
    "a table": lambda out: (sorted((out / "runs").iterdir())[0] / "rounds.arrow").unlink(),
    "all runs": lambda out: shutil.rmtree(out / "runs"),
    "run.json": lambda out: (sorted((out / "runs").iterdir())[0] / "run.json").unlink(),
    "a byte": lambda out: flip(sorted((out / "runs").iterdir())[0] / "rounds.arrow", 0.5),
    "everything": shutil.rmtree,
}


@pytest.mark.parametrize("harm", GONE.values(), ids=GONE)
def test_what_goes_while_the_study_runs(harm: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    here = workers.run_here

    def run_here(runs: Any, store: Store, watcher: Any) -> None:
        here(runs, store, watcher)
        harm(Path("out"))

    with monkeypatch.context() as patched:
        patched.setattr(workers, "run_here", run_here)
        with pytest.raises(ConfigError) as caught:
            study.run(scenario(), "out")
    assert len(str(caught.value).splitlines()) == 1
    assert "out" in str(caught.value)
    assert study.run(scenario(), "out").ok


HARM: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: cut(file, 0.5),
    "a byte": lambda file: flip(file, 0.9),
    "empty": lambda file: cut(file, 0.0),
    "too long": lambda file: file.write_bytes(file.read_bytes() + bytes(8)),
    "a folder": lambda file: emptied(file).mkdir(),
    "gone": lambda file: file.unlink(),
    "npy": lambda file: file.write_bytes(npy.magic(1, 0)),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_optimum_is_computed_again(harm: Callable[[Path], object]) -> None:
    first = optimum(scenario())
    for file in Path("cache").glob("*.f64"):
        harm(file)
    assert optimum(scenario()) == first


# --- labels in cells --------------------------------------------------------------------------------------------------

LABELS = ["=cmd()", "+1+1", "-2+3", "@SUM(A1)", "=HYPERLINK(1)", "''=1", "-1e", "plain = 1", "|calc", "%0A=1"]


def test_no_csv_has_a_formula() -> None:
    """In every CSV file of a study, and of `netsim table`, with labels, points and nodes that begin with one."""
    algorithms = ", ".join(f"{{name: gd, label: {json.dumps(label)}}}" for label in LABELS)
    text = BASE.replace("PROBLEM", "logistic_regression").replace("[gd]", f"[{algorithms}]")
    claim = "claims: [{text: '=cmd()', label: '=cmd()', against: '+1+1', quantity: time_s, ratio: 1, threshold: 1}]\n"
    text = text.replace("stop: {rounds: 3}", "stop: {rounds: 2}\nrecord: {bounds: true}") + claim
    study.run(parse_text(text), "out")
    assert main(["table", "out", "--values", "rounds", "-o", "out/table.csv"]) == 0
    files = sorted(Path("out").rglob("*.csv"))
    assert {file.name for file in files} >= {"summary.csv", "table.csv", "findings.csv", "nodes.csv"}
    for file in files:
        for line in csv.reader(file.read_text().splitlines()):
            for cell in line:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), (file, cell)
                if cell.startswith("-"):
                    float(cell)
    assert {run["label"] for run in study.Results(Path("out")).runs} == set(LABELS)


def test_an_optimum_belongs_to_the_code_of_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem of one's own with the data of a bundled one: its file, and a module that this imports."""
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("kinds_weight.py").write_text("WEIGHT = 1\n")
    Path("kinds_own.py").write_text("import kinds_weight\n\nclass Base:\n    pass\n")
    module = importlib.import_module("kinds_own")
    own, own_child = module.Base(), type("Child", (module.Base,), {"__module__": "kinds_own"})()
    keys = [cache.cache_key("optimum", 1, owner=one) for one in (None, own, own_child)]
    assert len(set(keys)) == 3
    assert keys[1:] == [cache.cache_key("optimum", 1, owner=one) for one in (own, own_child)]
    for file in ("kinds_weight.py", "kinds_own.py"):
        Path(file).write_text(Path(file).read_text() + "# another\n")
        new = [cache.cache_key("optimum", 1, owner=one) for one in (None, own, own_child)]
        assert new[0] == keys[0]
        assert not set(new[1:]) & set(keys)
        keys = new
    nowhere = type("Notebook", (), {"__module__": "__nowhere__"})()
    assert cache.cache_key("optimum", owner=nowhere) != cache.cache_key("optimum", owner=nowhere)
