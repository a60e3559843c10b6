"""The report page in words and tables: who wins, by how much, and where CAT does not."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim import report
from netsim.report import answer, tables, words
from netsim.report import folder as data_module
from netsim.report.columns import read_csv
from netsim.results import summary
from tests.support.page import folder
from tests.support.page.reader import visible


def run_of(label: str, algorithm: str, bits: list[float], **more: Any) -> list[dict[str, Any]]:
    """Rounds of replications that reach a loss gap of 0.01 after `bits`, the other costs in proportion."""
    return [{"label": label, "algorithm": algorithm, "replication": i, "bits": b, **more} for i, b in enumerate(bits)]


def results_of(*runs: list[dict[str, Any]], goal: float = 0.01) -> data_module.Results:
    """Results of one point, made as a study makes them."""
    columns: dict[str, list[Any]] = {}
    groups = []
    for group in runs:
        outcomes = []
        for run in group:
            spent = np.array([0.0, run["bits"]])
            track: dict[str, Any] = {"round": np.array([0, 1]), "loss": np.array([1.0, 0.5])}
            track |= {"loss_gap": np.array([0.5, run.get("end", 0.01)]), "accuracy": np.full(2, math.nan)}
            track |= {"sim_time_s": spent / 1e6, "energy_j": spent / 1e7, "worker_energy_j": spent / 1e7}
            for way, name in itertools.product(("uplink", "downlink", "peer"), summary.COUNTERS):
                track[f"{way}_{name}"] = spent / 100 if way == "uplink" else 0 * spent
            track["uplink_wire_bytes"] = spent / 8
            outcomes.append(summary.outcome(track.__getitem__, "done", {"loss_gap": goal}))
            texts = {"label": run["label"], "algorithm": run["algorithm"], "point": ""}
            for name, value in (
                track | {k: [v, v] for k, v in texts.items()} | {"replication": [run["replication"]] * 2}
            ).items():
                columns.setdefault(name, []).extend(value)
        groups.append(summary.Group("", group[0]["label"], group[0]["algorithm"], {"loss_gap": goal}, outcomes))
    text = summary.to_csv(summary.rows(groups))
    table = {k: np.array(v, object if isinstance(v[0], str) else float) for k, v in columns.items()}
    return data_module.Results("made", rounds=table, summary=tuple(data_module._rows(csv_columns(text))))


def csv_columns(text: str) -> Any:
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
        "To loss gap F − F* ≤ 0.01: CAT S needs the fewest wire bits (100 kbit, 10× fewer than GD), packets (1000, "
        "10×), seconds (100 ms, 10×) and workers' joules (10.0 mJ, 10×). Runner-up (intervals overlap): S, T = 9 in "
        "wire bits (1.96×), packets (1.96×), seconds (1.96×) and workers' joules (1.96×)."
    )


def test_intervals_apart_are_told_and_who_does_not_get_there_is_left_out() -> None:
    results = results_of(
        run_of("GD", "gd", [900e3, 1000e3, 1100e3], end=0.5),
        run_of("CAT S", "cat", [100e3, 101e3, 102e3]),
        run_of("S", "fixed_budget", [200e3, 201e3, 202e3]),
    )
    (case,) = answer.cases(results)
    text = plain(answer.paragraph(results, case))
    assert "CAT S needs the fewest wire bits (101 kbit; GD does not get there)" in text
    assert "Runner-up (intervals apart): S in wire bits (1.99×)" in text
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
    page = report.page.page([results])
    assert ("A fixed or grid-searched T beats the best CAT" in page) is (is_beyond and counts)
    assert ("Nowhere is a fixed or grid-searched T better" in page) is (counts and not is_beyond)
    assert "worse CAT" not in str([*found.beyond, *found.within])


def test_the_page_says_where_only_a_fixed_budget_gets_there() -> None:
    results = results_of(run_of("CAT", "cat", [1e5, 1e5], end=0.5), run_of("S", "fixed_budget", [1e5, 1e5]))
    assert answer.beaten(results).beyond[0][1].endswith("S reached it in every replication, and no CAT did.")


def test_who_gets_there_only_at_times_wins_nothing() -> None:
    at_times = run_of("CAT", "cat", [1e5, 1e5, 1e5])
    at_times[1]["end"] = 0.5
    results = results_of(run_of("GD", "gd", [4e5, 5e5, 6e5]), at_times)
    (case,) = answer.cases(results)
    text = plain(answer.paragraph(results, case))
    assert "GD needs the fewest wire bits (500 kbit)" in text
    assert text.endswith("Left out, as not every replication gets there: CAT (2 of 3).")


def test_the_ledger_gives_the_intervals() -> None:
    results = results_of(
        run_of("GD", "gd", [800e3, 1000e3, 1250e3]),
        run_of("CAT", "cat", [100e3] * 3),
        run_of("S", "fixed_budget", [2e5] * 3),
    )
    # As in the test of the claims: 10 [5.75, 17.4]. S needs twice as much in every replication.
    assert "wire bitsCAT100 kbit10× [5.7–17]S2.0×the same in all 3 replications" in plain(answer.section(results))


@pytest.mark.parametrize(("other", "best"), [(2e5, 8), (1e5, 0)])
def test_best_is_marked_where_something_is_to_be_won(other: float, best: int) -> None:
    """Eight columns, message and paper bits among them; not where all spend the same, which may be nothing."""
    results = results_of(run_of("GD", "gd", [1e5, 1e5]), run_of("CAT", "cat", [other, other]))
    assert tables.summary(results).count('<td class="best">') == best


def test_a_target_that_is_met_at_the_start_ranks_nobody() -> None:
    results = results_of(run_of("GD", "gd", [1e5, 1e5]), run_of("CAT", "cat", [2e5, 2e5]), goal=0.6)
    (case,) = answer.cases(results)
    text = plain(answer.paragraph(results, case))
    assert text.endswith("every algorithm meets the target at the start, in round 0: set a harder one.")


def test_nobody_and_no_target_have_their_sentences() -> None:
    results = results_of(run_of("GD", "gd", [1e5, 1e5], end=0.5))
    (case,) = answer.cases(results)
    assert "nobody gets there in every replication" in answer.paragraph(results, case)
    free = dataclasses.replace(case, target="", target_value=math.nan)
    assert "no target was set, so nothing is ranked" in answer.paragraph(results, free)


def test_claims_stand_beside_ours() -> None:
    results = results_of(run_of("GD", "gd", [800e3, 1000e3, 1250e3]), run_of("CAT", "cat", [100e3] * 3))
    # The logarithms are ln 10 + (-0.22314, 0, 0.22314): ln 10 -+ 4.3027 * 0.22314 / sqrt(3), so 10 [5.75, 17.4].
    row = {"claim": "ten times", "point": "p", "label": "CAT", "against": "GD", "quantity": "total_wire_bytes"}
    row |= {"source": 12.0, "threshold": 8.0, "sense": "at_least", "ours": 10.0, "ours_low": 5.75, "ours_high": 17.4}
    row |= {"verdict": "held", "why": "the confidence interval holds the threshold"}
    own = row | {"claim": "one joule", "against": "", "quantity": "worker_energy_j", "source": 1.0, "threshold": 1.0}
    own |= {
        "sense": "at_most",
        "ours": 2.0,
        "ours_low": math.nan,
        "ours_high": math.nan,
        "verdict": "not held",
        "why": "",
    }
    findings = csv_columns(summary.to_csv([row, own]))
    text = plain(tables.claims(dataclasses.replace(results, findings=findings)))
    assert "ten times (GD over CAT, wire bits) p12×≥ 8.0×10×5.8×–17×heldthe confidence interval holds" in text
    assert "one joule (CAT, workers' joules) p1.00 J≤ 1.00 J2.00 Jnot held" in text


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
