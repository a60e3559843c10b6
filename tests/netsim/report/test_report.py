"""The report page: what it says, what it draws, and that nothing in a folder can break it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from netsim import report
from netsim.errors import DataError
from tests.support.page import folder
from tests.support.page.folder import HOSTILE, hostile
from tests.support.page.reader import Reader, read, visible


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the quick start's, with its page."""
    made = folder.make(tmp_path_factory.mktemp("page") / "quick", rounds=150, replications=3)
    folder.bounds(made)
    report.write(made)
    return made


# --- the page as a whole -------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_nobody(quick: Path) -> None:
    page = read(quick)
    reader = Reader(page)
    assert reader.faults == []
    assert reader.open == []
    assert not {"img", "iframe", "object", "embed", "video", "audio", "base", "form"} & {tag for tag, _ in reader.tags}
    assert reader.all("link") == [{"rel": "icon", "href": "data:,"}]
    assert all((a["href"] or "").startswith("#") for a in reader.all("a"))
    assert "src" not in reader.all("script")[0]
    assert not re.search(r"@import|url\(|https?://", page)


def test_the_policy_admits_our_script_and_nothing_else(quick: Path) -> None:
    page = read(quick)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [m["content"] for m in Reader(page).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def test_those_who_hear_the_page_get_names_for_everything(quick: Path) -> None:
    reader = Reader(read(quick))
    assert reader.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in reader.all("meta")
    ids = [a["id"] for _, a in reader.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    drawings = [a for a in reader.all("svg") if a.get("class") == "f"]
    assert len(drawings) > 20
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert set((drawing["aria-labelledby"] or "").split()) <= set(ids)
    others = [a for a in reader.all("svg") if a.get("class") != "f" and "x" not in a]
    assert all(a.get("aria-hidden") == "true" for a in others)
    assert all(a.get("scope") in ("col", "row", "rowgroup") for a in reader.all("th"))
    assert len(reader.all("caption")) == len(reader.all("table")) > 4
    assert len(reader.all("h1")) == 1


def test_all_of_the_page_is_there_in_its_order(quick: Path) -> None:
    reader = Reader(read(quick))
    sections = [a["id"] for a in reader.all("section")]
    assert sections == ["answer", "claims", "summary", "bounds", "curves", "efficiency", "budget", "spent", "origin"]
    text = visible(read(quick))
    assert text.index("Which compressor reaches") < text.index("Answer")
    for label, *_ in folder.KINDS:
        assert label in text
    assert "seed: 7" in text
    assert "numpy: 2.4.0" in text
    assert "netsim run quickstart -o results/quickstart" in text


def test_the_same_folder_gives_the_same_bytes(quick: Path) -> None:
    first = read(quick)
    code = f"from netsim import report; report.write({str(quick)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": "5", "PYTHONPATH": "."}, cwd=Path())
    assert read(quick) == first


def test_writing_needs_no_heavy_library(quick: Path) -> None:
    code = (
        f"import sys; from netsim import report; report.write({str(quick)!r}); "
        "print([m for m in ('pandas', 'numba', 'simpy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_quick_start_takes_seconds_and_less_than_two_megabytes(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "big", rounds=1000, replications=5)
    start_s = time.process_time()
    page = report.write(made)
    assert time.process_time() - start_s < 5
    assert page.stat().st_size < 2_000_000


def test_a_long_sweep_stays_small_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    sweep = {"network.uplink.payload_bytes": list(range(40, 60))}
    page = report.write(folder.make(tmp_path / "sweep", sweep=sweep, rounds=60, replications=2))
    text = visible(page.read_text("utf-8"))
    assert page.stat().st_size < 2_000_000
    assert "Of 20 sweep points 6 are drawn, evenly spaced." in text
    assert "To the target, over the sweep" in text
    assert all(f"payload_bytes={n}" in text for n in range(40, 60))


def test_a_sweep_has_a_panel_for_each_value_of_the_second_key_and_a_marker_at_every_number(tmp_path: Path) -> None:
    sweep = {"problem.dataset": ["digits", "iris"], "network.link.rate_bps": [1e5, 1e6, 1e7], "problem.nodes": [2, 4]}
    page = report.write(folder.make(tmp_path, sweep=sweep, kinds=folder.KINDS[:2], rounds=200, replications=2))
    html = page.read_text("utf-8")
    headings = re.findall(r"<h3>To the target, over the sweep: (.*?)</h3>", html)
    assert headings == [f"dataset = {name}, nodes = {n}" for name in ("digits", "iris") for n in (2, 4)]
    drawings = re.findall(r'<svg class="f"[^>]*aria-labelledby="sweep(?:-\d)?-2-t.*?</svg></figure>', html, re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        # Two labels with a number at each of the three rates.
        curves = re.findall(r'<g class="c".*?</g></g>', drawing, re.DOTALL)
        places = [re.findall(r'<g transform="translate\(([-\d.]+) [-\d.]+\)">', curve) for curve in curves]
        assert [len(found) for found in places] == [3, 3]
        gaps = np.diff(np.array(places, float), axis=1)
        np.testing.assert_allclose(gaps, gaps[0, 0], atol=0.2)  # decades on a logarithmic axis
        assert "100\u00a0kbit/s" in drawing
    # All panels have one scale.
    assert len({re.search(r'data-axes="([^"]*)"', drawing)[1] for drawing in drawings}) == 1  # type: ignore[index]


# --- what may be in a folder -----------------------------------------------------------------------------


def test_no_text_becomes_markup(tmp_path: Path) -> None:
    page = report.write(hostile(tmp_path / HOSTILE.replace("/", "|"))).read_text("utf-8")
    reader = Reader(page)
    assert reader.faults == []
    assert Counter(tag for tag, _ in reader.tags)["script"] == 1
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert HOSTILE in visible(page)
    assert not set(page) & {chr(c) for c in [*range(9), *range(14, 32), 0x202E]}


@pytest.mark.parametrize("name", ["scenario.yaml", "manifest.json", "rounds.parquet", "summary.csv"])
@pytest.mark.parametrize("content", [None, b"", b"{[\x00\xff: nonsense\n1,2\n", b"[1, 2]"])
def test_a_file_that_is_missing_or_damaged_becomes_a_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:2], rounds=20, replications=2)
    (made / name).unlink()
    if content is not None:
        (made / name).write_bytes(content)
    text = visible(report.write(made).read_text("utf-8"))
    if content is None:
        assert f"{name} is missing." in text
    elif name == "rounds.parquet" or (content and name != "summary.csv"):
        assert f"{name} cannot be read:" in text
    elif name == "summary.csv":
        assert "There is no summary" in text or "unnamed" in text


ROUNDS = "label replication point round sim_time_s loss loss_gap accuracy uplink_paper_bit energy_j energy_tx_j budget"
SUMMARY = "label algorithm point target target_value status reached replications final_loss time_s_mean time_s_low"


def test_no_column_is_indispensable(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:2], rounds=12, replications=2)
    whole = pq.read_table(made / "rounds.parquet")
    for name in ROUNDS.split():
        pq.write_table(whole.drop_columns([name]), made / "rounds.parquet")
        assert Reader(report.write(made).read_text("utf-8")).faults == []
    pq.write_table(whole, made / "rounds.parquet")
    header, *lines = (made / "summary.csv").read_text().splitlines()
    for name in [*SUMMARY.split(), "ratio_time_s_mean", "total_wire_bytes_mean"]:
        at = header.split(",").index(name)
        cut = [line.split(",")[:at] + line.split(",")[at + 1 :] for line in (header, *lines)]
        (made / "summary.csv").write_text("\n".join(map(",".join, cut)))
        assert Reader(report.write(made).read_text("utf-8")).faults == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, 5e-324])
def test_no_number_breaks_the_page(tmp_path: Path, value: float) -> None:
    import pyarrow as pa

    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:3], rounds=12, replications=2)
    folder.bounds(made)
    for name in ("rounds", "efficiency", "energy"):
        table = pq.read_table(made / f"{name}.parquet")
        for column in table.column_names:
            if pa.types.is_floating(table.schema.field(column).type):
                values = pa.array(np.full(len(table), value))
                table = table.set_column(table.column_names.index(column), column, values)
        pq.write_table(table, made / f"{name}.parquet")
    for name in ("summary.csv", "bounds.csv"):
        text = re.sub(r"(?<=,)-?[0-9.e+-]+(?=,|$)", repr(value), (made / name).read_text(), flags=re.MULTILINE)
        (made / name).write_text(text)
    page = report.write(made).read_text("utf-8")
    assert Reader(page).faults == []
    assert not re.search(r'[ "MLHVhv](nan|-?inf)', page)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: a folder that netsim run wrote is needed\. There is no such folder"):
        report.write(tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"It holds none of scenario\.yaml, manifest\.json, rounds\.parquet, summary\.csv"
    ):
        report.write(tmp_path)
    with pytest.raises(DataError, match="Got none"):
        report.compare([], tmp_path / "out.html")
    assert list(tmp_path.iterdir()) == []


# --- several runs ------------------------------------------------------------------------------------------


def test_runs_side_by_side_carry_their_names(tmp_path: Path) -> None:
    kinds = folder.KINDS[:3]
    first = folder.make(tmp_path / "one", points=[""], kinds=kinds, rounds=120, name="slow link")
    second = folder.make(tmp_path / "two", points=[""], kinds=kinds, rounds=120, name="fast link")
    page = report.compare([first, second], tmp_path / "both.html").read_text("utf-8")
    assert Reader(page).faults == []
    text = visible(page)
    for name, (label, *_) in itertools.product(("slow link", "fast link"), kinds):
        assert f"{name}: {label}" in text
    assert text.count("name: slow link") == text.count("name: fast link") == 1  # each scenario once
    # The runs are equal but for their names, and each is measured against its own first algorithm.
    alone = visible(report.write(first).read_text("utf-8"))
    assert text.count("÷") - 1 == 2 * (alone.count("÷") - 1)  # one stands in the note under the tables


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    kinds = folder.KINDS[:1]
    one = folder.make(tmp_path / "one", points=[""], kinds=kinds, rounds=9)
    two = folder.make(tmp_path / "two", points=[""], kinds=kinds, rounds=9)
    text = visible(report.compare([one, two, two], tmp_path / "all.html").read_text("utf-8"))
    assert "quickstart (one)" in text
    assert "quickstart (two) (2)" in text
    assert "quickstart (two) (3)" in text
