"""Turns at shipping: of the phases of a feature that have to be tested again, one at a time is.

Else each that lands would send all others back to their tests. One that is up to date needs no
turn.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class ShippingTurn:
    """The turn of one attempt. The kernel takes it back when the attempt's process ends."""

    def __init__(self, state_dir: Path, feature_id: int) -> None:
        self._path = state_dir / "phases" / f"ship-{feature_id}.lock"
        self._descriptor: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is this attempt's turn."""
        return self._descriptor is not None

    def wait(self) -> None:
        """Wait until it is. Raises OSError."""
        if self._descriptor is not None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._descriptor = descriptor

    def give_back(self) -> None:
        """Let the next one have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
