"""Lines of a stream that comes in pieces."""

from __future__ import annotations

from collections.abc import Iterator

MOST_BYTES = 10 * 1024 * 1024


class Lines:
    """Puts pieces together to lines. One of more than 10 MB is passed over, and counted."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self.too_long = 0
        """How many lines were passed over."""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that end in `data`, without their line breaks."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._keep(line)
            yield from self._all()
        self._keep(rest)

    def end(self) -> Iterator[bytes]:
        """Yield what stands after the last line break, if anything does."""
        if self._length:
            yield from self._all()

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= MOST_BYTES:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def _all(self) -> Iterator[bytes]:
        line, is_whole = b"".join(self._pieces), self._length <= MOST_BYTES
        self._pieces, self._length = [], 0
        if is_whole:
            yield line
        else:
            self.too_long += 1
