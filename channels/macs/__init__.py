"""How the nodes of an IEEE 802.15.4 cell share their channel."""
