"""Federated averaging: a sample of the clients trains on its own data, and the server averages by samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.federated import Patient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Fedavg(Patient):
    """x^{k+1} = sum_{m in S} (n_m / n_S) x_m, x_m where client m's local steps from x^k end, S a sample of the clients.

    Clients send C(x^k - x_m): as many bytes as x_m where C is the identity, and any compressor fits (with an unbiased
    one it is FedPAQ). Clients that are not in S get and send nothing.

    References
    ----------
    McMahan, Moore, Ramage, Hampson, y Arcas, "Communication-efficient learning of deep networks from decentralized
    data", AISTATS 2017, algorithm 1. Reisizadeh, Mokhtari, Hassani, Jadbabaie, Pedarsani, "FedPAQ", AISTATS 2020.
    Deviation: the mean is over the clients heard, weighted by their n_m, not by n_m / n with the old model in place
    of the others.
    """

    examples: ClassVar[Examples] = (
        {"epochs": 1},
        {"local_steps": 3, "participation": 0.67, "step_size": 0.1},
        {"local_steps": 2, "compressor": {"name": "qsgd", "levels": 4}, "quorum": 2, "deadline_s": 5.0},
    )
