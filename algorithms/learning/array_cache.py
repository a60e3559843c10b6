"""Bytes that take long to make, kept on disk between runs; a damaged file is as good as none."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

from algorithms.learning.cache import cache_folder
from netsim.files import aside

_DIGEST_BYTES = 32


def remembered_bytes(key: str, compute: Callable[[], bytes]) -> bytes:
    """Return the bytes that `compute` makes, from the file `key` of netsim's cache where that is there and whole.

    Parameters
    ----------
    key
        A name of all that the result depends on, such as a digest.
    compute
        Called where there is no good file; its result is then kept. A folder that cannot be written is no error.
    """
    path = cache_folder() / f"{key}.bin"
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        body = content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() == content[:_DIGEST_BYTES]:
            return body
    body = compute()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as part, part.open("wb") as stream:
            stream.write(hashlib.sha256(body).digest())
            stream.write(body)
    return body
