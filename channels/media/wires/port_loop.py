"""Packets of many senders through one FIFO port: one loop that runs on lists in Python and on arrays when compiled.

It is written for both: only indices and integers, and no call. That is why the heap is written out three times.
"""

from __future__ import annotations

from typing import Any


def process(table: Any, state: Any, stride_ns: int, service_ns: int, limit_ns: int, budget: int, done: Any) -> int:
    """Serve packets in order of (arrival, rank) until `limit_ns` or until `budget` steps are spent.

    Parameters
    ----------
    table
        A column for each slot, that is message. Rows 0-4: when its next packet is at the port; who goes first at equal
        arrivals; packets to come; from the last full packet's arrival to the last one's; what the last one takes on
        the port. Row 5: slots whose next packet is their first or last, as a binary heap. Row 6: slots in the middle,
        as a circular queue, the ring.
    state
        free_ns, work_ns, reach_ns, packets to come, size of the heap, head and size of the ring, steps of this
        call, the first slot that is not in the heap yet, slots in use.
    stride_ns, service_ns
        A full packet's time on a sender's wire and on the port.
    done
        Two rows, filled with departure and rank of the messages that end.

    Returns
    -------
    How many messages ended.

    Notes
    -----
    All full packets of a message are `stride_ns` apart and messages are served in order of arrival, so a message that
    has just been served goes behind all others of the ring, which stays sorted. Where no other packet comes between,
    r rounds of a ring of n are one step of Lindley's recursion: with a_j the arrivals of the first round and s the
    service, free' = r n s + max(free, max_j (a_j - j s) + max(0, (r - 1)(stride - n s))).
    """
    # Names for the rows and for the state, which is written back at the end.
    arrival, rank, left, gap, last, heap, ring = table[0], table[1], table[2], table[3], table[4], table[5], table[6]
    free, work, reach, packets = state[0], state[1], state[2], state[3]
    heap_size, head, ring_size = state[4], state[5], state[6]
    capacity, found, steps, wait = len(ring), 0, 0, 0
    # New messages go into the heap, each up to its place by (arrival, rank).
    for slot in range(state[8], state[9]):
        packets += left[slot]
        i = heap_size
        heap_size += 1
        while i > 0:
            parent = heap[(i - 1) // 2]
            if arrival[parent] < arrival[slot] or (arrival[parent] == arrival[slot] and rank[parent] < rank[slot]):
                break
            heap[i] = parent
            i = (i - 1) // 2
        heap[i] = slot
    state[8] = state[9]
    while heap_size + ring_size > 0 and steps < budget:
        # The next packet is that of the ring's head or of the heap's top.
        steps += 1
        in_ring = ring_size > 0
        slot = ring[head] if in_ring else heap[0]
        if in_ring and heap_size > 0:
            top = heap[0]
            if arrival[top] < arrival[slot] or (arrival[top] == arrival[slot] and rank[top] < rank[slot]):
                slot, in_ring = top, False
        now = arrival[slot]
        if now > limit_ns:
            break
        # Once a round: count whole rounds of the ring that lie before the limit and the heap's next packet, and that
        # leave every message in the ring a full packet to go. More than one are served in one step (see Notes).
        if in_ring and wait == 0:
            wait = ring_size
            edge = limit_ns
            if heap_size > 0 and arrival[heap[0]] <= edge:
                edge = arrival[heap[0]] - 1
            tail = ring[(head + ring_size - 1) % capacity]
            rounds = (edge - arrival[tail]) // stride_ns + 1
            if rounds > 1:
                latest = now
                for j in range(ring_size):
                    other = ring[(head + j) % capacity]
                    rounds = min(rounds, left[other] - 2)
                    latest = max(latest, arrival[other] - j * service_ns)
            if rounds > 1:
                for j in range(ring_size):
                    other = ring[(head + j) % capacity]
                    arrival[other] += rounds * stride_ns
                    left[other] -= rounds
                spread = (rounds - 1) * (stride_ns - ring_size * service_ns)
                spent = rounds * ring_size * service_ns
                free = max(free, latest + max(0, spread)) + spent
                work += spent
                reach = arrival[tail] - stride_ns
                packets -= rounds * ring_size
                steps += ring_size
                continue
        if wait > 0:
            wait -= 1
        # Serve one packet: take its slot out of the ring or off the top of the heap ...
        if in_ring:
            head = (head + 1) % capacity
            ring_size -= 1
        else:
            heap_size -= 1
            moved, i = heap[heap_size], 0
            while 2 * i + 1 < heap_size:
                child = 2 * i + 1
                a = heap[child]
                if child + 1 < heap_size:
                    b = heap[child + 1]
                    if arrival[b] < arrival[a] or (arrival[b] == arrival[a] and rank[b] < rank[a]):
                        child, a = child + 1, b
                if arrival[moved] < arrival[a] or (arrival[moved] == arrival[a] and rank[moved] < rank[a]):
                    break
                heap[i] = a
                i = child
            heap[i] = moved
        # ... let the packet pass the port once that is free ...
        spent = service_ns if left[slot] > 1 else last[slot]
        free = max(free, now) + spent
        work += spent
        reach = now
        packets -= 1
        left[slot] -= 1
        # ... and put the slot where its next packet belongs: a full one at the ring's end, the last one into the heap.
        if left[slot] > 1:
            arrival[slot] = now + stride_ns
            ring[(head + ring_size) % capacity] = slot
            ring_size += 1
        elif left[slot] == 1:
            arrival[slot] = now + gap[slot]
            i = heap_size
            heap_size += 1
            while i > 0:
                parent = heap[(i - 1) // 2]
                if arrival[parent] < arrival[slot] or (arrival[parent] == arrival[slot] and rank[parent] < rank[slot]):
                    break
                heap[i] = parent
                i = (i - 1) // 2
            heap[i] = slot
        else:
            done[0][found], done[1][found] = free, rank[slot]
            found += 1
    state[0], state[1], state[2], state[3] = free, work, reach, packets
    state[4], state[5], state[6], state[7] = heap_size, head, ring_size, steps
    return found
