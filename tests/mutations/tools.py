"""Mutants of probes, fits, the learned cost, captures and measurements."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    # --- probe ---
    _mutant("A probe's phases are all 0", "netsim/_traffic.py", "phase_s = float(rng.random()) / self.rate",
            "phase_s = 0.0", "probe.py::test_periodic_messages_have_one_phase_per_sender"),
    _mutant("A trace is not sorted", "netsim/_traffic.py",
            'return Traffic("trace", server, offers=tuple(sorted(offers, key=lambda offer: offer[:2])))',
            'return Traffic("trace", server, offers=tuple(offers))', "probe.py::test_a_trace_of_ones_own"),
    _mutant("The standard error of a ratio forgets the denominator", "netsim/probe.py",
            "rest = top - mean * bottom", "rest = top - top.mean()", "probe.py::test_the_error_of_a_ratio_covers"),
    _mutant("Energy stops at the last delivery", "netsim/probe.py", "        now_ns += left_ns", "        break",
            "probe.py::test_one_acknowledged_frame"),
    _mutant("The server counts as a sender", "netsim/probe.py", "senders = max(len(nodes) - 1, 1)",
            "senders = len(nodes)", "probe.py::test_one_acknowledged_frame"),
    _mutant("Quantiles are one rank low", "netsim/probe.py",
            "q / 100 * reached[-1] - 1e-9", "q / 100 * reached[-1] - 1.5",
            "probe.py::test_quantiles_are_nearest_ranks"),
    _mutant("A probe's header is left out", "netsim/_probing.py", "extra = HEADER_BYTES if self.header else 0",
            "extra = 0", "probe.py::test_header_broadcast_and_scenario"),
    # --- fit ---
    _mutant("A staircase may fall with its packets", "channels/costs/_families.py",
            "is_apart & (c_packet > 0.0) & (c_bit >= 0.0)", "is_apart & (c_bit >= 0.0)",
            "fit.py::test_staircases_are_least_squares_under_their_signs"),
    _mutant("More numbers always win", "channels/costs/_families.py",
            "margin = MARGIN if PARAMETERS[one.family] > PARAMETERS[best.family] else 0.0", "margin = -MARGIN",
            "fit.py::test_the_family_comes_back_at_once"),
    _mutant("Weights are ignored", "channels/costs/_families.py", "return _Data(xs, ys, np.sqrt(w / w.mean()))",
            "return _Data(xs, ys, np.ones(xs.size))", "fit.py::test_weights_count"),
    _mutant("A payload is one unit too small", "channels/costs/_families.py",
            "    low = unit * math.ceil(low / unit - 1e-9)", "    low = unit * math.ceil(low / unit - 1e-9) - unit",
            "fit.py::test_from_a_probe_to_a_cost_of_cat"),
    _mutant("The header is not in the constant", "netsim/fit.py", 'c0 = v["c0"] + c_bit * header_bit', 'c0 = v["c0"]',
            "fit.py::test_the_cost_is_the_fit_at_the_papers_bits"),
    _mutant("Impossible rates pass", "netsim/fit.py", "wrong = (ratio < low) | (ratio > high)", "wrong = ratio < 0",
            "fit.py::test_sentences"),
    _mutant("Contention is never said", "netsim/fit.py", "    for count in counts[1:]:", "    for count in counts[:0]:",
            "fit.py::test_contention_is_said_with_its_size"),
    # --- learned ---
    _mutant("A new link is never noticed", "channels/costs/learned.py", "CHANGED = 4", "CHANGED = 4000",
            "costs_learned.py::test_it_learns_anew_when_the_rate_drops_tenfold"),
    _mutant("Wild points count", "channels/costs/learned.py",
            "weights = ((y < WILD * guess) & (y > guess / WILD)).astype(np.float64)", "weights = np.ones(x.size)",
            "costs_learned.py::test_single_slow_messages_count_little"),
    _mutant("The oldest is forgotten first", "channels/costs/learned.py", "if counts[seen[0]] == most)", "if True)",
            "costs_learned.py::test_memory_keeps_rare_sizes_and_is_bounded"),
    _mutant("Sizes never differ", "channels/costs/learned.py", "return min(FIRST[k] * self._first_bit, most)",
            "return min(self._first_bit, most)", "costs_learned.py::test_it_knows_a_line_after_the_first_sizes"),
    _mutant("CAT ignores what the cost asks", "algorithms/agents/cat.py", "if explore is None or budget < 1.0:",
            "if True:", "costs_learned.py::test_cat_follows_what_the_cost_asks"),
    # --- pcap ---
    _mutant("A UDP checksum of 0 stays", "netsim/pcap.py", ' + data) or 0xFFFF', " + data)",
            "pcap.py::test_a_zero_udp_checksum_is_sent_as_ones"),
    _mutant("Microseconds", "netsim/pcap.py", "seconds, rest = divmod(at_ns, NS_PER_S)",
            "seconds, rest = at_ns // NS_PER_S, at_ns % NS_PER_S // 1000", "pcap.py::test_a_datagram_and_its_edges"),
    _mutant("A repeated frame counts up", "netsim/pcap.py", "if frame.attempt == 1 or offset != frame.offset:",
            "if True:", "pcap.py::test_sequence_numbers"),
    _mutant("The check sequence begins at ones", "netsim/pcap.py", "table, value = _crc_table(), 0",
            "table, value = _crc_table(), 0xFFFF", "pcap.py::test_checksums_of_the_standards"),
    _mutant("A message without header", "netsim/pcap.py", "return Header(number, sender, round).pack() + payload.data",
            "return bytes(8) + payload.data", "pcap.py::test_the_header_names_kind_sender_and_round"),
    _mutant("A fragment's place counts the message alone", "netsim/pcap.py", "(LOWPAN_LEFT_OUT + offset) // 8",
            "offset // 8", "pcap.py::test_fragments_are_as_long_as_they_were_simulated_and_come_together"),
    _mutant("All datagrams have one tag", "netsim/pcap.py", "self._tag[frame.src] = self._tags[key] + 1 & 0xFFFF",
            "self._tag[frame.src] = 0", "pcap.py::test_fragments_are_as_long_as_they_were_simulated_and_come_together"),
    _mutant("The checksum has another length", "netsim/pcap.py", 'struct.pack(">IBBH", length',
            'struct.pack(">IBBH", 8',
            "pcap.py::test_fragments_are_as_long_as_they_were_simulated_and_come_together"),
    # --- measure ---
    _mutant("A lost message counts as fast", "netsim/measure.py", "        if seconds is not None:",
            "        seconds = seconds or 1e-9\n        if seconds is not None:",
            "measure.py::test_lost_datagrams_are_lost_messages"),
    _mutant("The last datagram has no room for its number", "netsim/measure.py",
            "if 0 < rest < HEAD_BYTES else size_bytes", "if 0 < rest < 1 else size_bytes",
            "measure.py::test_feasible_sizes_leave_room"),
    _mutant("Time is not bounded", "netsim/measure.py", "if time.monotonic() > end_s:", "if False:",
            "measure.py::test_time_is_bounded"),
)  # fmt: skip
