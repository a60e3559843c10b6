"""The report page: what it says, what it draws, and that nothing in a folder can break it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import itertools
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim import report
from netsim._page import answer, axes, curves, data, svg, tables, words
from netsim.errors import DataError
from tests.page import folder

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text; notes tags that do not close where they should."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> in {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the quick start's, with its page."""
    made = folder.make(tmp_path_factory.mktemp("page") / "quick", rounds=150, replications=3)
    folder.bounds(made)
    report.write(made)
    return made


def read(made: Path) -> str:
    return (made / "report.html").read_text("utf-8")


def visible(page: str) -> str:
    """The page's text with its white space made plain."""
    return " ".join("".join(Reader(page).text).split())


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
        "print([m for m in ('pandas', 'numba', 'simpy', 'sklearn', 'pint', 'matplotlib') if m in sys.modules])"
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
    points = [f"network.uplink.payload_bytes={n}" for n in range(40, 60)]
    page = report.write(folder.make(tmp_path / "sweep", points=points, rounds=60, replications=2))
    text = visible(page.read_text("utf-8"))
    assert page.stat().st_size < 2_000_000
    assert "Of 20 sweep points 6 are drawn, evenly spaced." in text
    assert "To the target, over the sweep" in text
    assert all(point in text for point in points)


# --- the answer ------------------------------------------------------------------------------------------


def run_of(label: str, algorithm: str, bits: list[float], **more: Any) -> list[dict[str, Any]]:
    """Rounds of replications that reach a loss gap of 0.01 after `bits`, the other costs in proportion."""
    return [{"label": label, "algorithm": algorithm, "replication": i, "bits": b, **more} for i, b in enumerate(bits)]


def results_of(*runs: list[dict[str, Any]], goal: float = 0.01) -> data.Results:
    """Results of one point, made as a study makes them."""
    from netsim import summary

    columns: dict[str, list[Any]] = {}
    groups = []
    for group in runs:
        outcomes = []
        for run in group:
            spent = np.array([0.0, run["bits"]])
            track: dict[str, Any] = {"round": np.array([0, 1]), "loss": np.array([1.0, 0.5])}
            track |= {"loss_gap": np.array([0.5, run.get("end", 0.01)]), "accuracy": np.full(2, math.nan)}
            track |= {"sim_time_s": spent / 1e6, "energy_j": spent / 1e7}
            for way, name in itertools.product(("uplink", "downlink", "peer"), summary.COUNTERS):
                track[f"{way}_{name}"] = spent / 100 if way == "uplink" else 0 * spent
            track["uplink_paper_bit"] = spent
            outcomes.append(summary.outcome(track.__getitem__, "done", {"loss_gap": goal}))
            texts = {"label": run["label"], "algorithm": run["algorithm"], "point": ""}
            for name, value in (
                track | {k: [v, v] for k, v in texts.items()} | {"replication": [run["replication"]] * 2}
            ).items():
                columns.setdefault(name, []).extend(value)
        groups.append(summary.Group("", group[0]["label"], group[0]["algorithm"], {"loss_gap": goal}, outcomes))
    text = summary.to_csv(summary.rows(groups))
    table = {k: np.array(v, object if isinstance(v[0], str) else float) for k, v in columns.items()}
    return data.Results("made", rounds=table, summary=tuple(data._rows(csv_columns(text))))


def csv_columns(text: str) -> Any:
    import tempfile

    from netsim._page.columns import read_csv

    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(text)
        file.flush()
        return read_csv(Path(file.name))


def plain(html_text: str) -> str:
    return visible(html_text.replace(words.NBSP, " "))


def test_the_answer_names_the_winner_its_lead_and_the_overlap() -> None:
    results = results_of(
        run_of("GD", "gd", [800e3, 1000e3, 1250e3]),
        run_of("CAT S", "cat", [100e3, 100e3, 100e3]),
        run_of("S, T = 9", "fixed_budget", [150e3, 200e3, 250e3]),
    )
    (case,) = answer.cases(results)
    # GD: the geometric mean of 8, 10 and 12.5 is 10. S: that of 1.5, 2, 2.5 is 7.5**(1/3) = 1.957; its interval of
    # the mean, 200k -+ t(2) 50k/sqrt(3) = 200k -+ 124k, reaches down to 76k and so overlaps with 100k.
    assert plain(answer.paragraph(results, case)) == (
        "To loss gap F − F* ≤ 0.01: CAT S needs the fewest bits (100 kbit, 10× fewer than GD), packets (1000, 10×), "
        "seconds (100 ms, 10×) and joules (10.0 mJ, 10×). Runner-up (intervals overlap): S, T = 9 in bits (1.96×), "
        "packets (1.96×), seconds (1.96×) and joules (1.96×)."
    )


def test_intervals_apart_are_told_and_who_does_not_get_there_is_left_out() -> None:
    results = results_of(
        run_of("GD", "gd", [900e3, 1000e3, 1100e3], end=0.5),
        run_of("CAT S", "cat", [100e3, 101e3, 102e3]),
        run_of("S", "fixed_budget", [200e3, 201e3, 202e3]),
    )
    (case,) = answer.cases(results)
    text = plain(answer.paragraph(results, case))
    assert "CAT S needs the fewest bits (101 kbit; GD does not get there)" in text
    assert "Runner-up (intervals apart): S in bits (1.99×)" in text
    assert text.endswith("Left out, as not every replication gets there: GD (0 of 3).")


@pytest.mark.parametrize(
    ("cat", "rival", "is_beyond", "is_within"),
    [
        ([100e3, 101e3, 102e3], [200e3, 201e3, 202e3], False, False),
        ([100e3, 101e3, 102e3], [100e3, 101e3, 102e3], False, False),
        ([200e3, 201e3, 202e3], [100e3, 101e3, 102e3], True, False),
        ([100e3, 100e3, 100e3], [99e3, 99e3, 99e3], True, False),  # no spread at all: any lead counts
        ([100e3, 150e3, 200e3], [98e3, 147e3, 196e3], True, False),  # paired: 2 % in every replication
        ([100e3, 150e3, 200e3], [130e3, 90e3, 200e3], False, True),
        ([100e3], [99e3], True, False),  # one replication: no interval to hide behind
    ],
)
@pytest.mark.parametrize("algorithm", ["fixed_budget", "grid_search", "alistarh"])
def test_the_page_says_where_a_fixed_budget_beats_cat(
    cat: list[float], rival: list[float], is_beyond: bool, is_within: bool, algorithm: str
) -> None:
    worse = run_of("worse CAT", "cat", [9e6] * len(cat))
    results = results_of(worse, run_of("CAT", "cat", cat), run_of("rival", algorithm, rival))
    found = answer.beaten(results)
    counts = algorithm != "alistarh"
    assert found.is_compared is counts
    assert len(found.beyond) == (4 if is_beyond and counts else 0)  # bits, packets, seconds, joules
    assert len(found.within) == (4 if is_within and counts else 0)
    page = report.page([results])
    assert ("A fixed or grid-searched T beats the best CAT" in page) is (is_beyond and counts)
    assert ("Nowhere is a fixed or grid-searched T better" in page) is (counts and not is_beyond)
    assert "worse CAT" not in "".join(found.beyond + found.within)


def test_the_page_says_where_only_a_fixed_budget_gets_there() -> None:
    results = results_of(run_of("CAT", "cat", [1e5, 1e5], end=0.5), run_of("S", "fixed_budget", [1e5, 1e5]))
    assert plain(answer.beaten(results).beyond[0]).endswith("S reached it in every replication, and no CAT did.")


def test_who_gets_there_only_at_times_wins_nothing() -> None:
    at_times = run_of("CAT", "cat", [1e5, 1e5, 1e5])
    at_times[1]["end"] = 0.5
    results = results_of(run_of("GD", "gd", [4e5, 5e5, 6e5]), at_times)
    (case,) = answer.cases(results)
    text = plain(answer.paragraph(results, case))
    assert "GD needs the fewest bits (500 kbit)" in text
    assert text.endswith("Left out, as not every replication gets there: CAT (2 of 3).")


def test_the_ledger_gives_the_intervals() -> None:
    results = results_of(
        run_of("GD", "gd", [800e3, 1000e3, 1250e3]),
        run_of("CAT", "cat", [100e3] * 3),
        run_of("S", "fixed_budget", [2e5] * 3),
    )
    # As in the test of the claims: 10 [5.75, 17.4]. S needs twice as much in every replication.
    assert "bitsCAT100 kbit10× [5.7–17]S2.0×apart" in plain(answer.ledger(results))


@pytest.mark.parametrize(("other", "best"), [(2e5, 5), (1e5, 0)])
def test_best_is_marked_where_something_is_to_be_won(other: float, best: int) -> None:
    """Bits, packets, wire bytes, seconds and joules; not where all spend the same, which may be nothing."""
    results = results_of(run_of("GD", "gd", [1e5, 1e5]), run_of("CAT", "cat", [other, other]))
    assert tables.summary(results).count('<td class="best">') == best


def test_nobody_and_no_target_have_their_sentences() -> None:
    results = results_of(run_of("GD", "gd", [1e5, 1e5], end=0.5))
    (case,) = answer.cases(results)
    assert "nobody gets there in every replication" in answer.paragraph(results, case)
    free = dataclasses.replace(case, target="", target_value=math.nan)
    assert "no target was set, so nothing is ranked" in answer.paragraph(results, free)


def test_claims_stand_beside_ours() -> None:
    results = results_of(run_of("GD", "gd", [800e3, 1000e3, 1250e3]), run_of("CAT", "cat", [100e3] * 3))
    claims = [
        {"text": "ten times", "label": "CAT", "against": "GD", "quantity": "bit", "ratio": 12},
        {"text": "with a stranger", "label": "CAT", "against": "QSGD", "quantity": "s", "ratio": None},
    ]
    text = plain(tables.claims(dataclasses.replace(results, scenario={"claims": claims})))
    # The logarithms are ln 10 + (-0.22314, 0, 0.22314): ln 10 -+ 4.3027 * 0.22314 / sqrt(3), so 10 [5.75, 17.4].
    assert "ten times (GD over CAT, bits)To loss gap F − F* ≤ 0.0112×10× [5.7–17]" in text
    assert "QSGD did not run" in text


def test_runs_that_went_wrong_are_listed_with_their_sentence(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "wrong", points=["p"], kinds=folder.KINDS[:2], rounds=20)
    manifest = json.loads((made / "manifest.json").read_text())
    for run in manifest["runs"][:2]:
        run |= {"status": "stalled", "sentence": "node 3 waits for node 4 in round 17"}
    manifest["complete"] = False
    (made / "manifest.json").write_text(json.dumps(manifest))
    text = visible(report.write(made).read_text("utf-8"))
    assert "GDp0, 1stallednode 3 waits for node 4 in round 17" in text
    assert "The study is not complete" in text


# --- what may be in a folder -----------------------------------------------------------------------------


def hostile(path: Path) -> Path:
    """A folder whose every text wants to be more than a text."""
    evil = [
        "</title></svg></style>" + HOSTILE,
        "\" onload='alert(1)' x=\"",
        "x" * 200,
        "Ψ 标签 🚀 \u202edesrever",
        "\x00\ud800",
    ]
    kinds = [
        (t.replace("\ud800", "").replace("\x00", "\x07"), *k[1:])
        for t, k in zip(evil, folder.KINDS[:3] + folder.KINDS[7:9], strict=True)
    ]
    made = folder.make(
        path, points=[HOSTILE, "a point " * 30], kinds=kinds, replications=2, rounds=300, name=HOSTILE,
        question=HOSTILE, source=HOSTILE, finding="y" * 300,
        claims=[{"text": HOSTILE, "label": kinds[0][0], "against": HOSTILE, "quantity": HOSTILE, "ratio": 6}],
    )  # fmt: skip
    folder.bounds(made)
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["machine"] = {HOSTILE: ["y" * 200, 1, None], "cpu": {"deep": [HOSTILE]}}
    manifest["runs"][0] |= {"status": HOSTILE, "sentence": HOSTILE + "z" * 200}
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


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


# --- curves --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(2, 80), st.integers(3, 40), st.integers(0, 2**32 - 1))
def test_a_band_holds_every_report_and_its_line_is_the_median(
    replications: int, rounds: int, most: int, seed: int
) -> None:
    """Against a plain reading of the definition, on random tracks of unequal length."""
    rng = np.random.default_rng(seed)
    tracks = []
    for _ in range(replications):
        size = int(rng.integers(2, rounds + 1))
        tracks.append((np.concatenate([[0.0], np.cumsum(rng.integers(0, 9, size - 1))]), rng.normal(size=size)))
    table = {
        "replication": np.concatenate([np.full(len(x), i, float) for i, (x, _) in enumerate(tracks)]),
        "x": np.concatenate([x for x, _ in tracks]),
        "y": np.concatenate([y for _, y in tracks]),
    }
    band = curves.band(table, "x", "y", most)
    if band is None:
        assert not any((x > 0).any() for x, _ in tracks)
        return
    assert band.replications == replications
    assert band.x.size <= most + 1
    ends = np.append(band.x[1:], np.inf)
    for i, (at, end) in enumerate(zip(band.x, ends, strict=True)):
        values = [y[x <= at][-1] for x, y in tracks]
        assert band.median[i] == pytest.approx(np.median(values), abs=1e-12)
        since = band.x[i - 1] if i else -1.0
        seen = np.concatenate([[v, *y[(x > since) & (x <= at)]] for v, (x, y) in zip(values, tracks, strict=True)])
        assert (band.low[i], band.high[i]) == (seen.min(), seen.max())
        assert end > at


def test_thinning_keeps_the_extremes() -> None:
    rng = np.random.default_rng(4)
    x, y = np.arange(1.0, 5001.0), rng.normal(size=5000)
    thin_x, thin_y = curves.thin(x, y, 100)
    assert thin_x.size <= 102
    assert (thin_y.min(), thin_y.max(), thin_x[0], thin_x[-1]) == (y.min(), y.max(), 1.0, 5000.0)
    assert (np.diff(thin_x) > 0).all()


def test_steps_are_drawn_as_steps() -> None:
    x, y = np.array([0.0, 10.0, 20.0, 30.0]), np.array([5.0, 5.0, 2.0, 2.5])
    assert svg._path(x, y, is_step=True) == "M0 5h20v-3h10v0.5"
    assert svg._back(x, y) == "V2.5V2H20V5H0"
    assert svg._path(x, y, is_step=False) == "M0 5H10L20 2L30 2.5"


positive = st.floats(1e-14, 1e14)


@settings(max_examples=300, deadline=None)
@given(positive, st.floats(1.01, 1e9), st.booleans(), st.sampled_from(["", "bit", "s", "J"]), st.booleans())
def test_ticks_lie_on_the_axis_and_do_not_touch(
    low: float, span: float, is_log: bool, unit: str, is_count: bool
) -> None:
    axis = axes.Axis(low, low * span, is_log, unit, is_count)
    for is_vertical, length in ((False, 320.0), (True, 220.0)):
        ticks = axis.ticks(length, vertical=is_vertical)
        assert ticks
        assert all(axis.low * (1 - 1e-6) <= value <= axis.high * (1 + 1e-6) for value, _ in ticks)
        if is_vertical:
            continue
        at = [float(axis.at(value, length)) for value, _ in ticks]
        half = [axes.text_px(label) / 2 for _, label in ticks]
        gaps = [b - a - g - h for (a, g), (b, h) in itertools.pairwise(zip(at, half, strict=True))]
        assert all(gap > 0 for gap in gaps)


def test_an_axis_is_logarithmic_only_where_that_helps() -> None:
    assert axes.axis([np.array([1.0, 1000.0])]) == axes.log_axis([np.array([1.0, 1000.0])])
    assert axes.axis([np.array([1.0, 3.0])]) == axes.linear_axis([np.array([1.0, 3.0])])
    assert axes.axis([np.array([-1.0, 1000.0])]) == axes.linear_axis([np.array([-1.0, 1000.0])])
    assert axes.axis([np.array([math.nan])]) is None


@settings(max_examples=300, deadline=None)
@given(st.floats(1e-13, 1e17), st.sampled_from(["bit", "B", "J", "s", ""]))
def test_a_number_with_its_prefix_is_the_number(value: float, unit: str) -> None:
    """Three digits: within 0.5 % + rounding; half a unit where counts are written in full."""
    text = words.si(value, unit)
    number, _, suffix = text.partition(words.NBSP)
    powers = {prefix: power for power, prefix in words._PREFIXES.items()}
    factor = 3600.0 if suffix == "h" else 10.0 ** powers[suffix.removesuffix(unit) if unit else suffix]
    assert float(number) * factor == pytest.approx(value, rel=5.1e-3, abs=0.51 if not unit and value >= 100 else 0)


def test_efficiency_is_drawn_at_three_rounds_with_the_chosen_budget(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:3], rounds=50, replications=1)
    page = report.write(made).read_text("utf-8")
    table = pq.read_table(made / "efficiency.parquet").to_pydict()
    section = page[page.index('<section id="efficiency">') : page.index('<section id="budget">')]
    assert section.count('<circle class="p"') == 6  # CAT S and CAT S+Q, three rounds each
    for label in ("CAT S", "CAT S+Q"):
        own = section[section.index(f"<h4>{label}</h4>") :]
        rows = zip(table["label"], table["round"], table["budget"], table["chosen"], strict=True)
        chosen = {round: budget for name, round, budget, is_chosen in rows if name == label and is_chosen}
        assert sorted(chosen) == [1, 40, 96]
        for round, budget in chosen.items():
            assert f"<span>round {round}: T = {budget}</span>" in own


def test_different_budgets_are_counted(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:2], rounds=50, replications=1)
    table = pq.read_table(made / "rounds.parquet").to_pandas()
    several = table[table.label == "CAT S"].budget.dropna().nunique()
    assert several > 5
    assert f"Different T in one replication: CAT S: {several}." in visible(report.write(made).read_text("utf-8"))


def test_bars_are_shares_of_the_last_rows(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:1], rounds=50, replications=2)
    page = report.write(made).read_text("utf-8")
    ends = pq.read_table(made / "rounds.parquet").to_pandas().groupby("replication").last().mean(numeric_only=True)
    for parts, unit in ((("compute", "uplink", "downlink", "waiting"), "s"), (("tx", "rx", "listen", "idle"), "j")):
        names = [f"{'time' if unit == 's' else 'energy'}_{part}_{unit}" for part in parts]
        whole = sum(ends[name] for name in names) + (ends.energy_compute_j if unit == "j" else 0)
        told = ", ".join(f"{part} {ends[name] / whole:.0%}" for part, name in zip(parts, names, strict=True))
        assert f"GD {words.si(whole, unit.upper() if unit == 'j' else unit)}: {told}" in page


def test_bounds_are_means_over_replications_of_fixed_budgets(tmp_path: Path) -> None:
    kinds = [("CAT", *folder.KINDS[1][1:]), *((f"S, T={t}", *folder.KINDS[7][1:]) for t in (1, 10, 100, 1000, 5000))]
    made = folder.make(tmp_path / "run", points=[""], kinds=kinds, rounds=5, replications=1)
    folder.bounds(made)
    text = (made / "bounds.csv").read_text()
    (line,) = [line for line in text.splitlines() if ",convex,0.01,10," in line]
    again = line.replace(",,0,convex", ",,1,convex").split(",")
    again[-2] = str(3 * float(again[-2]))  # the second replication measures three times as many bits
    (made / "bounds.csv").write_text("\n".join([text, ",".join(again), line.replace('"S, T=10"', "CAT")]))
    page = report.write(made).read_text("utf-8")
    once = 10 * 45 * 4e4 / (10 / 5000) ** 0.35 / 20
    row = "<td>10</td><td>0.114</td><td>56.8</td><td>9.00\xa0Gbit</td><td>158\xa0Mbit</td><td>{}</td>"
    assert f'<th scope="row">S, T=10</th>{row.format(words.si(2 * once, "bit"))}' in page
    assert f'<th scope="row">CAT</th>{row.format(words.si(once, "bit"))}' in page
    assert 'data-s="CAT"' not in page[page.index('<section id="bounds">') : page.index('<section id="curves">')]


# --- colours ---------------------------------------------------------------------------------------------------

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15,
# 2009, severity 1.0: protanopia, deuteranopia, tritanopia.
DEFICIENCIES = np.array([
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    np.eye(3),
])  # fmt: skip


@pytest.mark.parametrize("which", ["lines", "time", "energy"])
def test_colours_stay_apart_for_colour_blind_eyes(which: str) -> None:
    """At least 25 in CIE 1976 L*a*b*, ten times what is just noticeable (2.3, Mahy 1994)."""
    from netsim._page import spent

    parts = {"time": spent.TIME, "energy": spent.ENERGY}.get(which, ())
    colours = [c for _, c in parts] or [c for c, *_ in svg.STYLES]
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for matrix in DEFICIENCIES:
        xyz = np.clip(linear @ matrix.T, 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 25


def test_lines_differ_without_colour() -> None:
    assert len({(dash, marker) for _, dash, marker in svg.STYLES}) == len(svg.STYLES)
    assert len({marker for *_, marker in svg.STYLES}) == len(svg.STYLES)
