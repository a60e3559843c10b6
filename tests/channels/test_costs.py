"""Cost models: literal values, exact ceilings, fits and the sentences for bad input."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.costing.line import fit_line
from channels.costing.models import FunctionCost, StructuredCost, ceil_div
from netsim.errors import ConfigError
from netsim.interfaces import Answer, CostModel, CostStructure
from netsim.registry import build, get, names
from netsim.scenario.scenario import parse_text, points
from netsim.simulation.world import World


class KnownLink:
    """A link that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def cost(self, quantity: str) -> CostModel:
        self.asked.append(quantity)
        return FunctionCost(lambda bit: 2 * bit, quantity)

    def answer(self) -> Answer | None:
        return None


class Answered(KnownLink):
    """A link to a server that broadcasts to that many nodes, for 100 + message bits."""

    def __init__(self, receivers: int, transmissions: int, longest_bit: float = 1e9) -> None:
        super().__init__()
        self.found = Answer(Broadcasting(), receivers, transmissions, longest_bit)

    def answer(self) -> Answer:
        return self.found


class Broadcasting(KnownLink):
    """The way back."""

    def cost(self, quantity: str) -> CostModel:
        return FunctionCost(lambda bit: 100 + bit, quantity)


def model(config: dict[str, Any] | str) -> Any:
    return build("cost", config).open(KnownLink())


def test_there_are_these_costs() -> None:
    assert {"affine", "bit", "count", "from_channel", "measured", "packets"} <= set(names("cost"))


def test_literal_values() -> None:
    assert model("count")([1, 85]).tolist() == [1, 85]
    assert model("bit")([48, 4080]).tolist() == [48, 4080]
    # Ethernet in the CAT paper: 54 bytes of headers.
    assert model({"name": "affine", "c0": 432})([48, 4080]).tolist() == [480, 4512]
    # 64 bytes a message and 576 a packet of 512: 4096 bits are one packet, one bit more is two.
    low_power = {"name": "packets", "c0": 512, "c_packet": 4608, "payload_max_bit": "512 B"}
    assert model(low_power)([1, 4096, 4097]).tolist() == [5120, 5120, 9728]
    assert model({**low_power, "header_bit": 64, "c_bit": 2})([4032, 4033]).tolist() == [13184, 17794]


def test_what_a_model_says_of_itself() -> None:
    expected = {"count": ("count", "count"), "bit": ("paper", "bit")}
    for name, (basis, quantity) in expected.items():
        assert (model(name).basis, model(name).quantity) == (basis, quantity)
        assert model(name).structure == CostStructure(c_bit=1)
    packets = model({"name": "packets", "c_packet": 1, "payload_max_bit": 8, "packing": "stream"})
    assert packets.basis == "paper"
    assert packets.structure == CostStructure(0, 1, 0, 8, 0, "stream")


def test_an_empty_message_costs_as_the_smallest() -> None:
    """At x = 0 without a header the ceiling alone would be 0 packets."""
    assert model({"name": "packets", "c_packet": 7, "payload_max_bit": 8})([0, 1]).tolist() == [7, 7]


@pytest.mark.parametrize("name", sorted(set(names("cost")) - {"from_channel", "learned"}))
def test_fixed_costs_never_fall_and_learn_nothing(name: str) -> None:
    component: Any = get("cost", name)
    for example in component.examples:
        made = build("cost", {"name": name, **example}).open(KnownLink())
        sizes = np.arange(1, 5000)
        before = made(sizes)
        assert before.dtype == np.float64
        assert before.shape == sizes.shape
        assert (np.diff(before) >= 0).all()
        assert (before > 0).all()
        made.observe(100.0, 1e9)
        assert np.array_equal(made(sizes), before)
        assert made(sizes[:6].reshape(2, 3)).shape == (2, 3)
        assert np.array_equal(pickle.loads(pickle.dumps(made))(sizes), before)


@pytest.mark.parametrize("quantity", ["bit", "packet", "s", "j"])
def test_from_channel_asks_the_link(quantity: str) -> None:
    link = KnownLink()
    made = build("cost", {"name": "from_channel", "quantity": quantity}).open(link)
    assert link.asked == [quantity]
    assert made.basis == "message"
    assert made.structure is None
    assert made([3.0]).tolist() == [6.0]
    made.observe(1.0, 1.0)


def test_both_directions_include_the_share_of_the_broadcast() -> None:
    """Up costs 2 x. Four senders of x = 464 bits, 64 of them header: a broadcast of 64 + 4 * 400 = 1664 costs 1764.

    On air one transmission serves all, a fourth of 1764 is each sender's; on wires it is sent four times.
    """
    both = build("cost", {"name": "from_channel", "quantity": "s", "directions": "both"})
    on_air, on_wires = both.open(Answered(4, 1)), both.open(Answered(4, 4))
    assert on_air.quantity == "s"
    assert on_air([464.0, 64.0]).tolist() == [928 + 1764 / 4, 128 + 164 / 4]
    assert on_wires([464.0]).tolist() == [928 + 1764]
    # The dense model is the longest broadcast.
    assert both.open(Answered(4, 1, 1000.0))([464.0]).tolist() == [928 + 1100 / 4]
    assert build("cost", "from_channel").open(Answered(4, 1))([464.0]).tolist() == [928.0]
    with pytest.raises(ConfigError, match="directions: both directions are counted on links to a server"):
        both.open(KnownLink())


@pytest.mark.parametrize(
    ("link", "transmissions"), [("ieee802154", 1), ("tdma", 1), ("ethernet_udp", 3), ("wan", 3), ("packet", 3)]
)
def test_one_transmission_serves_all_on_air_and_one_each_on_wires(link: str, transmissions: int) -> None:
    """What the world says of a star of three workers; a broadcast's packets in the medium agree by contract."""
    channel = {"name": link} if link == "ieee802154" else {"name": link, "rate_bps": 1.0e6}
    study = {
        "name": "three",
        "problem": {"name": "quadratic", "dim": 10, "nodes": 3},
        "network": {"link": channel},
        "algorithms": [{"name": "gd"}],
        "stop": {"rounds": 1},
    }
    point = points(parse_text(yaml.safe_dump(study)))[0].scenario
    world = World(point, point.algorithms[0], 0, point.problem.open(point.seed))
    answer = world.contexts[0].link(3).answer()
    assert (answer.receivers, answer.transmissions, answer.longest_bit) == (3, transmissions, 64 + 320)
    assert answer.link.cost("s")([384.0]).tolist() == world.media[0].cost("s", 3, 0)([384.0]).tolist()
    assert world.contexts[3].link(0).answer() is None


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**50), st.integers(1, 2**20))
def test_ceilings_of_whole_bits_are_exact(bits: int, room: int) -> None:
    assert ceil_div(bits, room) == -(-bits // room)
    assert ceil_div(room * (bits // 2**20), room) == bits // 2**20


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e9), st.floats(1e-3, 1e6))
def test_ceilings_of_fractions_are_the_least_that_hold(bits: float, room: float) -> None:
    n = float(ceil_div(bits, room))
    assert n * room >= bits
    assert n == 0 or (n - 1) * room < bits
    assert abs(n - math.ceil(Fraction(bits) / Fraction(room))) <= 1


# --- measured -------------------------------------------------------------------------------------


def test_a_fit_is_the_least_squares_line() -> None:
    rng = np.random.default_rng(31)
    for _ in range(50):
        size = rng.integers(100, 10_000, 20).astype(float)
        cost = 3.0 + 2e-3 * size + rng.normal(0, 0.1, 20)
        line = fit_line(size, cost)
        assert (line.c_bit, line.c0) == pytest.approx(tuple(np.polyfit(size, cost, 1)), rel=1e-9)


def test_a_fit_below_zero_goes_through_zero() -> None:
    """Through (1, 1), (2, 2), (3, 4): free, 1.5 x - 2/3; through 0, sum xy / sum x^2 = 17 / 14."""
    assert fit_line([1, 2, 3], [1, 2, 4]) == CostStructure(c0=0.0, c_bit=17 / 14)


def measured(folder: Path, text: str | bytes) -> Any:
    path = folder / "timings.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return build("cost", {"name": "measured", "path": str(path)})


def test_measured_reads_its_columns(tmp_path: Path) -> None:
    """Other columns, blank lines, a byte order mark and Windows line ends are no harm."""
    cost = measured(tmp_path, "\ufeffcost, host,size_bit\r\n1.5,a,1000\r\n\r\n2.5,b,2000\r\n 4.5 ,c,4000\r\n")
    assert cost.open(KnownLink())([0, 8000]) == pytest.approx([0.5, 8.5], rel=1e-12)
    assert cost.open(KnownLink()).basis == "paper"
    assert pickle.loads(pickle.dumps(cost)).open(KnownLink())([8000]) == pytest.approx([8.5], rel=1e-12)
    (tmp_path / "timings.csv").unlink()
    assert cost.open(KnownLink())(8000) == pytest.approx(8.5, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "path: a CSV file with a first line of column names. Got {}: an empty file."),
        (
            "size,cost\n1,1\n",
            "path: a first line with the columns size_bit, cost. "
            "Got {}:1: 'size,cost', without size_bit. Nearest: size.",
        ),
        ("size_bit,cost\n1,1\n2,x\n", "path: cost: a number > 0. Got {}:3: 'x'."),
        ("size_bit,cost\n1,1\n\n2\n", "path: 2 cells, as in the first line. Got {}:4: 1: '2'."),
        ("size_bit,cost\n-1,1\n", "path: size_bit: a number >= 0. Got {}:2: '-1'."),
        ("size_bit,cost\n1,0\n", "path: cost: a number > 0. Got {}:2: '0'."),
        ("size_bit,cost\n1,nan\n", "path: cost: a number > 0, finite. Got {}:2: 'nan'."),
        ("size_bit,cost\n1,1\n2,2\n", "path: a file of at least 3 measurements. Got 2 in '{}'."),
        ("size_bit,cost\n5,1\n5,2\n5,3\n", "path: measurements of at least two sizes. Got only 5 bit in '{}'."),
        (
            "size_bit,cost\n1,3\n2,2\n3,1\n",
            "path: a cost that does not fall with the size. Got a slope of -1 per bit in '{}'.",
        ),
        (b"size_bit,cost\n\xff\xfe\n", "path: a CSV file of UTF-8 text. Got {}: the byte 0xff."),
        ('size_bit,cost\n1,"2\n' + "x" * 200_000, "path: comma-separated values. Got {}:"),
    ],
)
def test_bad_measurements(text: str | bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        measured(tmp_path, text)
    assert str(error.value).startswith(sentence.format(tmp_path / "timings.csv"))


def test_missing_measurements(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.csv", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as error:
            build("cost", {"name": "measured", "path": str(path)})
        assert str(error.value) == f"path: a CSV file that can be read. Got {path}: {reason}."


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"name": "affine"}, "c0: a value is needed, a number >= 0. Got nothing."),
        (
            {"name": "affine", "c0": 0, "c_bit": 0},
            "c_bit: a number > 0, as c0 is 0 and a message must cost something. Got 0.",
        ),
        ({"name": "affine", "c0": -1}, "c0: a number >= 0. Got -1."),
        (
            {"name": "packets", "c_packet": 5, "payload_max_bit": 8, "c0": -5},
            "c0: a number > -c_packet, as a message of one packet must cost something. Got -5 with c_packet = 5.",
        ),
        (
            {"name": "packets", "c_packet": 5, "payload_max_bit": 8, "packing": "hole"},
            "packing: one of whole, stream. Got 'hole'. Nearest: whole.",
        ),
        ({"name": "from_channel", "quantity": "joule"}, "quantity: one of bit, packet, s, j. Got 'joule'."),
    ],
)
def test_bad_configurations(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        build("cost", config)
    assert str(error.value) == sentence


def test_models_of_bits_and_functions() -> None:
    padded = FunctionCost(lambda bit: np.maximum(bit, 512.0) + 304, "bit")
    assert (padded.basis, padded.quantity, padded.structure) == ("message", "bit", None)
    assert padded([[1, 512], [513, 1000]]).tolist() == [[816, 816], [817, 1304]]
    padded.observe(1.0, 1.0)
    assert StructuredCost(CostStructure(c0=2.0)).basis == "message"
    assert StructuredCost(CostStructure(c0=2.0))(5.0) == 2.0
