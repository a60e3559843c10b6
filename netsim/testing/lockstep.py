"""Agents without a network: the driver for tests of their invariants, and for traces of their payloads."""

from netsim.simulation.lockstep import Sent, Trace, run

__all__ = ["Sent", "Trace", "run"]
