"""One line of the contending cell, the slots or the framing made wrong at a time, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant

_TWIN = "channel_csma.py::test_equals_one_process_a_node"
_BEHIND = "channel_csma.py::test_given_up_frames_go_behind_the_others_by_hand"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"channels/{file}", old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    _mutant(
        "a busy channel does not widen the backoff",
        "_csma_nb.py",
        "exponent = min(par[t.P_MIN_BE] + node[n, t.NB], par[t.P_MAX_BE])",
        "exponent = min(par[t.P_MIN_BE], par[t.P_MAX_BE])",
        "channel_csma.py::test_agrees_with_ns3[burst strict N=10 100 B]",
        _TWIN,
    ),
    _mutant(
        "an assessment hears what ended within it",
        "_csma_air_nb.py",
        "if start >= begun or end >= now:",
        "if start >= begun or end >= begun:",
        "channel_csma.py::test_agrees_with_ns3[burst strict N=10 100 B]",
        _TWIN,
    ),
    _mutant(
        "who acknowledges finds the channel free",
        "_csma_nb.py",
        "if node[n, t.DUTY_UNTIL] > now - t.CCA or is_busy(g, ring, n, now, par, link):",
        "if is_busy(g, ring, n, now, par, link):",
        _TWIN,
    ),
    _mutant(
        "the sink hears while it acknowledges",
        "_csma_nb.py",
        "deafen(radio, d, there)",
        "radio[t.LOCK_ID, d] = -1",
        "channel_csma.py::test_acknowledgements_among_hidden_senders",
    ),
    _mutant(
        "a foreign acknowledgement is taken for one's own",
        "_csma_nb.py",
        "node[b, t.KIND] = t.ACKED if node[b, t.CURRENT] == ring[i & (ring.shape[0] - 1), t.REF] else t.FOREIGN",
        "node[b, t.KIND] = t.ACKED",
        _TWIN,
    ),
    _mutant(
        "one retry too many",
        "_csma_nb.py",
        "waits = node[n, t.RETRY] <= par[t.P_MAX_RETRY]",
        "waits = node[n, t.RETRY] <= par[t.P_MAX_RETRY] + 1",
        "channel_csma.py::test_acknowledgements_among_hidden_senders",
        _TWIN,
    ),
    _mutant(
        "long spacing behind short frames",
        "_csma_nb.py",
        "base = now + (t.SIFS if node[n, t.AIR] <= t.SIFS_OCTETS * t.OCTET else t.LIFS)",
        "base = now + t.LIFS",
        "channel_csma.py::test_a_lone_message_is_that_of_single",
    ),
    _mutant(
        "a duplicate is a delivery",
        "_csma_messages_nb.py",
        "if dst[row, t.D_STATE] & t.GOT:\n        node[n, t.N_DUP] += 1\n        return",
        "if dst[row, t.D_STATE] & t.GOT:\n        node[n, t.N_DUP] += 1",
        _TWIN,
    ),
    _mutant(
        "a receiver leaves a frame for a later one",
        "_csma_air_nb.py",
        "if radio[t.RX_FROM, n] <= start and radio[t.LOCK_END, n] <= start:",
        "if radio[t.RX_FROM, n] <= start:",
        "channel_csma.py::test_equals_one_process_a_node[capture-False]",
    ),
    _mutant(
        "no pause among hidden nodes",
        "_csma_nb.py",
        "if par[t.P_HIDDEN] and kind != t.CCA_END and kind != t.CCA2_END:",
        "if par[t.P_HIDDEN] and kind == t.CCA_END and kind != t.CCA2_END:",
        "channel_csma.py::test_equals_one_process_a_node[hidden, capture-False]",
    ),
    _mutant(
        "what was given up is sent again at once",
        "_csma_nb.py",
        "if msg[m, t.M_DSTS] == 1:\n                put_behind(",
        "if msg[m, t.M_DSTS] == 0:\n                put_behind(",
        f"{_BEHIND}[2-1]",
        "channel_csma.py::test_equals_one_process_a_node[strict-False]",
    ),
    _mutant(
        "always the first of those that wait",
        "_csma_messages_nb.py",
        "start, f = f if f < frames else 0, frames",
        "start, f = 0, frames",
        f"{_BEHIND}[3-2]",
    ),
    _mutant(
        "what was given up is forgotten to have arrived",
        "_csma_messages_nb.py",
        "late[n, first + t.LATE_GOT] |= np.int64(state & t.GOT > 0) << place",
        "late[n, first + t.LATE_GOT] &= ~(np.int64(state & t.GOT > 0) << place)",
        f"{_BEHIND}[2-1]",
        f"{_BEHIND}[1-1]",
    ),
    _mutant(
        "a frame counts anew when it is sent behind the others",
        "_csma_messages_nb.py",
        "late[n, first + t.LATE_SENT] |= np.int64(state & t.SENT > 0) << place",
        "late[n, first + t.LATE_SENT] &= ~(np.int64(state & t.SENT > 0) << place)",
        f"{_BEHIND}[2-1]",
    ),
    _mutant(
        "a message is there with its last frame",
        "_csma_messages_nb.py",
        "if dst[row, t.D_COUNT] == msg[m, t.M_FRAMES] and",
        "if msg[m, t.M_FRAGMENT] == msg[m, t.M_FRAMES] - 1 and",
        f"{_BEHIND}[2-1]",
    ),
    _mutant(
        "what was given up outlives its message",
        "_csma_messages_nb.py",
        "if msg[m, t.M_LATE] > 0:\n        late[n] = 0",
        "if msg[m, t.M_LATE] < 0:\n        late[n] = 0",
        "channel_csma.py::test_what_was_given_up_ends_with_its_message",
    ),
    _mutant(
        "what was given up is lost when tables grow",
        "_csma.py",
        "        new.late[:, : t.LATE_SIZE * self.words] = self.late\n",
        "",
        "channel_csma.py::test_equals_one_process_a_node[more than 64 frames-False]",
    ),
    _mutant(
        "a repair is lost when tables grow",
        "_csma.py",
        "for column in (t.M_DST, t.M_REPAIR):",
        "for column in (t.M_DST,):",
        "channel_csma.py::test_equals_one_process_a_node[strict-True]",
    ),
    _mutant(
        "what ran ahead stays when a message comes",
        "_csma.py",
        "if scalars[t.NOW] > to_ns or self._frames is not None:",
        "if self._frames is not None:",
        "channel_csma.py::test_equals_one_process_a_node[strict-False]",
    ),
    _mutant(
        "what was said of the next delivery outlives a message",
        "_csma.py",
        "self._bound_ns, self._budget = None, _FIRST_BUDGET",
        "self._budget = _FIRST_BUDGET",
        "channel_csma.py::test_equals_one_process_a_node[strict-False]",
    ),
    _mutant(
        "radios at an instant to come as if nothing happened before it",
        "_csma.py",
        "self._nb.run(*self._for_run, _NO_LOG, at_ns, -1)",
        "self._nb.run(*self._for_run, _NO_LOG, self._clock_ns, -1)",
        "channel_contract.py::test_contract[ieee802154-5-check_looking_ahead]",
    ),
    _mutant(
        "counters of the future",
        "_csma.py",
        "        self._go_to(self._clock_ns)\n        return dict(",
        "        return dict(",
        "channel_csma.py::test_counters_and_radios_at_any_instant[strict]",
    ),
    _mutant(
        "going back forgets what is on the air",
        "_csma_nb.py",
        "for i in range(g[t.LOW], g[t.HIGH]):\n        first = top",
        "for i in range(g[t.LOW], g[t.LOW]):\n        first = top",
        "channel_csma.py::test_equals_one_process_a_node[strict-False]",
    ),
    _mutant(
        "slotted: one assessment",
        "_csma_nb.py",
        "elif par[t.P_SLOTTED] and kind == t.CCA_END:",
        "elif par[t.P_SLOTTED] and kind == t.CCA2_END:",
        "channel_csma.py::test_slotted_access_agrees_with_park",
    ),
    _mutant(
        "error rate of another code",
        "_reception.py",
        "SLOPES = np.array([20.0 * (1.0 / j - 1.0) for j in range(2, 17)])",
        "SLOPES = np.array([10.0 * (1.0 / j - 1.0) for j in range(2, 17)])",
        "channel_csma.py::test_the_error_curve",
    ),
    _mutant(
        "6LoWPAN: offsets in octets",
        "_sixlowpan.py",
        "PART = 8 * ((MAX_PAYLOAD - FRAG1 - COMPRESSED + UNCOMPRESSED) // 8) - UNCOMPRESSED",
        "PART = MAX_PAYLOAD - FRAG1 - COMPRESSED",
        "channel_sixlowpan.py::test_sixlowpan_frames_and_their_mean_time",
    ),
    _mutant(
        "6LoWPAN: a first fragment as long as the others",
        "_sixlowpan.py",
        "return OVERHEAD_OCTETS + (FRAG1 + COMPRESSED if is_first else FRAGN) + size_bytes",
        "return OVERHEAD_OCTETS + FRAGN + size_bytes",
        "channel_sixlowpan.py::test_sixlowpan_frames_and_their_mean_time",
    ),
    _mutant(
        "a slot that has begun is used",
        "_tsch.py",
        "first = -(-from_ns // self._slot_ns)",
        "first = from_ns // self._slot_ns",
        "channel_tsch.py::test_a_slot_that_has_begun_is_not_used",
    ),
    _mutant(
        "an idle slot costs nothing",
        "_tsch.py",
        "total_ns = turns * len(cells) * length_ns",
        "total_ns = 0",
        "channel_tsch.py::test_radio_on_in_each_kind_of_slot",
    ),
    _mutant(
        "a lost frame is not sent again",
        "_tsch.py",
        "if not shot.got and (reliable or parcel.attempt < self._tries):",
        "if not shot.got and parcel.attempt < self._tries - 7:",
        "channel_tsch.py::test_loss_takes_more_slots",
    ),
)
