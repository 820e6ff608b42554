"""Signed texts that say something and expire: what links, cookies and sessions are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

_ALGORITHM = "HS256"


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """Return a token; `claims` have `aud`, what it is for, and `exp`, in seconds since 1970."""
    return jwt.encode(dict(claims), secret, algorithm=_ALGORITHM)


def read_token(
    token: str, secret: str, audience: str, required: Sequence[str], now: float
) -> dict[str, Any] | None:
    """Return what a token says; None if it is forged, over, for another use, or says too little."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=audience,
            # Against the clock of whoever asks, below: PyJWT knows the machine's alone.
            options={
                "require": ["exp", *required],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError:
        return None
    expires = claims["exp"]
    return claims if isinstance(expires, int) and expires > now else None
