"""Contending nodes of IEEE 802.15.4: the compiled medium."""
