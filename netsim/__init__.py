"""netsim: network-aware simulation of communication-efficient distributed learning."""

__version__ = "0.1.0"
