"""802.15.4, slots, TDMA and LoRa."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "a backoff period of 192 us",
        "channels.media.lrwpan.timing:",
        "BACKOFF_NS = 320_000",
        "BACKOFF_NS = 192_000",
        ("tests/channels/test_ieee802154.py::test_one_frame_takes_one_of_eight_times",),
    ),
    Mutant(
        "no time for the acknowledgement",
        "channels.media.lrwpan.exchange:Exchange.__init__",
        "t.TURNAROUND_NS + t.ACK_NS if self._ack_ns else 0",
        "0",
        ("tests/channels/test_ieee802154.py::test_messages_of_many_frames_equal_the_timeline",),
    ),
    Mutant(
        "long and short spacing swapped",
        "channels.media.lrwpan.timing:spacing_ns",
        "np.where(payload_bytes + MAC_OCTETS <= MAX_SIFS_MPDU, SIFS_NS, LIFS_NS)",
        "np.where(payload_bytes + MAC_OCTETS <= MAX_SIFS_MPDU, LIFS_NS, SIFS_NS)",
        ("tests/channels/test_ieee802154.py::test_messages_of_many_frames_equal_the_timeline",),
    ),
    Mutant(
        "the sender receives and the receiver sends",
        "channels.media.lrwpan.single:SingleCell._book",
        "(data, acks) if node == message.src else (acks, data)",
        "(acks, data) if node == message.src else (data, acks)",
        ("tests/channels/test_energy.py::test_energy_of_an_acknowledged_frame",),
    ),
    Mutant(
        "sending draws the current of receiving",
        "channels.media.radio_profile:RadioProfile.power_w",
        'f"{state}_a"',
        'f"{state}_a".replace("tx", "rx")',
        ("tests/channels/test_energy.py::test_energy_of_an_acknowledged_frame",),
    ),
    Mutant(
        "a mean of four backoff periods",
        "channels.media.lrwpan.cost:cell_cost",
        "t.BACKOFFS - 1",
        "t.BACKOFFS",
        ("tests/channels/test_ieee802154.py::test_mean_of_k_frames",),
    ),
    Mutant(
        "a busy channel does not widen the backoff",
        "channels.media.lrwpan.csma.senders_kernel:backoff",
        "par[t.P_MIN_BE] + node[n, t.NB]",
        "par[t.P_MIN_BE]",
        (
            "tests/channels/test_csma.py::test_agrees_with_ns3[burst strict N=10 100 B]",
            "tests/channels/test_csma.py::test_equals_one_process_a_node",
        ),
    ),
    Mutant(
        "an assessment hears what ended within it",
        "channels.media.lrwpan.csma.air_kernel:is_busy",
        "end >= now",
        "end >= begun",
        ("tests/channels/test_csma.py::test_equals_one_process_a_node",),
    ),
    Mutant(
        "a foreign acknowledgement is taken for one's own",
        "channels.media.lrwpan.csma.senders_kernel:acknowledged",
        "t.ACKED if is_own(node, ring, mrg, i, b) else t.FOREIGN",
        "t.ACKED",
        ("tests/channels/test_csma.py::test_equals_one_process_a_node",),
    ),
    Mutant(
        "one retry too many",
        "channels.media.lrwpan.csma.senders_kernel:run",
        "par[t.P_MAX_RETRY]",
        "par[t.P_MAX_RETRY] + 1",
        (
            "tests/channels/test_csma.py::test_acknowledgements_among_hidden_senders",
            "tests/channels/test_csma.py::test_equals_one_process_a_node",
        ),
    ),
    Mutant(
        "what ends with an assessment is on the air",
        "channels.media.lrwpan.csma.air_kernel:loudness",
        "at < ring[r, t.END] + delay",
        "at <= ring[r, t.END] + delay",
        ("tests/channels/test_csma.py::test_repeats_the_runs_of_ns3[burst strict N=10 1000 B]",),
    ),
    Mutant(
        "an idle slot costs nothing",
        "channels.media.lrwpan.tsch:SlottedCell._windows_ns",
        "turns * len(cells) * length_ns",
        "0",
        ("tests/channels/test_tsch.py::test_radio_on_in_each_kind_of_slot",),
    ),
    Mutant(
        "a slot without its guard",
        "channels.media.turns:Rounds._begin",
        "width_ns + self._guard_ns",
        "width_ns",
        ("tests/channels/test_tdma.py::test_random_traffic_against_every_turn",),
    ),
    Mutant(
        "the low data rate optimisation is never on",
        "channels.links.lora:Lora.airtime_ns",
        "symbol_s >= Fraction(16, 1000)",
        "False",
        ("tests/channels/test_lora.py::test_airtimes",),
    ),
    Mutant(
        "frames end to end collide",
        "channels.media.frame_train:FrameTrain.meets",
        "ahead_ns + fewest * stride_ns < other.width_ns",
        "ahead_ns + fewest * stride_ns <= other.width_ns",
        ("tests/channels/test_lora.py::test_frames_of_trains_meet_as_their_frames_do",),
    ),
    Mutant(
        "a gateway answers while it sends or has to be silent",
        "channels.media.confirmed:ConfirmedAir._acknowledge",
        "now_ns < self._free_ns[exchange.gateway]",
        "False",
        ("tests/channels/test_lora_acknowledged.py::test_the_gateway_keeps_its_duty_cycle",),
    ),
    Mutant(
        "an answer is heard through a collision",
        "channels.media.confirmed:ConfirmedAir._end_at",
        "exchange.is_confirmed = is_ok",
        "exchange.is_confirmed = True",
        ("tests/channels/test_lora_acknowledged.py::test_two_nodes_that_collide_part_by_their_backoffs",),
    ),
)
