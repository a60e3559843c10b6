"""Files of cells, graphs and data in the forms that other programs write them in."""

from __future__ import annotations

import decimal
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from netsim.errors import ConfigError, DataError
from netsim.registry import build
from netsim.scenario.graphs import _read as read_graph
from tests.netsim.test_cells import READERS, Reader, text


def outcome(reader: Reader, file: Path, content: str | bytes) -> str:
    """Return '' where the file is read, else the sentence."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        reader.read(str(file))
    except (ConfigError, DataError) as error:
        said = str(error)
        assert file.name in said
        assert len(said.splitlines()) == 1
        return said
    return ""


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


FORMS = {
    "gzip without saying so": lambda t, h: gzip.compress(t.encode(), mtime=0),
    "UTF-16": lambda t, h: t.encode("utf-16"),
    "UTF-32": lambda t, h: t.encode("utf-32"),
    "NUL at the end": lambda t, h: t + "\0\0",
    "control-Z at the end": lambda t, h: t + "\x1a",
    "units in the second line": lambda t, h: t.replace(h, h + "\n" + ",".join("s" for _ in h.split(","))),
    "names alone": lambda t, h: h + "\n",
    "names twice": lambda t, h: h + "\n" + t,
    "no names": lambda t, h: t.partition("\n")[2],
    "a line of empty cells": lambda t, h: t + "," * h.count(",") + "\n",
    "a line of a thousand empty cells": lambda t, h: t + "," * 1000 + "\n",
    "a page": lambda t, h: "<html><body>404</body></html>\n",
    "JSON": lambda t, h: '[{"a": 1}]',
    "a workbook": lambda t, h: b"PK\x03\x04" + bytes(range(200)),
    "a separator in the first line": lambda t, h: "sep=,\n" + t,
    "semicolons": lambda t, h: t.replace(",", ";").replace(".", ","),
    "colons": lambda t, h: t.replace(",", ":"),
    "other line breaks": lambda t, h: t.replace("\n", "\x85"),
    "half a character": lambda t, h: t.encode() + b"\xed\xa0\x80",
    "an open quote": lambda t, h: t + '"',
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_form_that_is_refused(form: Any, reader: Reader, tmp_path: Path) -> None:
    assert outcome(reader, tmp_path / "file.csv", form(text(reader), reader.header))


@pytest.mark.parametrize(
    "cell",
    ["5D-1", "50%", "$5", "NA", "None", "true", "1e400", "1e-400",
     "0." + "0" * 400 + "1", "1" + "0" * 400, "\uff15", "5\u00b2", "1/2", "=1+1", "1:30", "1 000", "1'000",
     "2024-01-01", "5.0.0", "1" * 200_000 + "x", "\u22125", "5\0"],
)  # fmt: skip
def test_a_cell_that_is_no_number(cell: str, reader: Reader, tmp_path: Path) -> None:
    assert outcome(reader, tmp_path / "file.csv", text(reader, number=cell))


def test_forms_that_are_read(reader: Reader, tmp_path: Path) -> None:
    good, header = text(reader), reader.header
    quoted = ",".join(f'"{name}"' for name in header.split(","))
    for content in (
        good.replace("\n", "\r"), good.replace("\n", "\r\n", 2), good.replace(header, quoted),
        good.replace(header, header.replace(",", " , ")), good.replace("\n", "\n\n"), good.rstrip("\n"),
        text(reader, number="+" + reader.number),
    ):  # fmt: skip
        assert outcome(reader, tmp_path / "file.csv", content) == ""


EDGES = [
    "0 0\n", "0 1\n\0\n", "0 1 inf\n", "0 1 0,5\n", "", "# nothing\n", "<html>\n", "0\n", "0;1\n", "0,1\n", "0 1 x y\n",
    "source target\n0 1\n", "0 1\n1 3\n", "-1 0\n", "0.0 1.0\n", "00 01\n", "0 1\x0b1 2\n", "% a\n0 1\n",
    "\u0660 \u0661\n", "0 1 2\n1 2\n", "0 1 0\n", "0 1 -1\n", "0 1 1e400\n", "0 1 {'weight': 1}\n", "a b\n1 2\n",
    "graph { 0 -- 1; }\n", "*Vertices 2\n", "graph [ node [ id 0 ] ]\n", '{"nodes": []}\n', "0 1\n2 b\n",
    "%%MatrixMarket matrix\n2 2 1\n",
]  # fmt: skip


@pytest.mark.parametrize("content", [*EDGES, "0 1\n".encode("utf-16"), gzip.compress(b"0 1\n", mtime=0), b"0 1 \xe9\n"])
def test_no_list_of_edges(content: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "edges.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"edges.txt"):
        read_graph(str(file), False)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff0 1\n1 2\n",
        "2 1\n2 3\n",
        "b a\na c\n",
        "0 1 .5\n1 2 2\n",
        "0 1\r\n1 2\r\n",
        "0\t1\n1\t2\n",
        "0 1 # a\n\n1 2\n2 1\n",
    ],
)
def test_a_list_of_edges(content: str, tmp_path: Path) -> None:
    (tmp_path / "edges.txt").write_bytes(content.encode())
    assert sorted(map(sorted, read_graph(str(tmp_path / "edges.txt"), False).edges)) == [[0, 1], [1, 2]]


GRAPH = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="{}">{}</graph></graphml>'
PAIR = '<node id="a"/><node id="b"/><edge source="a" target="b"/>'
AXES = "".join(f'<key id="{axis}" for="node" attr.name="{axis}" attr.type="double"/>' for axis in "xy")
PLACES = GRAPH.replace("<graph ", AXES + "<graph ").format(
    "undirected", '<node id="a"><data key="x">{}</data><data key="y">{}</data></node>'
)
BOMB = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{}]>'.format(
    "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefg", "bcdefgh", strict=True))
)


@pytest.mark.parametrize(
    "content",
    [
        GRAPH.format("undirected", ""),
        GRAPH.format("directed", '<node id="a"/><node id="b"/><edge source="a" target="b"/>'),
        GRAPH.format("undirected", '<node id="a"/><edge source="a" target="a"/>'),
        GRAPH.format("undirected", '<node id="a"/><hyperedge><endpoint node="a"/></hyperedge>'),
        GRAPH.format("undirected", '<node id="a"><data key="k">1</data></node>'),
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"/>',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + GRAPH.format("undirected", '<node id="&e;"/>'),
        BOMB + GRAPH.format("undirected", '<node id="&h;"/>'),
        '<?xml version="1.0" encoding="nonsense"?>' + GRAPH.format("undirected", '<node id="a"/>'),
        "{}",
        GRAPH.format("undirected", PAIR).replace(
            "</graphml>", f"<graph edgedefault='directed'>{PAIR}</graph></graphml>"
        ),
        GRAPH.format("undirected", f'<node id="c"><graph edgedefault="undirected">{PAIR}</graph></node>'),
        GRAPH.format("undirected", PAIR + '<edge source="a" target="c"/>'),
        GRAPH.format("undirected", PAIR + '<edge source="a"/>'),
        GRAPH.format("undirected", PAIR + '<node id="a"/>'),
        GRAPH.format("undirected", PAIR + "<node/>"),
        GRAPH.format("undirected", PAIR + '<edge source="b" target="a" directed="true"/>'),
        PLACES.format("1e400", "1"),
        PLACES.format("1", "1e-400"),
        PLACES.format("nan", "1"),
        PLACES.format("1,5", "1"),
        PLACES.format("1 m", "1"),
        PLACES.replace('<data key="y">{}</data>', "").format("1"),
        PLACES.replace("</graph>", '<node id="b"/></graph>').format("1", "1"),
    ],
)
def test_no_graphml(content: str, tmp_path: Path) -> None:
    (tmp_path / "graph.graphml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"graph.graphml"):
        read_graph(str(tmp_path / "graph.graphml"), False)


def data_of(kind: str, file: Path) -> Any:
    return build("dataset", {"name": kind, "path": str(file)}).read(np.random.default_rng(0))


@pytest.mark.parametrize(
    "line",
    ["1 0:1", "1 3:1 2:1", "1 1:1 1:2", "1 99999999999999:1", "1 1_0:1", "1 1:0,5", "1 qid:1 1:1", "1 1:inf", "1 -1:1",
     "1,2 1:1", "1 1:", "1 0x1:1", "nan 1:1", "1 1:1\0", "1 \u0661:1", "\ufeff1 1:1", "1.5 1:1",
     "1 1:1e-400", "1 1:-1e-0400", "1 1:0." + "0" * 400 + "1", "1e-400 1:1", "1e400 1:1", "9007199254740993 1:1"],
)  # fmt: skip
def test_no_line_of_libsvm(line: str, tmp_path: Path) -> None:
    (tmp_path / "data.svm").write_text(f"{line}\n-1 1:1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data.svm:1"):
        data_of("libsvm", tmp_path / "data.svm")


ARRAYS: dict[str, dict[str, Any]] = {
    "other names": {"x": np.eye(2), "y": np.arange(2)},
    "objects": {"features": np.array([[1, "a"], [2, None]], dtype=object), "labels": np.arange(2)},
    "too few labels": {"features": np.eye(3), "labels": np.arange(2)},
    "no samples": {"features": np.zeros((0, 2)), "labels": np.zeros(0)},
    "complex": {"features": np.eye(2) * 1j, "labels": np.arange(2)},
    "texts": {"features": np.array([["1", "2"], ["3", "4"]]), "labels": np.arange(2)},
    "labels of two axes": {"features": np.eye(2), "labels": np.eye(2)},
    "too small for 64 bits": {"features": np.array([[np.longdouble("1e-400")], [1]]), "labels": np.arange(2)},
    "too large for 64 bits": {"features": np.array([[1], [np.longdouble("1e400")]]), "labels": np.arange(2)},
    "a label too small for 64 bits": {"features": np.eye(2), "labels": np.array([np.longdouble("1e-400"), 1])},
    "labels that one float is": {"features": np.eye(2), "labels": np.array([2**53, 2**53 + 1])},
    "times": {"features": np.array([["2020-01-01"], ["NaT"]], "datetime64[D]"), "labels": np.arange(2)},
    "one number": {"features": np.float64(3), "labels": np.arange(2)},
}


@pytest.mark.parametrize("arrays", ARRAYS.values(), ids=ARRAYS)
def test_no_arrays(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=r"data.npz"):
        data_of("npz", tmp_path / "data.npz")


def test_a_file_that_is_no_archive_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.eye(2))
    for content in ((tmp_path / "one.npy").read_bytes(), b"", b"PK\x03\x04nonsense"):
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"data.npz"):
            data_of("npz", tmp_path / "data.npz")


@pytest.mark.parametrize(
    "content", ["0.1,0.2,1\n0.3,0.4,0\n", "label\n0\n1\n", "x,label\ninf,0\n1,1\n", "x,label\n1,\n"]
)
def test_no_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"data.csv"):
        data_of("csv", tmp_path / "data.csv")


TABLES: dict[str, pa.Array] = {
    "lists": pa.array([[1], [2]]),
    "mappings": pa.array([{"a": 1}, {"a": 2}]),
    "bytes": pa.array([b"a", b"b"]),
    "dates": pa.array([1, 2], pa.date32()),
    "instants": pa.array([1, 2], pa.timestamp("s")),
    "durations": pa.array([1, 2], pa.duration("s")),
    "nulls": pa.array([1, None]),
    "truths and nulls": pa.array([True, None]),
}


@pytest.mark.parametrize("column", TABLES.values(), ids=TABLES)
def test_no_column_of_parquet(column: pa.Array, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": column, "label": [0, 1]}), tmp_path / "data.parquet")
    with pytest.raises(DataError, match=r"data.parquet:\d: column 'x'"):
        data_of("parquet", tmp_path / "data.parquet")


def test_numbers_that_are_kept(tmp_path: Path) -> None:
    """Subnormal numbers, noughts with any exponent, whole numbers of any length, and decimals are numbers."""
    (tmp_path / "data.csv").write_text(f"x,label\n5e-324,0\n1e-310,1\n0e-400,0\n{'9' * 25},1\n", encoding="utf-8")
    (tmp_path / "data.svm").write_text("1 1:5e-324\n-1 1:1e-310\n1 1:0e-400\n-1 1:9999999999999999999999999\n")
    decimals = pa.array([decimal.Decimal(text) for text in ("1e-30", "2.5", "0", "1e25")], pa.decimal256(76, 30))
    parquet.write_table(pa.table({"x": decimals, "label": [0, 1, 0, 1]}), tmp_path / "data.parquet")
    for kind, name in (("csv", "data.csv"), ("libsvm", "data.svm")):
        features = data_of(kind, tmp_path / name).features
        rows = features.toarray() if hasattr(features, "toarray") else features
        assert rows[:, 0].tolist() == [5e-324, 1e-310, 0.0, 1e25]
    assert data_of("parquet", tmp_path / "data.parquet").features[:, 0].tolist() == [1e-30, 2.5, 0.0, 1e25]


@pytest.mark.parametrize(
    ("cell", "label"), [("1e-400", "0"), ("1", "1e-400"), ("1", "9007199254740993"), ("-1e-0400", "0")]
)
def test_no_number_of_a_table(cell: str, label: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(f"x,label\n1,1\n{cell},{label}\n2,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data.csv(:3)?: column '(x|label)'"):
        data_of("csv", tmp_path / "data.csv")


@pytest.mark.parametrize(
    "content", ["0.5\n", "node\n0\n1\n", "0\n1\n2\n0\n", "0\n", "+0\n1\n2\n", "3\n0\n1\n", "\u0660\n1\n2\n"]
)
def test_no_nodes(content: str, tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text(content, encoding="utf-8")
    partition = build("partition", {"name": "file", "path": str(tmp_path / "nodes.txt")})
    with pytest.raises(DataError, match=r"nodes.txt"):
        partition.split(np.zeros(3), 3, np.random.default_rng(0))
