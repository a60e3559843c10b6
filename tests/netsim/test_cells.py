"""Every file of cells is read strictly: what is spoilt is refused with file and line, by every reader alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from netsim import cells
from netsim.errors import ConfigError, DataError
from netsim.registry import build
from netsim.scenario.availability import Availability
from netsim.scenario.availability import read as read_availability
from netsim.scenario.compute import Devices
from netsim.scenario.devices import read as read_boards
from netsim.tools.measurements import read as read_measurements
from netsim.tools.traffic import read_trace


class Reader(NamedTuple):
    """A reader of files, its header, a good line, and the place and text of one of its numbers in it."""

    read: Callable[[str], object]
    header: str
    line: str
    number: str


def build_wan(**keys: object) -> object:
    return build("channel", {"name": "wan", **keys})


READERS = {
    "measured": Reader(
        lambda file: build("cost", {"name": "measured", "path": file}), "size_bit,cost", "LINE00,0.5", "0.5"
    ),
    "fit-cost": Reader(lambda file: read_measurements(file), "bytes,seconds", "1LINE0,0.5", "0.5"),
    "probe trace": Reader(lambda file: read_trace(file), "time_s,src,dst,bytes", "0.LINE,1,server,100", "100"),
    "wan table": Reader(
        lambda file: build_wan(table={"path": file}), "from,to,rtt_s,rate_bps", "aLINE,b,0.5,1e6", "0.5"
    ),
    "wan trace": Reader(lambda file: build_wan(trace=file), "time_s,rate_bps", "LINE,1e6", "1e6"),
    "boards": Reader(lambda file: read_boards(Devices(file)), "name,flop_per_s,power_w", "bLINE,1e6,0.5", "0.5"),
    "availability": Reader(
        lambda file: read_availability(Availability(path=file), 10), "node,from_s,to_s", "LINE,0,0.5", "0.5"
    ),
    "dataset": Reader(
        lambda file: build("dataset", {"name": "csv", "path": file}).read(np.random.default_rng(0)),
        "x,y,label", "LINE,0.5,1", "0.5",
    ),
}  # fmt: skip


def text(reader: Reader, lines: int = 4, header: str | None = None, **changes: str) -> str:
    """The file with `lines` good lines, the third changed."""
    made = [reader.line.replace("LINE", str(i)) for i in range(lines)]
    made[2] = changes.get("third", made[2].replace(reader.number, changes.get("number", reader.number)))
    return "\n".join([reader.header if header is None else header, *made, ""])


def refused(reader: Reader, folder: Path, content: str | bytes) -> str:
    file = folder / "file.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((ConfigError, DataError)) as caught:
        reader.read(str(file))
    said = str(caught.value)
    assert "file.csv" in said
    assert len(said.splitlines()) == 1
    return said


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


def test_a_good_file_is_read(reader: Reader, tmp_path: Path) -> None:
    for content in (text(reader), "\ufeff" + text(reader), text(reader).replace("\n", "\r\n")):
        (tmp_path / "file.csv").write_text(content, encoding="utf-8", newline="")
        reader.read(str(tmp_path / "file.csv"))


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("1,5", "comma"),  # two cells
        ('"1,5"', "comma"),
        ("5 ms", ""),
        ("5ms", ""),
        ("nan", ""),
        ("inf", ""),
        ("1_000", ""),
        ("\u0665", ""),
        ("0x10", ""),
        ("1e5000", ""),
        ("--", ""),
    ],
)
def test_a_spoilt_number_is_refused_with_its_line(number: str, why: str, reader: Reader, tmp_path: Path) -> None:
    said = refused(reader, tmp_path, text(reader, number=number))
    assert "file.csv:4" in said or (reader is READERS["dataset"] and "line 4" in said)
    assert why in said or reader is READERS["dataset"]


def test_a_line_with_more_or_fewer_cells(reader: Reader, tmp_path: Path) -> None:
    third = reader.line.replace("LINE", "2")
    for line in (third.rpartition(",")[0], third + ",7", third + ","):
        said = refused(reader, tmp_path, text(reader, third=line))
        assert "file.csv:4" in said or "line 4" in said


def test_a_column_twice(reader: Reader, tmp_path: Path) -> None:
    first = reader.header.partition(",")[0]
    content = "\n".join(f"{line},{line.partition(',')[0]}" for line in text(reader).splitlines())
    said = refused(reader, tmp_path, content)
    assert "each column once" in said
    assert f"{first!r} twice" in said


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_foreign_separator(sign: str, word: str, reader: Reader, tmp_path: Path) -> None:
    said = refused(reader, tmp_path, text(reader).replace(",", sign))
    assert "commas between cells" in said
    assert word in said


def test_a_decimal_comma_in_all_lines_of_a_file_with_semicolons(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("x;label\n1,5;0\n2,5;1\n", encoding="utf-8")
    dataset = build("dataset", {"name": "csv", "path": str(tmp_path / "file.csv"), "separator": ";"})
    with pytest.raises(DataError, match=r"file.csv:2: column 'x': numbers have a decimal point"):
        dataset.read(np.random.default_rng(0))


def test_a_unit_in_all_cells_of_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("x,label\n1 kg,0\n2 kg,1\n3 kg,1\n", encoding="utf-8")
    dataset = build("dataset", {"name": "csv", "path": str(tmp_path / "file.csv")})
    with pytest.raises(DataError, match=r"file.csv:2: column 'x': numbers without their unit"):
        dataset.read(np.random.default_rng(0))


def test_texts_of_a_dataset_are_still_categories(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("x,age,label\nred,3 to 5,0\nblue,6 to 9,1\n", encoding="utf-8")
    data = build("dataset", {"name": "csv", "path": str(tmp_path / "file.csv")}).read(np.random.default_rng(0))
    assert data.features.tolist() == [[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    "content", [b"\xff\xfea\x00", "größe,kosten\n".encode("cp1252"), b"", b"\n\n", b"a\x00b,c\n1,2\n"]
)
def test_no_text(content: bytes, reader: Reader, tmp_path: Path) -> None:
    refused(reader, tmp_path, content)


def test_an_empty_name_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("size_bit,cost,\n1,2,3\n", encoding="utf-8")
    with pytest.raises(cells.CellError, match=r"file.csv:1: a name for each column. Got none for column 3"):
        cells.read(tmp_path / "file.csv", "file.csv")


@pytest.mark.parametrize("line", ["1", "0, 1", "0;1", "1 2 x", "1 2 3 4", "1 2 nan"])
def test_a_line_that_is_no_edge(line: str, tmp_path: Path) -> None:
    from netsim.scenario.graphs import _read

    (tmp_path / "edges.txt").write_text(f"0 1\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"edges.txt:2: "):
        _read(str(tmp_path / "edges.txt"), False)


@pytest.mark.parametrize("word", ["1.0", "1_0", "\u0661", "-1", "0 1", "0,1", "9" * 5000, "x"])
def test_a_line_that_names_no_node(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodes.txt").write_text(f"0\n{word}\n1\n", encoding="utf-8")
    partition = build("partition", {"name": "file", "path": str(tmp_path / "nodes.txt")})
    with pytest.raises(DataError, match=r"nodes.txt:2: a node from 0 to 19"):
        partition.split(np.zeros(3), 20, np.random.default_rng(0))
