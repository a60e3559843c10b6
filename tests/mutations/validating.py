"""Mutants of what a probe counts and tells, and of the limits of the validation."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"tests/test_validation.py::{test}" for test in tests))


MUTANTS = (
    _mutant("Frames are counted before the last ones are given up", "netsim/probe.py",
            "    medium.advance(quiet_ns + QUIET_NS)\n    counters", "    counters",
            "test_what_a_contending_mac_counts"),
    _mutant("A busy assessment is one of all nodes' frames", "netsim/probe.py", 'per("mac_busy", "mac_cca")',
            'per("mac_busy", "mac_frames")', "test_what_a_contending_mac_counts"),
    _mutant("What is not counted is 0", "netsim/probe.py",
            "            return math.nan, math.nan\n        return ratio",
            "            return 0.0, 0.0\n        return ratio",
            "test_what_a_contending_mac_counts"),
    _mutant("Deliveries are those of the first client alone", "netsim/_probing.py", "self.ended += ended",
            "self.ended += ended[:1] if not self.ended else []", "test_every_message_in_whole_nanoseconds"),
    _mutant("Channels to probe pass for scenarios", "netsim/scenario.py",
            'if not name.startswith("probe/"))', "if name)", "test_channels_to_probe_are_no_scenarios"),
    _mutant("Per cent are absolute", "benchmarks/validation_check.py", "return abs(self.off) <= self.limit",
            "return self.off <= self.limit", "test_limits"),
    _mutant("Nanoseconds are not whole", "benchmarks/validation_check.py",
            "float(round(1e9 * self.ours) - round(1e9 * self.theirs))", "1e9 * self.ours - 1e9 * self.theirs",
            "test_limits"),
    _mutant("Chance excuses a miss", "benchmarks/validation_check.py", "return abs(self.off) <= self.limit",
            "return abs(self.off) <= self.limit or self.is_noise", "test_within_2_percent_is_said_apart_from_chance"),
    _mutant("Latencies are means of means", "benchmarks/ns3.py",
            "float(np.nansum(values[column] * weight) / whole)", "float(np.nanmean(values[column]))",
            "test_means_over_messages"),
)  # fmt: skip
