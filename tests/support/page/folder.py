"""Synthetic results folders: what a run would leave, made in a moment and as nasty as wanted."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from netsim.results import summary
from netsim.results.findings import findings
from netsim.scenario.parts import Claim

HOSTILE = "<script>alert(1)</script>"
# Label, algorithm, further keys, bits a round, rounds to a tenth of the gap, T.
KINDS: list[tuple[str, str, dict[str, Any], float, float, float]] = [
    ("GD", "gd", {}, 68640, 30, math.nan),
    ("CAT S", "cat", {"variant": "sparsify"}, 3800, 70, 86),
    ("CAT S+Q", "cat", {"variant": "sign"}, 1632, 60, 120),
    ("CAT SS", "cat", {"variant": "stochastic"}, 4200, 90, 96),
    ("CAT S (packets)", "cat", {"variant": "sparsify", "cost": {"name": "packets"}}, 3600, 74, 82),
    ("CAT S+Q (joules)", "cat", {"variant": "sign", "cost": {"name": "from_channel"}}, 1650, 61, 122),
    ("Alistarh S+Q", "alistarh", {}, 520, 280, 37),
    ("S, T = 50", "fixed_budget", {"variant": "sparsify", "budget": 50}, 2200, 160, 50),
    ("S+Q, T = 50", "fixed_budget", {"variant": "sign", "budget": 50}, 682, 200, 50),
    ("SS, T = 50", "fixed_budget", {"variant": "stochastic", "budget": 50}, 2200, 210, 50),
    ("S, one packet", "fixed_budget", {"variant": "sparsify", "budget": "packet"}, 800, 400, 18),
    ("S+Q, one packet", "fixed_budget", {"variant": "sign", "budget": "packet"}, 810, 170, 59),
    ("SS, one packet", "fixed_budget", {"variant": "stochastic", "budget": "packet"}, 800, 420, 18),
    ("S, best T of a grid", "grid_search", {"variant": "sparsify"}, 3700, 85, 84),
    ("S+Q, best T of a grid", "grid_search", {"variant": "sign"}, 1600, 75, 118),
]
POINTS = ("802.15.4 packets", "Ethernet UDP")
DIRECTIONS = ("uplink", "downlink", "peer")


def make(
    folder: Path, points: Sequence[str] = POINTS, kinds: Sequence[tuple[Any, ...]] = tuple(KINDS),
    replications: int = 3, rounds: int = 400, target: dict[str, float] | None = None, **changes: Any,
) -> Path:  # fmt: skip
    """Write a whole results folder; `changes` replace keys of the scenario, and a `sweep` among them the points."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep: dict[str, list[Any]] = changes.get("sweep", {})
    swept: list[dict[str, Any]] = [
        dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())
    ]
    if sweep:
        points = [", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in at.items()) for at in swept]
    else:
        swept = [{} for _ in points]
    target = {"loss_gap": 1e-2} if target is None else target
    scenario = {
        "name": "quickstart",
        "question": "Which compressor reaches a loss gap of 0.01 with the fewest bits, packets, seconds and joules?",
        "source": "Khirirat, Magnusson, Aytekin, Johansson, AAAI 2021",
        "finding": "S+Q with a tuned T is ahead on both links",
        "seed": 7,
        "replications": replications,
        "algorithms": [{"name": k[1], "label": k[0], **k[2]} for k in kinds],
        "stop": {"target": target, "rounds": rounds},
        "claims": [
            {"text": "up to two orders over GD", "label": kinds[min(2, len(kinds) - 1)][0], "against": kinds[0][0],
             "quantity": "uplink_paper_bit", "ratio": 100},
            {"text": "about 6x over Alistarh S+Q", "label": "CAT S+Q", "against": "Alistarh S+Q",
             "quantity": "total_wire_bytes", "ratio": 6.0},
        ],
    } | changes  # fmt: skip
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True), "utf-8")
    rng = np.random.default_rng(3)
    parts: list[dict[str, Any]] = []
    groups, runs = [], []
    for i, point in enumerate(points):
        for label, algorithm, _, bits, tenth, budget in kinds:
            outcomes = []
            for replication in range(replications):
                columns = _track(rng, i, bits, tenth, budget, rounds, target)
                size = len(columns["round"])
                names = {"label": label, "algorithm": algorithm, "point": point}
                texts = {k: np.full(size, v, object) for k, v in names.items()}
                at = {key: np.full(size, value) for key, value in swept[i].items()}
                parts.append({**texts, **at, "replication": np.full(size, replication), **columns})
                met = columns["loss_gap"][-1] <= target.get("loss_gap", -1)
                status = "reached" if met else "done"
                outcomes.append(summary.outcome(columns.__getitem__, status, target))
                run = {"label": label, "point": point, "replication": replication, "status": status}
                runs.append({**run, "sentence": "", "sim_time_s": float(columns["sim_time_s"][-1]), "host_s": 0.2})
            groups.append(summary.Group(point, label, algorithm, target, outcomes, swept[i]))
    pq.write_table(pa.table({n: np.concatenate([p[n] for p in parts]) for n in parts[0]}), folder / "rounds.parquet")
    (folder / "summary.csv").write_text(summary.to_csv(summary.rows(groups)), "utf-8")
    found = findings([Claim(**claim) for claim in scenario["claims"]], groups)
    (folder / "findings.csv").write_text(summary.to_csv(found), "utf-8")
    manifest = {
        "versions": {"netsim": "0.1.0", "numpy": "2.4.0", "python": "3.11.9"},
        "seed": 7,
        "machine": "Linux x86_64, 2 cores",
        "command": "netsim run quickstart -o results/quickstart",
        "wall_time_s": 41.3,
        "content_hash": "5f2c" * 16,
        "runs": runs,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    pq.write_table(pa.table(_efficiency(points, kinds)), folder / "efficiency.parquet")
    pq.write_table(pa.table(_energy(points, kinds, replications)), folder / "energy.parquet")
    return folder


def bounds(folder: Path) -> None:
    """Add a bounds.csv with the columns of netsim.results.bounds."""
    names = "label point replication regime eps budget dim alpha_bar speedup worst_case_bit data_dependent_bit"
    lines = [",".join([*names.split(), "measured_bit", "lower_bound_bit"])]
    for regime, rounds in (("convex", 4e4), ("nonconvex", 2e4), ("strongly_convex", 9e3)):
        for t in (1, 10, 100, 1000, 5000):
            alpha = min(1.0, (t / 5000) ** 0.35)
            bits = t * 45
            done = "inf" if t == 1 else bits * rounds / alpha / 20
            facts = (0, regime, 0.01, t, 5000, alpha, alpha * 5000 / t, bits * rounds * 5000 / t)
            rest = (bits * rounds / alpha, done, 5000 * math.log2(100))
            lines.append(",".join(map(str, (f'"S, T={t}"', "", *facts, *rest))))
    (folder / "bounds.csv").write_text("\n".join(lines), "utf-8")


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
        for t, k in zip(evil, KINDS[:3] + KINDS[7:9], strict=True)
    ]
    made = make(
        path, points=[HOSTILE, "a point " * 30], kinds=kinds, replications=2, rounds=300, name=HOSTILE,
        question=HOSTILE, source=HOSTILE, finding="y" * 300,
        claims=[{"text": HOSTILE, "label": kinds[0][0], "quantity": "time_s", "value": 6, "unlike": HOSTILE}],
    )  # fmt: skip
    bounds(made)
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["machine"] = {HOSTILE: ["y" * 200, 1, None], "cpu": {"deep": [HOSTILE]}}
    manifest["runs"][0] |= {"status": HOSTILE, "sentence": HOSTILE + "z" * 200}
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


def _track(
    rng: np.random.Generator, link: int, bits: float, tenth: float, budget: float, rounds: int, target: dict[str, float]
) -> dict[str, Any]:
    n = np.arange(rounds + 1)
    slope = rng.uniform(0.95, 1.05) / tenth
    gap = 0.55 * 10.0 ** (-slope * n) * np.exp(rng.normal(0, 0.03, rounds + 1))
    met = np.flatnonzero(gap <= target.get("loss_gap", -1))
    size = int(met[0]) + 1 if met.size else rounds + 1
    n, gap = n[:size], gap[:size]
    payload = bits / 8 * 4
    payload_max = (102, 1472)[link % 2]
    packets = 4 * math.ceil(bits / 8 / payload_max) * n
    rate = (250e3, 10e6)[link % 2]
    up = 8 * (payload * n + 31 * packets) / rate
    t = np.floor(budget * (1 + 0.5 * np.sin(n / 30)) + rng.uniform(0, 3)) if budget > 60 else np.full(size, budget)
    columns: dict[str, Any] = {
        "round": n, "sim_time_s": 0.011 * n + up, "loss": 0.14 + gap, "loss_gap": gap, "grad_norm": np.sqrt(gap),
        "accuracy": 1 - 0.5 * np.sqrt(gap),
    }  # fmt: skip
    for way in DIRECTIONS:
        share = {"uplink": 1.0, "downlink": 0.2, "peer": 0.0}[way]
        columns[f"{way}_paper_bit"] = share * 4 * bits * n
        columns[f"{way}_payload_bytes"] = np.rint(share * payload * n)
        columns[f"{way}_wire_bytes"] = np.rint(share * (payload * n + 31 * packets))
        columns[f"{way}_packets"] = share * packets
        columns[f"{way}_transmissions"] = 1.1 * share * packets
        columns[f"{way}_message_bytes"] = np.rint(share * (payload * n + 32 * n))
        columns[f"{way}_messages"] = share * 4 * n
    columns["uploads"] = 4 * n
    for state, power in (("tx", 0.052), ("rx", 0.056), ("listen", 0.056), ("idle", 0.0013), ("sleep", 0.0)):
        columns[f"energy_{state}_j"] = power * up * {"tx": 1, "rx": 1, "listen": 2, "idle": 4}.get(state, 0)
    columns["energy_compute_j"] = 0.1 * 0.04 * n
    columns["energy_j"] = sum(columns[f"energy_{s}_j"] for s in ("tx", "rx", "listen", "idle", "sleep", "compute"))
    columns |= {"worker_energy_j": 0.75 * columns["energy_j"], "server_energy_j": 0.25 * columns["energy_j"]}
    columns["budget"] = np.where(n == 0, np.nan, t)
    columns["time_compute_s"], columns["time_uplink_s"] = 0.01 * n, 0.4 * up
    columns["time_downlink_s"], columns["time_waiting_s"] = 0.001 * n, 0.6 * up
    return columns


def _efficiency(points: Sequence[str], kinds: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    rows: dict[str, list[Any]] = {k: [] for k in
        ("label", "replication", "point", "round", "budget", "efficiency", "chosen", "quantity")}  # fmt: skip
    t = np.unique(np.geomspace(1, 2145, 300).astype(int))
    for i, point in enumerate(points):
        for kind in kinds:
            if kind[1] != "cat":
                continue
            for round, heavy in ((1, 0.45), (40, 0.55), (96, 0.75)):
                per_packet = 18 if i == 0 else 260
                values = (t / 2145) ** heavy / (432 * np.ceil(t / per_packet) + 44 * t)
                best = int(np.argmax(values))
                for name, column in (("budget", t), ("efficiency", values), ("chosen", np.arange(t.size) == best)):
                    rows[name] += column.tolist()
                for name, value in (("label", kind[0]), ("replication", 0), ("point", point), ("round", round),
                                    ("quantity", "bit")):  # fmt: skip
                    rows[name] += [value] * t.size
    return rows


def _energy(points: Sequence[str], kinds: Sequence[tuple[Any, ...]], replications: int) -> dict[str, Any]:
    keys = ("label", "replication", "point", "node", "interface", "state", "time_s", "energy_j")
    rows = [
        (kind[0], r, point, node, "radio", state, seconds, seconds * power * (2 if node == 4 else 1))
        for point in points for kind in kinds for r in range(replications) for node in range(5)
        for state, seconds, power in (("tx", 1.0, 0.05), ("rx", 0.5, 0.056), ("idle", 8.0, 0.001))
    ]  # fmt: skip
    return dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True)) if rows else {k: [] for k in keys}
