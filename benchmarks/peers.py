"""SPARQ-SGD among many peers: ``python -m benchmarks.peers`` prints CPU time, memory and a line through edges.

Peers stand at random on a square and hear those within a radius that gives each ten neighbours on the mean; d = 7850,
five local steps a round, ten signs a message, no trigger, so that every peer sends in every round. Each case runs in a
process of its own, and what counts is its processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np
import yaml

from netsim.scenario import parse_text
from netsim.simulation.engine import simulate

PEERS = (100, 300, 1000)
LINKS: Mapping[str, Mapping[str, object]] = {
    "ideal": {"name": "ideal"},
    "ethernet_udp": {"name": "ethernet_udp", "rate_bps": 1e9, "delay_s": 1e-5},
    "wan": {"name": "wan", "rate_bps": 1e7, "rtt_s": 0.05},
}
DIM, ROUNDS, NEIGHBOURS, SIDE_M = 7850, 100, 10, 1000.0


def scenario(peers: int, link: str, rounds: int, at_once: bool = False) -> str:
    """Return the YAML of one case."""
    radius_m = SIDE_M * math.sqrt((NEIGHBOURS + 1) / (math.pi * peers))
    algorithm = {
        "name": "sparq_sgd", "compressor": {"name": "sign_top_k", "k": 10}, "gamma": 0.05, "step_size": 0.05,
        "local_steps": 5, "threshold": 0,
    }  # fmt: skip
    return yaml.safe_dump({
        "name": "peers",
        "problem": {"name": "quadratic", "dim": DIM, "nodes": peers, "isotropic": True, "heterogeneity": 1.0},
        "network": {
            "topology": {"name": "geometric", "side_m": SIDE_M, "radius_m": radius_m * 1.15},
            "link": dict(LINKS[link]),
            "silence": "free",
        },
        "compute": {"gradient_s": 0.01 if at_once else {"distribution": "exponential", "mean_s": 0.01}},
        "algorithms": [algorithm],
        "stop": {"rounds": rounds},
        "record": {"every": rounds},
    })  # fmt: skip


def case(peers: int, link: str, rounds: int, at_once: bool) -> dict[str, float]:
    """Run one case in this process and return what it took."""
    base = parse_text(scenario(peers, link, rounds, at_once), "peers.yaml")
    problem = base.problem.open(base.seed)
    simulate(
        parse_text(scenario(16, link, 1), "peers.yaml"),
        base.algorithms[0],
        0,
        parse_text(scenario(16, link, 1), "peers.yaml").problem.open(0),
    )  # compiles
    begin_s = time.process_time()
    rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"].to_pydict()
    cpu_s = time.process_time() - begin_s
    messages = rows["peer_messages"][-1]
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"edges": messages / rounds / 2, "messages": messages, "cpu_s": cpu_s, "peak_gb": peak_gb}


def main() -> int:
    """Run all cases, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("peers", nargs="*", type=int, default=PEERS)
    parser.add_argument("--link", choices=LINKS, action="append")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--at-once", action="store_true", help="all compute as long, so that all send at one instant")
    parser.add_argument("--case", action="store_true", help="one case in this process")
    wanted = parser.parse_args()
    if wanted.case:
        print(json.dumps(case(wanted.peers[0], wanted.link[0], wanted.rounds, wanted.at_once)))
        return 0
    print("| link | peers | edges | messages | CPU s | GB | us a message |\n|---|---|---|---|---|---|---|")
    for link in wanted.link or LINKS:
        found = [_alone(peers, link, wanted.rounds, wanted.at_once) for peers in wanted.peers]
        for peers, row in zip(wanted.peers, found, strict=True):
            each_us = 1e6 * row["cpu_s"] / row["messages"]
            print(f"| {link} | {peers} | {row['edges']:.0f} | {row['messages']:.0f} | {row['cpu_s']:.1f} | "
                  f"{row['peak_gb']:.2f} | {each_us:.1f} |", flush=True)  # fmt: skip
        if len(found) > 2:
            print(f"{link}: R^2 of CPU time against edges is {determined(found):.4f}", flush=True)
    return 0


def determined(rows: Sequence[Mapping[str, float]]) -> float:
    """Return R^2 of the least-squares line of CPU time against edges."""
    x, y = np.array([row["edges"] for row in rows]), np.array([row["cpu_s"] for row in rows])
    left = y - np.polyval(np.polyfit(x, y, 1), x)
    return float(1.0 - (left @ left) / ((y - y.mean()) @ (y - y.mean())))


def _alone(peers: int, link: str, rounds: int, at_once: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peers", "--case", str(peers), "--link", link, "--rounds", str(rounds)]
    command += ["--at-once"] if at_once else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


if __name__ == "__main__":
    sys.exit(main())
