"""Components are found by name, built from plain data, and come from files, entry points and plugins."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netsim import registry
from netsim.errors import ConfigError, UnknownNameError
from netsim.scenario import parsing

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
        (PLUGIN, "ideal", "channel 'ideal' exists already; give the file another name"),
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
    entry = SimpleNamespace(name="owl", module="owls", load=lambda: Owl)
    found = {"netsim.channel": (entry,)}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found.get(group, ()))
    registry._entry_points.cache_clear()
    try:
        assert "owl" in registry.names("channel")
        assert registry.get("channel", "owl") is Owl
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


def test_looking_up_names_imports_no_component() -> None:
    code = "import sys; from netsim.registry import *; [names(k) for k in PACKAGES]; print(sorted(sys.modules))"
    root = str(Path(registry.__file__).parents[1])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    for heavy in ("numpy", "numba", "scipy", "algorithms.compressors", "channels.links.ideal"):
        assert f"'{heavy}'" not in out.stdout
