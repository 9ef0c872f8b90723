"""The draw that withholds what a prompt would have been given, so that `tacit impact` has something to compare with."""

from __future__ import annotations

import hashlib
import hmac


def is_withheld(key: bytes, session: str, prompt: str, share: float) -> bool:
    """True for a share of all prompts, drawn by a keyed hash: the same prompt of a session is drawn alike each time.

    Example:
        >>> draws = [is_withheld(b"key", "session", f"prompt {n}", 0.1) for n in range(1_000)]
        >>> 70 < sum(draws) < 130
        True
    """
    digest = hmac.digest(key, f"withheld\0{session}\0{prompt}".encode("utf-8", "replace"), hashlib.sha256)
    return int.from_bytes(digest[:8]) < share * 2**64
