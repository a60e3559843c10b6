"""IEEE 802.15.4: framing, timing, who hears whom, and the schedulers of one cell."""
