"""The application header that precedes every payload: 64 bits, the most significant one first."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import HEADER_BYTES

VERSION = 1
_WIDTHS = {"version": 4, "kind": 6, "flags": 6, "sender": 24, "round": 24}


@dataclass(frozen=True, slots=True)
class Header:
    """Who sends what in which round; with the study's seed, all that a code with shared randomness needs.

    Parameters
    ----------
    kind
        A number for the message's kind, 0 to 63.
    sender, round
        Node and round, 0 to 2**24 - 1.
    flags
        Six bits that are the kind's own.
    version
        Of the format, 0 to 15.

    Examples
    --------
    >>> data = Header(kind=2, sender=3, round=7).pack()
    >>> data.hex(), Header.unpack(data + b"payload") == Header(2, 3, 7)
    ('1080000003000007', True)
    """

    kind: int
    sender: int
    round: int
    flags: int = 0
    version: int = VERSION

    def pack(self) -> bytes:
        """Return eight bytes: version 4, kind 6, flags 6, sender 24, round 24 bits.

        Raises
        ------
        EncodeError
            Naming the field that does not fit.
        """
        word = 0
        for name, width in _WIDTHS.items():
            value = getattr(self, name)
            if value < 0 or value >> width:
                raise EncodeError(f"header: {name} is a number of {width} bits, 0 to {(1 << width) - 1}. Got {value}.")
            word = word << width | value
        return word.to_bytes(HEADER_BYTES, "big")

    @classmethod
    def unpack(cls, message: bytes) -> Header:
        """Return the header that begins the message.

        Raises
        ------
        DecodeError
            If the message is shorter than a header, or of another version.
        """
        if len(message) < HEADER_BYTES:
            raise DecodeError(f"message: a header takes {HEADER_BYTES} bytes. Got {len(message)}.")
        word = int.from_bytes(message[:HEADER_BYTES], "big")
        values: dict[str, int] = {}
        for name, width in reversed(_WIDTHS.items()):
            values[name] = word & ((1 << width) - 1)
            word >>= width
        if values["version"] != VERSION:
            raise DecodeError(f"message: a header of version {VERSION} is needed. Got version {values['version']}.")
        return cls(**values)
