"""Plain data to dataclasses and back, and the words for what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netsim.errors import ConfigError, Fault, NetsimError, UnknownNameError, nearest_name
from netsim.fields import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, Ref
from netsim.scenario.parsing import dataclass_schema, describe, dump, hints, parse, parse_fields, schema


@dataclass(frozen=True)
class Inner:
    low_s: NonNegativeFloat = 0.0
    high_s: NonNegativeFloat = 1.0

    def __post_init__(self) -> None:
        if self.low_s > self.high_s:
            raise ConfigError([Fault(("high_s",), "a time after low_s", f"{self.high_s:g}")])
        if self.high_s == 13:
            raise ConfigError("no unlucky numbers")


@dataclass(frozen=True)
class Outer:
    rate_bps: PositiveFloat
    count: PositiveInt = 1
    share: Fraction = 0.5
    flag: bool = False
    word: str = ""
    mode: Literal["fast", "exact", 3] = "fast"
    batch: Literal["full"] | PositiveInt | Fraction = "full"
    times_s: tuple[NonNegativeFloat, ...] = ()
    pair: tuple[NonNegativeInt, NonNegativeInt] = (0, 1)
    inner: Inner = field(default_factory=Inner)
    either: NonNegativeFloat | Inner | None = None
    table: Mapping[str, float] = field(default_factory=dict)
    anything: Any = None
    step: Annotated[Any, Ref("step")] | None = None


def fault(**data: object) -> str:
    """The one fault of `Outer` with these keys."""
    with pytest.raises(ConfigError) as caught:
        parse(Outer, {"rate_bps": 1, **data}, ("top",))
    (only,) = caught.value.faults
    return str(only)


@pytest.mark.parametrize(
    ("key", "value", "made"),
    [
        ("rate_bps", "10 Mbit/s", 1e7),
        ("rate_bps", "1e3", 1000.0),
        ("rate_bps", 3, 3.0),
        ("count", 4.0, 4),
        ("count", "5", 5),
        ("mode", 3, 3),
        ("batch", "full", "full"),
        ("batch", 1, 1),
        ("batch", 1.0, 1.0),  # all samples, not one of them
        ("batch", 0.25, 0.25),
        ("times_s", ["1 ms", 2], (0.001, 2.0)),
        ("pair", [3, 4], (3, 4)),
        ("inner", {"low_s": 0.5}, Inner(0.5)),
        ("inner", Inner(0.25), Inner(0.25)),
        ("either", 2, 2.0),
        ("either", {"high_s": "2 s"}, Inner(0.0, 2.0)),
        ("either", None, None),
        ("table", {"loss": 1}, {"loss": 1.0}),
        ("table", {"wait_s": "1 ms"}, {"wait_s": 0.001}),
        ("anything", [{"a": 1}], [{"a": 1}]),
        ("step", None, None),
    ],
)
def test_values_become_what_the_hint_says(key: str, value: object, made: object) -> None:
    got = getattr(parse(Outer, {"rate_bps": 1, key: value}), key)
    assert got == made
    assert type(got) is type(made)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("rate_bps", 0, "a number > 0 in bit/s, or a string with a unit. Got 0."),
        ("rate_bps", -5.0, "a number > 0 in bit/s, or a string with a unit. Got -5.0."),
        ("rate_bps", "fast", "a number > 0 in bit/s, or a string with a unit. Got 'fast'."),
        ("rate_bps", "3 m", "a number > 0 in bit/s, or a string with a unit. Got '3 m'. Nearest: bit/s."),
        ("rate_bps", True, "a number > 0 in bit/s, or a string with a unit. Got True."),
        ("rate_bps", "nan", "a number > 0 in bit/s, or a string with a unit. Got 'nan'."),
        ("rate_bps", float("inf"), "a number > 0 in bit/s, or a string with a unit. Got inf."),
        ("rate_bps", 10**400, f"a number > 0 in bit/s, or a string with a unit. Got 1{'0' * 56}...."),
        ("rate_bps", None, "a number > 0 in bit/s, or a string with a unit. Got nothing."),
        ("count", 1.5, "a whole number >= 1. Got 1.5."),
        ("count", 0, "a whole number >= 1. Got 0."),
        ("share", 1.5, "a number > 0 and <= 1. Got 1.5."),
        ("flag", "yes", "true or false. Got 'yes'."),
        ("flag", 1, "true or false. Got 1."),
        ("word", 5, "a text; YAML reads this as a number: put it in quotes. Got 5."),
        ("mode", "exat", "one of fast, exact, 3. Got 'exat'. Nearest: exact."),
        ("mode", True, "one of fast, exact, 3. Got True."),
        ("batch", "half", "one of full, or a whole number >= 1, or a number > 0 and <= 1. Got 'half'."),
        ("times_s", 5, "a list, each a number >= 0 in s, or a string with a unit. Got 5."),
        ("times_s", "12", "a list, each a number >= 0 in s, or a string with a unit. Got '12'."),
        ("pair", [1], "a list of 2. Got [1]."),
        ("inner", 5, "a mapping with low_s, high_s. Got 5."),
        ("table", [1], "a mapping, each value a number. Got [1]."),
        ("either", "soon", "a number >= 0, or a mapping with low_s, high_s, or nothing. Got 'soon'."),
    ],
)
def test_the_sentence_says_what_is_allowed_and_what_was_got(key: str, value: object, sentence: str) -> None:
    assert fault(**{key: value}) == f"top.{key}: {sentence}"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"times_s": [1, "x"]}, "top.times_s[1]: a number >= 0 in s, or a string with a unit. Got 'x'."),
        ({"pair": [1, -1]}, "top.pair[1]: a whole number >= 0. Got -1."),
        ({"inner": {"lo_s": 1}}, "top.inner.lo_s: no such key; there are low_s, high_s. Got 'lo_s'. Nearest: low_s."),
        ({"inner": {"low_s": 2}}, "top.inner.high_s: a time after low_s. Got 1."),
        ({"either": {"low_s": 2}}, "top.either.high_s: a time after low_s. Got 1."),
        ({"either": {"high_s": 13}}, "top.either: no unlucky numbers."),
        ({"either": {"low_s": "x"}}, "top.either.low_s: a number >= 0 in s, or a string with a unit. Got 'x'."),
        ({"table": {"loss": "low"}}, "top.table.loss: a number. Got 'low'."),
        ({"step": {"value": 1}}, "top.step: a step: its name, or a mapping with its name. Got a mapping with value."),
        ({"step": {"name": "constant", "valu": 1, "value": 1}},
         "top.step.valu: no key of constant; there are value. Got 'valu'. Nearest: value."),
        ({"cuont": 1},
         f"top.cuont: no such key; there are {', '.join(hints(Outer))}. Got 'cuont'. Nearest: count."),
    ],
)  # fmt: skip
def test_a_fault_says_where(data: dict[str, object], sentence: str) -> None:
    assert fault(**data) == sentence


def test_every_fault_is_told_at_once_in_the_order_of_unknown_keys_then_fields() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Outer, {"cuont": 1, "flag": "x", "count": 0, "inner": {"low_s": -1, "high_s": "x"}})
    assert [f.where() for f in caught.value.faults] == [
        "cuont",
        "rate_bps",
        "count",
        "flag",
        "inner.low_s",
        "inner.high_s",
    ]
    assert str(caught.value).count("\n") == 5


def test_parse_fields_gives_what_is_right_beside_what_is_wrong() -> None:
    values, faults = parse_fields(Outer, {"count": 3, "flag": 1})
    assert values == {"count": 3}
    assert [f.where() for f in faults] == ["rate_bps", "flag"]


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^scenario: a mapping with low_s, high_s\. Got \[1\]\.$"):
        parse(Inner, [1])


numbers = st.floats(1e-3, 1e9, allow_nan=False)
inners = st.tuples(numbers, numbers).map(lambda p: Inner(min(p), max(p))).filter(lambda i: i.high_s != 13)
outers = st.builds(
    Outer,
    rate_bps=numbers,
    count=st.integers(1, 2**50),
    share=st.floats(1e-9, 1.0),
    flag=st.booleans(),
    word=st.text(max_size=5),
    mode=st.sampled_from(["fast", "exact", 3]),
    batch=st.one_of(st.just("full"), st.integers(1, 99), st.floats(0.01, 1.0)),
    times_s=st.lists(numbers, max_size=3).map(tuple),
    pair=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    inner=inners,
    either=st.one_of(st.none(), numbers, inners),
    table=st.dictionaries(st.text(min_size=1, max_size=4).map(lambda t: t + "!"), numbers, max_size=3),
)


@given(outers)
def test_dump_and_parse_are_inverse_and_the_schema_allows_it(outer: Outer) -> None:
    plain = dump(outer)
    again = parse(Outer, plain)
    assert again == outer
    assert dump(again) == plain
    assert type(again.batch) is type(outer.batch)
    assert Draft202012Validator({**dataclass_schema(Outer), "$defs": {"step": {}}}).is_valid(plain)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 20), st.floats(-2, 2), st.sampled_from(["full", "fast", "exat", ""])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["low_s", "high_s", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
PLAIN = {"count": PositiveInt, "share": Fraction, "flag": bool, "mode": Literal["fast", "exact", 3],
         "batch": Literal["full"] | PositiveInt | Fraction, "pair": tuple[NonNegativeInt, NonNegativeInt],
         "table": Mapping[str, float], "either": NonNegativeFloat | None, "list": Sequence[int]}  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(sorted(PLAIN)), JSON)
def test_the_schema_allows_exactly_what_parse_takes(key: str, value: object) -> None:
    made = dataclasses.make_dataclass("Made", [("x", PLAIN[key])], frozen=True)
    try:
        parse(made, {"x": value})
        taken = True
    except ConfigError:
        taken = False
    assert Draft202012Validator(schema(PLAIN[key])).is_valid(value) == taken


@pytest.mark.parametrize(
    ("hint", "key", "words"),
    [
        (Annotated[int, Range(ge=0, lt=10)], "k", "a whole number >= 0 and < 10"),
        (Annotated[Any, Ref("algorithm")], "x", "an algorithm: its name, or a mapping with its name"),
        (Annotated[Any, Ref("cost")], "x", "a cost: its name, or a mapping with its name"),
        (bool | None, "x", "true or false, or nothing"),
        (Sequence[str], "x", "a list, each a text"),
        (Mapping[str, Any], "x", "a mapping"),
        (Any, "x", "any value"),
    ],
)
def test_describe_speaks_plainly(hint: Any, key: str, words: str) -> None:
    assert describe(hint, key) == words


def test_the_schema_names_required_keys_and_no_others() -> None:
    made = dataclass_schema(Outer)
    assert made["required"] == ["rate_bps"]
    assert made["additionalProperties"] is False
    assert made["properties"]["rate_bps"] == {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}
    assert made["properties"]["step"]["anyOf"][0] == {"$ref": "#/$defs/step"}


def test_errors_are_the_built_in_ones_that_callers_know() -> None:
    error = UnknownNameError([Fault(("a", 2, "b"), "no such thing", "'x'", "y", "f.yaml:3")])
    assert isinstance(error, KeyError)
    assert isinstance(error, ValueError)
    assert isinstance(error, NetsimError)
    assert str(error) == "f.yaml:3: a[2].b: no such thing. Got 'x'. Nearest: y."
    assert str(ConfigError("one sentence")) == "one sentence"


def test_the_nearest_name_is_near_or_none() -> None:
    assert nearest_name("qsdg", ["qsgd", "sign"]) == "qsgd"
    assert nearest_name("zzz", ["qsgd", "sign"]) == ""
    assert nearest_name("x", []) == ""
