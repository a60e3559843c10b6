"""Agents without a network: the driver for tests of their invariants, and for traces of their payloads."""

from netsim.simulation.lockstep import Sent as Sent
from netsim.simulation.lockstep import Trace as Trace
from netsim.simulation.lockstep import run as run
