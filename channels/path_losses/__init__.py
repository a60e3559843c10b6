"""Which nodes of an IEEE 802.15.4 cell hear each other, and how loud."""
