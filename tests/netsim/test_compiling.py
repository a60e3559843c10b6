"""Compiled code anywhere: folders that cannot be written, damaged files, changed sources, several processes."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from netsim import code_cache, compiling

pytestmark = pytest.mark.compiled

CONSTANTS = "FACTOR = 3\n"
PARTS = """
from netsim.compiling import inlined, kernel
from package.constants import FACTOR

@inlined
def times(value):
    return FACTOR * value

@kernel
def squared(value):
    return value * value
"""
KERNELS = """
from netsim.compiling import kernel
from package.parts import squared, times

@kernel
def total(values):
    out = 0.0
    for value in values:
        out += times(squared(value))
    return out
"""
MAIN = """
import numpy as np
from netsim import compiling
from package.kernels import total

with compiling.announced(lambda name: print("compiling", name)):
    print(total(np.arange(4.0)))
"""
FIRST = "compiling total\ncompiling squared\n42.0\n"
LATER = "42.0\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of kernels that call each other across modules; the folder that holds it."""
    return written(tmp_path)


def written(place: Path) -> Path:
    folder = place / "source"
    (folder / "package").mkdir(parents=True)
    for name, text in (("__init__", ""), ("constants", CONSTANTS), ("parts", PARTS), ("kernels", KERNELS)):
        (folder / "package" / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package after a first run; beside it a copy of its cache."""
    package = written(tmp_path_factory.mktemp("compiled"))
    run(package)
    shutil.copytree(package.parent / "cache", package.parent / "kept")
    return package


@pytest.fixture
def warm(compiled: Path) -> Path:
    """The same with the cache of the first run."""
    shutil.rmtree(compiled.parent / "cache")
    shutil.copytree(compiled.parent / "kept", compiled.parent / "cache")
    return compiled


def environment(package: Path, **changes: str | None) -> dict[str, str]:
    """The environment with a cache of its own beside the package; a None deletes a variable."""
    path = os.pathsep.join([str(package), str(Path(code_cache.__file__).parents[1])])
    values: Mapping[str, str | None] = {
        **os.environ, "PYTHONPATH": path, "NETSIM_CACHE": str(package.parent / "cache"), **changes,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def run(package: Path, **changes: str | None) -> tuple[str, str]:
    """What a fresh process prints on stdout and on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN], env=environment(package, **changes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr


def files(package: Path) -> list[Path]:
    """numba's files of the cache."""
    found = sorted((package.parent / "cache").rglob("*.nb[ic]"))
    assert found
    return found


def test_is_compiled_once_and_loaded_later(package: Path) -> None:
    assert run(package) == (FIRST, "")
    assert run(package) == (LATER, "")


def garbled(data: bytes) -> bytes:
    """The same length; every byte from the middle on is another one, which leaves the pickle's frame as it was."""
    return data[: len(data) // 2] + bytes(byte ^ 0x5A for byte in data[len(data) // 2 : -1]) + data[-1:]


DAMAGES = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "garbled": garbled,
    "foreign": lambda data: pickle.dumps("of another program"),
}


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        ("nb[ic]", "empty"),
        pytest.param("nbc", "half", marks=pytest.mark.slow),
        ("nbc", "garbled"),
        pytest.param("nbi", "foreign", marks=pytest.mark.slow),
        pytest.param("json", "half", marks=pytest.mark.slow),
    ],
)
def test_damaged_files_are_compiled_again_and_replaced(warm: Path, ending: str, damage: str) -> None:
    chosen = list((warm.parent / "cache").rglob(f"*.{ending}"))
    assert chosen
    for path in chosen:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert run(warm) == (FIRST, "")
    assert run(warm) == (LATER, "")


def test_one_damaged_byte_of_machine_code_is_found(warm: Path) -> None:
    code = max(files(warm), key=lambda path: path.stat().st_size)
    data = bytearray(code.read_bytes())
    data[len(data) // 2] ^= 1
    code.write_bytes(data)
    assert run(warm)[0].endswith(LATER)
    assert code.read_bytes() != bytes(data)


def test_files_of_a_process_that_was_killed_are_not_trusted(warm: Path) -> None:
    for seal in (warm.parent / "cache").rglob(code_cache.SEAL):
        seal.unlink()
    assert run(warm)[0] == FIRST


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("constants", "FACTOR = 3", "FACTOR = 5"),
        pytest.param("parts", "value * value", "value + value", marks=pytest.mark.slow),
    ],
    ids=["a constant of another file", "an inlined kernel of another file"],
)
def test_a_change_of_any_file_that_a_kernel_holds_makes_it_stale(package: Path, name: str, old: str, new: str) -> None:
    run(package)
    path = package / "package" / f"{name}.py"
    stat = path.stat()
    path.write_text(path.read_text().replace(old, new))
    # Neither the file's length nor its time tells.
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    shutil.rmtree(package / "package" / "__pycache__", ignore_errors=True)
    out, _ = run(package)
    assert float(out.splitlines()[-1]) == {"constants": 70.0, "parts": 36.0}[name]


def test_a_change_of_another_file_does_not(package: Path) -> None:
    run(package)
    (package / "package" / "__init__.py").write_text("# another line\n")
    (package / "package" / "other.py").write_text("VALUE = 1\n")
    assert run(package) == (LATER, "")


def test_an_unwritable_folder_means_memory_and_one_note(package: Path) -> None:
    (package.parent / "file").write_text("not a folder")
    out, notes = run(package, NETSIM_CACHE=str(package.parent / "file"))
    assert out == FIRST
    assert notes == (
        f"netsim: no folder to keep compiled code in (tried {package.parent}/file/kernels: Not a directory);"
        " compiling in memory, set NETSIM_CACHE or NUMBA_CACHE_DIR\n"
    )
    assert run(package, NETSIM_CACHE=str(package.parent / "file"), NETSIM_CACHE_QUIET="1") == (FIRST, "")


def test_no_home(package: Path) -> None:
    out, notes = run(package, NETSIM_CACHE=None, NUMBA_CACHE_DIR=None, HOME="/nonexistent")
    assert out == FIRST
    assert notes.count("\n") == 1
    assert notes.startswith("netsim: no folder to keep compiled code in (tried /nonexistent/.cache/netsim/kernels: ")
    assert not Path("/nonexistent").exists()
    assert not list(package.rglob("*.nbi"))


def test_numbas_own_variable_is_heard(package: Path) -> None:
    elsewhere = package.parent / "elsewhere"
    assert run(package, NETSIM_CACHE=None, NUMBA_CACHE_DIR=str(elsewhere)) == (FIRST, "")
    assert list(elsewhere.rglob("*.nbc"))
    assert run(package, NETSIM_CACHE=None, NUMBA_CACHE_DIR=str(elsewhere)) == (LATER, "")


@pytest.mark.parametrize("then", ["gone", "a file"])
def test_a_folder_that_fails_after_the_kernels_were_declared(package: Path, then: str) -> None:
    """As on a disk that is full: what numba cannot write does not end the run."""
    cache = str(package.parent / "cache")
    spoil = f"import shutil; shutil.rmtree({cache!r})\n"
    if then == "a file":
        spoil += f"open({cache!r}, 'w').close()\n"
    text = MAIN.replace("with compiling", f"{spoil}\nwith compiling")
    done = subprocess.run([sys.executable, "-c", text], env=environment(package), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, FIRST, "")


def test_processes_at_the_same_time_compile_once(package: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", MAIN], env=environment(package), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sorted(process.communicate()[0] for process in started) == sorted([FIRST, LATER, LATER])


def test_old_folders_of_a_module_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change of a kernel leaves a folder behind: the last used ones stay."""
    monkeypatch.setattr(code_cache, "root", lambda: tmp_path)
    module, folders = sys.modules[__name__], []
    for version in range(code_cache.VERSIONS_KEPT + 2):
        folder = code_cache.kernel_folder(garbled, f"version {version}")
        assert folder is not None
        folders.append(folder.path.parent)
        os.utime(folders[-1], ns=(time.time_ns(), 10**9 * version))
    left = [folder for folder in folders if folder.exists()]
    assert left == folders[-len(left) :]
    assert len(left) == code_cache.VERSIONS_KEPT
    assert all(folder.name.startswith(module.__name__.rpartition(".")[2]) for folder in left)


def test_plain_python_where_numba_does_not_compile(package: Path) -> None:
    assert run(package, NUMBA_DISABLE_JIT="1") == (LATER, "")
    assert not list((package.parent).rglob("*.nbi"))


def test_whole_numbers_wrap_around_in_plain_python(package: Path) -> None:
    (package / "package" / "kernels.py").write_text(
        "import numpy as np\nfrom netsim.compiling import kernel\n@kernel\ndef total(values):\n"
        "    return np.uint64(0xFFFFFFFFFFFFFFFF) * np.uint64(values.size)\n"
    )
    wrapped = f"{2**64 - 4}\n"
    assert run(package, NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="error") == (wrapped, "")
    assert run(package)[0] == f"compiling total\n{wrapped}"


def test_a_kernel_with_a_signature_is_compiled_when_it_is_declared(package: Path) -> None:
    text = "from numba import float64\n" + KERNELS.replace("@kernel", "@kernel(signature=float64(float64[::1]))")
    (package / "package" / "kernels.py").write_text(text)
    assert run(package) == ("42.0\n", "")
    spoilt = MAIN.replace("np.arange(4.0)", "np.arange(4)")
    done = subprocess.run([sys.executable, "-c", spoilt], env=environment(package), capture_output=True, text=True)
    assert "No matching definition" in done.stderr


def test_errors_of_the_kernel_itself_reach_the_caller(package: Path) -> None:
    (package / "package" / "kernels.py").write_text(KERNELS.replace("out = 0.0", 'out = "text" + 1'))
    done = subprocess.run([sys.executable, "-c", MAIN], env=environment(package), capture_output=True, text=True)
    assert "TypingError" in done.stderr


def test_seals_vouch_for_names_and_contents(tmp_path: Path) -> None:
    folder = code_cache.KernelFolder(tmp_path / "kernel")
    (folder.path / "inside").mkdir()
    one, two = folder.path / "inside" / "one", folder.path / "inside" / "two"
    one.write_bytes(b"1")
    folder.seal()
    assert folder.check()
    two.write_bytes(b"1")
    assert folder.check()
    assert (one.exists(), two.exists()) == (True, False)
    one.write_bytes(b"2")
    assert not folder.check()
    assert not one.exists()


def test_sources_reach_as_far_as_kernels_do() -> None:
    """What the contending cell's senders hold: its tables and the error curve, and nothing of other packages."""
    from channels.media.lrwpan.csma import senders_kernel

    assert code_cache.digest_of(senders_kernel, "a") != code_cache.digest_of(senders_kernel, "b")
    reached = code_cache.sources(senders_kernel)
    assert {"channels.media.lrwpan.csma.tables", "channels.media.lrwpan.reception", "netsim.compiling"} <= set(reached)
    assert all(name.startswith(("channels", "netsim")) for name in reached)
    assert np.__name__ not in reached


def test_small_work_adds_up_to_what_loading_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """2048 calls of half the work that would pay at once are 1024 times that work; tiny calls never count."""
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(compiling, "_passed", 0.0)
    monkeypatch.setattr(compiling, "IS_ON", True)
    assert compiling.pays(8192, 8192)
    assert not any(compiling.pays(63, 8192) for _ in range(10_000))
    seen = [compiling.pays(4096, 8192) for _ in range(2048)]
    assert seen == [False] * 2047 + [True]
