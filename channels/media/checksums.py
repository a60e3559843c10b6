"""Checksums of the Internet protocols, for frames in captures."""

from __future__ import annotations

import struct


def internet_checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071: the complement of the ones' complement sum of 16-bit words.

    Examples
    --------
    >>> hex(internet_checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = int(sum(words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_checksum(pseudo: bytes, head: bytes, data: bytes) -> int:
    """Return the checksum of a UDP datagram; all ones in place of 0, which would say that there is none."""
    return internet_checksum(pseudo + head + b"\0\0" + data) or 0xFFFF
