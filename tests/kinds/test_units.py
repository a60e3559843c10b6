"""Numbers and units wherever a user writes them: in scenarios, on the command line, in the environment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netsim.scenario import parse_text, yaml_lines
from netsim.units import QuantityError, to_number
from tests.kinds.conftest import BASE, Command

FOREIGN = [
    "1 mb", "1 Mbit/S", "1 Mbit / s", "1 Mbit/s/s", "1 s\u00b2", "1 e3 s", "1 \u33b2", "1 Ms", "1 mS", "1 M", "1 k",
    "1 dBW", "1 dBm/Hz", "1 Mv", "1 J/s", "1 W s", "1 kWH", "1 b", "1 o", "1 Kb", "1 mib", "1 FLOPS", "1 ft", "1 %",
    "1 ppm", "\u00bd s", "1/2 s", "1 s\u200b", "\ufeff1 s", "+-1 s", "1 \u00d7 10^3 s", "1e3.5 s", "0x1p3 s",
    "1 msec", "1 yr", "\u0661 s", "1 \uff53", "1e-400 s", "\u22121 s", "1d s", "1 s s", "1'000 s", "1 000 s",
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_no_list_of_units_takes_it(text: str) -> None:
    for unit in ("s", "ns", "bit/s", "bit", "byte", "flop", "flop/s", "Hz", "m", "J", "W", "dBm", "A", "V", "A*s"):
        with pytest.raises(QuantityError):
            to_number(text, unit)


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("1\u00a0Mbit/s", "bit/s", 1e6),  # a space that does not break
        ("1\u202fs", "s", 1.0),
        ("1 KiB/s", "bit/s", 8192.0),
        ("1e+3 ms", "s", 1.0),
        ("-90 dBm", "dBm", -90.0),
        ("1 mWh", "J", 3.6),
        ("250 uW", "W", 2.5e-4),
        ("1.5 GHz", "Hz", 1.5e9),
        ("0 s", "s", 0.0),
        ("100 kbit", "byte", 12500.0),
    ],
)
def test_a_right_number(text: str, unit: str, number: float) -> None:
    assert to_number(text, unit) == number


WHOLE = [
    "0o17", "0b11", "0x3", "1_0", "1:30", "2024-01-01", ".inf", "-.inf", ".nan", "~", "on", "no", "Yes", "true",
    "\u00b3", "1\u00b3", "\u2162", "3\u200b", "[3]", "{a: 3}", "1e-400", "1e400", "--3", "3#c", "\u22123", "''",
    "Infinity", "!!int 1_0", "!!int \u0663", "!!float 1_0", "2.5", "-1", "'3 s'", "3 nodes",
]  # fmt: skip


@pytest.mark.parametrize("value", WHOLE)
def test_no_whole_number(value: str, refused: Callable[..., str]) -> None:
    said = refused("validate", "kind.yaml", **{"nodes: 3": f"nodes: {value}"})
    assert said.startswith("kind.yaml:2: problem.nodes: a whole number >= 1. Got")


@pytest.mark.parametrize(("value", "number"), [("3.", 3), ("+3", 3), ("0.3e1", 3), ("'3'", 3), ("012", 12), ("3E0", 3)])
def test_a_whole_number_of_yaml_1_2(value: str, number: int) -> None:
    assert parse_text(BASE.replace("nodes: 3", f"nodes: {value}")).problem.nodes == number


@pytest.mark.parametrize("text", ["!!bool yes", "!!bool on", "!!null x", "!!int 0x10", "!!float .inf", "!!float nan"])
def test_a_forced_tag_makes_a_text(text: str) -> None:
    assert yaml_lines.read(f"a: {text}", "x.yaml").data == {"a": text.split()[1]}


@pytest.mark.parametrize("value", ["true", "false", "yes", "1e-101", "1e101", "'1 byte'", "1:30", "1e-320"])
def test_no_plain_number(value: str, refused: Callable[..., str]) -> None:
    said = refused("validate", "kind.yaml", **{"[gd]": f"[{{name: gd, step_size: {value}}}]"})
    assert "algorithms[0].step_size" in said


OPTIONS = [
    ("run", ("-j", "1_0")), ("run", ("-j", "\u0663")), ("run", ("-j", "1e0")), ("run", ("-j", "0x1")),
    ("run", ("-j", " 1")), ("run", ("-j", "1.0")), ("run", ("-j", "-1")), ("run", ("-j", "")),
    ("run", ("--memory", "1_0 MB")), ("run", ("--memory", "\u0661 MB")), ("run", ("--memory", "8 Gb")),
    ("run", ("--memory", "0")), ("run", ("--memory", "-5 MB")), ("run", ("--memory", "nan")),
    ("run", ("--memory", "1e400 GB")), ("run", ("--memory", "")), ("run", ("--memory", "1 s")),
    ("run", ("-s", "seed=1_0")), ("run", ("-s", "seed=\u0663")), ("run", ("-s", "replications=true")),
    ("probe", ("--seed", "1_0")), ("probe", ("--seed", "-1")), ("probe", ("--replications", "1e1")),
    ("probe", ("--replications", "0")), ("probe", ("--nodes", "1_0")), ("probe", ("--nodes", "\u0663")),
    ("probe", ("--message-bytes", "1_0")), ("probe", ("--message-bytes", "10:20:0")), ("probe", ("--messages", "1_0")),
    ("probe", ("--rate", "1_0")), ("probe", ("--rate", "nan")), ("probe", ("--duration", "10 S", "--rate", "1")),
    ("fit-cost", ("--header-bit", "1_0")), ("fit-cost", ("--header-bit", "inf")), ("fit-cost", ("--entry-bit", "-1")),
    ("fit-cost", ("--entry-bit", "nan")), ("fit-cost", ("--entry-bit", "1_0")), ("fit-cost", ("--header-bit", "8 s")),
    ("measure", ("--port", "1_0")), ("measure", ("--messages", "1_0")), ("measure", ("--warm-up", "-1")),
    ("measure", ("--timeout", "1_0 s")), ("measure", ("--limit", "1 kg")), ("measure", ("--message-bytes", "1_0")),
]  # fmt: skip


@pytest.mark.parametrize(("command", "words"), OPTIONS)
def test_no_number_of_an_option(command: str, words: tuple[str, ...], refused: Callable[..., str]) -> None:
    first = {"run": "kind.yaml", "probe": "{name: ideal}", "fit-cost": "x.csv", "measure": "127.0.0.1"}[command]
    said = refused(command, first, *(("--dry-run",) if command == "run" else ()), *words)
    assert words[0].lstrip("-") in said


@pytest.mark.parametrize("size", ["much", "1_0", "8 Gb", "1e400"])
def test_no_size_in_the_environment(size: str, netsim: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    netsim("--version")
    monkeypatch.setenv("NETSIM_MEMORY", size)
    code, _, said = netsim("validate", "kind.yaml")
    assert code == 2
    assert "NETSIM_MEMORY" in said


@pytest.mark.parametrize("unit", ["s", None])
def test_a_long_text_is_no_number_at_once(unit: str | None) -> None:
    """Backtracking over the digits would take an hour."""
    for text in ("1" * 1_000_000 + "x", "1" * 1_000_000 + ".x", "9" * 1_000_000 + "e"):
        with pytest.raises(QuantityError):
            to_number(text, unit)
