"""Components are found by name, built from plain data, and come from files, entry points and plugins."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netsim import registry
from netsim.errors import ConfigError, UnknownNameError
from netsim.scenario import parsing
from netsim.study import inputs

OURS = {kind: registry._files(kind) for kind in registry.PACKAGES}
PLUGIN = '''
"""A plugin."""
from __future__ import annotations
from dataclasses import dataclass
from netsim.fields import PositiveFloat
from netsim.registry import component

@component("channel")
@dataclass(frozen=True)
class Pigeon:
    """A bird."""
    rate_bps: PositiveFloat = 1.0
'''


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a plugin file and loads it; everything is forgotten afterwards."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    before = set(sys.modules)

    def load(text: str = PLUGIN, name: str = "carrier_bird") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        registry.load_plugin(path)
        return path

    yield load
    for name in set(sys.modules) - before:
        if name.startswith("netsim_plugins."):
            del sys.modules[name]


def everything() -> list[tuple[str, str]]:
    return [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_the_names_of_a_kind_are_its_public_files(kind: str) -> None:
    folder = Path(registry.__file__).parents[1].joinpath(*registry.PACKAGES[kind].split("."))
    files = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    assert files <= set(registry.names(kind))
    assert list(registry.names(kind)) == sorted(registry.names(kind))


@pytest.mark.parametrize(("kind", "name"), everything())
def test_every_component_is_what_a_component_must_be(kind: str, name: str) -> None:
    cls: Any = registry.get(kind, name)
    assert (cls.kind, cls.name) == (kind, name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert not (cls.__doc__ or "").startswith(f"{cls.__name__}("), "a dataclass without docstring writes its own"
    assert "label" not in parsing.hints(cls), "label belongs to the entry of an algorithm"
    assert "name" not in parsing.hints(cls)
    assert cls.examples, "examples feed the contract tests"
    for example in cls.examples:
        made = registry.build(kind, {"name": name, **example})
        plain = parsing.dump(made)
        assert plain["name"] == name
        assert registry.build(kind, plain) == made
        assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(("kind", "name"), everything())
def test_every_key_of_a_component_can_be_described(kind: str, name: str) -> None:
    for key, hint in parsing.hints(registry.get(kind, name)).items():
        assert "any value" not in parsing.describe(hint, key).split(", or "), f"{key} has no type that fields.py checks"


def test_a_name_alone_is_a_configuration() -> None:
    assert registry.build("step", {"name": "constant", "value": 2}) == registry.build(
        "step", {"name": "constant", "value": "2"}
    )
    with pytest.raises(ConfigError, match=r"^value: a value is needed, "):
        registry.build("step", "constant")


def test_an_unknown_name_or_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as name:
        registry.build("step", {"name": "constnat"})
    steps = ", ".join(registry.names("step"))
    assert str(name.value) == f"step: no step of that name; there are {steps}. Got 'constnat'. Nearest: constant."
    with pytest.raises(UnknownNameError, match="Nearest: step") as kind:
        registry.names("stp")
    assert "no such kind of component; there are problem, dataset" in str(kind.value)


@pytest.mark.parametrize(
    "config", [5, None, ["top_k"], {"k": 5}, {"name": None}, {"name": ["top_k"]}, {"name": "_bits"}, "../x"]
)
def test_what_names_no_component_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError):
        registry.build("compressor", config)


def test_a_plugin_is_known_by_the_name_of_its_file(plugins: Any) -> None:
    path = plugins()
    assert "carrier_bird" in registry.names("channel")
    bird = registry.build("channel", {"name": "carrier_bird", "rate_bps": "3 bit/s"})
    assert bird.rate_bps == 3.0
    assert pickle.loads(pickle.dumps(bird)) == bird
    registry.load_plugin(path)
    assert registry.build("channel", parsing.dump(bird)) == bird, "loaded twice it keeps its class"


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("x = 1", "empty", "no class under @component(kind) in it"),
        ("x = ", "broken", "SyntaxError: invalid syntax"),
        ("raise ValueError('no bird')", "raises", "ValueError: no bird"),
        ("import no_such_thing", "lonely", "ModuleNotFoundError: No module named 'no_such_thing'"),
        (PLUGIN.replace('"channel"', '"chanel"'), "kinds", "kind: no such kind of component; there are "),
        (
            PLUGIN,
            "ideal",
            "channel 'ideal' exists already; rename the file, or name the class: @component('channel', name=...)",
        ),
        (PLUGIN + "raise ValueError('late')", "late", "ValueError: late"),
    ],
)
def test_a_plugin_that_is_none_is_refused_and_leaves_nothing(plugins: Any, text: str, name: str, sentence: str) -> None:
    before = registry.names("channel")
    with pytest.raises(ConfigError) as caught:
        plugins(text, name)
    assert str(caught.value).startswith("--plugin /")
    assert f"{name}.py: {sentence}" in str(caught.value)
    assert registry.names("channel") == before
    assert not any(module.endswith(f"plugins.{name}") for module in sys.modules)


def test_two_plugins_cannot_have_one_name(plugins: Any, tmp_path: Path) -> None:
    path = plugins()
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "carrier_bird.py"
    twin.write_text(PLUGIN)
    with pytest.raises(ConfigError, match="another plugin file has this name") as caught:
        registry.load_plugin(twin)
    assert str(path) in str(caught.value)


TWO = """
from dataclasses import dataclass
from netsim.registry import component

@component("step"{first})
@dataclass(frozen=True)
class LongStep:
    pass

@component("step"{second})
@dataclass(frozen=True)
class HTTPStep2:
    pass

@component("partition")
@dataclass(frozen=True)
class Alone:
    pass
"""


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("", "", ("long_step", "http_step2")),
        (', name="mine"', "", ("mine", "strides")),
        ("", ', name="mine"', ("strides", "mine")),
        (', name="one"', ', name="two"', ("one", "two")),
    ],
)
def test_several_components_in_one_file(plugins: Any, first: str, second: str, names: tuple[str, str]) -> None:
    """Alone of its kind a class is named after the file; of several, each after itself, or as it says."""
    before = set(registry.names("step"))
    path = plugins(TWO.format(first=first, second=second), "strides")
    assert set(registry.names("step")) - before == set(names)
    assert [cast(Any, registry.get("step", name)).__name__ for name in names] == ["LongStep", "HTTPStep2"]
    assert [parsing.dump(registry.build("step", name)) for name in names] == [{"name": name} for name in names]
    assert cast(Any, registry.get("partition", "strides")).__name__ == "Alone"
    assert set(registry.components_of(path)) == {*(("step", name) for name in names), ("partition", "strides")}


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (', name="mine"', ', name="mine"', "LongStep and HTTPStep2 are both the step 'mine'; name one of them: @comp"),
        ("", ', name="strides"', "LongStep and HTTPStep2 are both the step 'strides'; name one of them: @component("),
        (', name="constant"', "", "step 'constant' exists already; rename the file, or name the class: @component("),
        (', name="my step"', "", "@component('step'): a name of letters, digits and _ is needed. Got 'my step'"),
    ],
)
def test_two_components_of_one_name_are_refused(plugins: Any, first: str, second: str, sentence: str) -> None:
    before = registry.names("step")
    with pytest.raises(ConfigError) as caught:
        plugins(TWO.format(first=first, second=second), "strides")
    assert f"strides.py: {sentence}" in str(caught.value)
    assert registry.names("step") == before
    assert registry.get("step", "constant").__module__ == "algorithms.steps.constant"


def test_in_our_own_folders_a_file_has_one_component_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    for first, second in (("", ""), (', name="mine"', ', name="other"')):
        monkeypatch.setattr(registry, "_unnamed", {})
        with pytest.raises(ConfigError, match=r"^algorithms.steps.strides: a file here has one step, which is named"):
            exec(TWO.format(first=first, second=second), {"__name__": "algorithms.steps.strides"})


# --- modules beside a plugin --------------------------------------------------------------------------------

USER = """
from dataclasses import dataclass
from netsim.registry import component
import {helper}

@component("step")
@dataclass(frozen=True)
class Step:
    def lazily(self):
        from {helper} import more
        return more.VALUE
    def value(self):
        return {helper}.Thing()
"""


@pytest.fixture
def beside(plugins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a plugin of `name` into a folder, with a package beside it that it imports, and loads it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def load(folder: str, name: str, helper: str = "feathers_x") -> Path:
        package = tmp_path / folder / helper
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from dataclasses import dataclass\n@dataclass\nclass Thing:\n    pass\n")
        (package / "more.py").write_text(f"VALUE = {folder!r}\n")
        path = tmp_path / folder / f"{name}.py"
        path.write_text(USER.format(helper=helper))
        registry.load_plugin(path)
        return path

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_plugin_imports_what_lies_beside_it_in_children_too(beside: Any) -> None:
    path = beside("nest", "hatchling_x")
    step: Any = registry.build("step", "hatchling_x")
    assert step.lazily() == "nest"
    code = f"""
import pickle, sys
from netsim import registry
registry.load_plugin({str(path)!r})
step, thing = pickle.loads(sys.stdin.buffer.read())
print(step.lazily(), type(thing).__module__, type(step).__module__)
"""
    wire = pickle.dumps((step, step.value()))
    root = Path(registry.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], input=wire, capture_output=True, cwd=root, check=True)
    assert done.stdout.split() == [b"nest", b"feathers_x", b"netsim_plugins.hatchling_x"]


def test_modules_of_one_name_beside_two_plugins_do_not_mix(beside: Any, tmp_path: Path) -> None:
    beside("nest", "hatchling_x")
    paths = list(sys.path)
    with pytest.raises(ConfigError) as caught:
        beside("eyrie", "eaglet_x")
    first = tmp_path / "nest" / "feathers_x" / "__init__.py"
    sentence = f"eaglet_x.py: it imports feathers_x, which is {first} and not the file beside it; rename one of the two"
    assert str(caught.value).endswith(sentence)
    assert "eaglet_x" not in registry.names("step")
    assert sys.path == paths


def test_a_module_beside_a_plugin_does_not_hide_an_installed_one(beside: Any) -> None:
    with pytest.raises(ConfigError, match=r"it imports json, which is /.*json/__init__.py and not the file beside it"):
        beside("nest", "hatchling_x", helper="json")


def test_what_lies_beside_a_plugin_decides_the_bytes_of_its_runs(beside: Any) -> None:
    path = beside("nest", "hatchling_x")
    before = inputs.sources_of((), [str(path)])
    (path.parent / "unused.py").write_text("VALUE = 1")
    assert inputs.sources_of((), [str(path)]) == before
    (path.parent / "feathers_x" / "more.py").write_text("VALUE = 2")
    with pytest.raises(ConfigError, match=r"more\.py: the file has changed since it was loaded; start Python anew"):
        inputs.sources_of((), [str(path)])


def test_the_place_of_an_error_is_in_the_plugin_that_called(beside: Any) -> None:
    """Not where it was raised: the user can look at their own file only, or at a component of ours."""
    path = beside("nest", "hatchling_x")
    step: Any = registry.build("step", "hatchling_x")
    (path.parent / "feathers_x" / "more.py").unlink()
    sys.modules.pop("feathers_x.more", None)
    importlib.invalidate_caches()
    with pytest.raises(ImportError) as caught:
        step.lazily()
    assert registry.place(caught.value) == "hatchling_x.py:10"
    assert registry.place(ValueError("never raised")) == ""


@pytest.mark.parametrize("file", ["nowhere.py", ".", "README.md"])
def test_a_plugin_is_a_python_file(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("text")
    with pytest.raises(ConfigError, match=f"^--plugin: a Python file is needed. Got '{file}'$"):
        registry.load_plugin(file)


def test_an_installed_package_offers_components_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True)
    class Owl:
        """Another bird."""

    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    entry = SimpleNamespace(name="owl", value="owls:Owl", load=lambda: Owl)
    found = {"netsim.channel": (entry,)}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found.get(group, ()))
    registry._entry_points.cache_clear()
    try:
        assert "owl" in registry.names("channel")
        assert registry.get("channel", "owl") is Owl
        assert cast(Any, Owl).name == "owl", "what parsing.dump writes"
        assert "owl" not in registry.names("cost")
    finally:
        registry._entry_points.cache_clear()


def test_a_foreign_package_of_our_name_is_called_by_name(tmp_path: Path) -> None:
    foreign = tmp_path / "channels"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from netsim import registry; registry.names('channel')"
    root = str(Path(registry.__file__).parents[1])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    sentence = f"the import name 'channels' belongs to {foreign}; install netsim-learn in a fresh environment"
    assert sentence in out.stderr.splitlines()[-1]


def test_a_component_whose_import_fails_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", {})
    monkeypatch.setitem(sys.modules, "channels.links.ideal", None)
    with pytest.raises(ConfigError, match=r"^x: the channel 'ideal' cannot be imported: "):
        parsing.build_component("channel", "ideal", ("x",))


def test_files_of_a_foreign_package_in_our_folders_are_no_components(tmp_path: Path) -> None:
    """Another package named algorithms may be installed into the same folder, with a folder of that name in it."""
    root = Path(registry.__file__).parents[1]
    for package in ("netsim", "algorithms", "channels"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "algorithms" / "__init__.py").write_text("FOREIGN = True")
    (tmp_path / "algorithms" / "compressors" / "foo.py").write_text("raise ImportError('not yours')")
    code = "import algorithms, sys; from netsim.registry import *; print(algorithms.FOREIGN, *names('compressor'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["True", *(n for n in registry.names("compressor") if n in OURS["compressor"])]


def test_looking_up_names_imports_no_component() -> None:
    code = "import sys; from netsim.registry import *; [names(k) for k in PACKAGES]; print(sorted(sys.modules))"
    root = str(Path(registry.__file__).parents[1])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    for heavy in ("numpy", "numba", "scipy", "algorithms.compressors", "channels.links.ideal"):
        assert f"'{heavy}'" not in out.stdout
