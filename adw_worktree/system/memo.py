"""Answers that were found before, for functions of bytes that are slow and always answer alike.

What holds here: nothing is remembered of a file, only of bytes. Whoever asks has read them again.
"""

from __future__ import annotations

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")
else:
    K = V = None  # only a type checker asks, and typing is slow to load


class Memory(dict[K, V]):
    """The answers to the last `size` questions."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def recall(self, question: K) -> V | None:
        """Return the answer, None if it is not known."""
        return self.get(question)

    def keep(self, question: K, answer: V) -> None:
        """Remember an answer, in place of the oldest if there are too many."""
        if len(self) >= self._size and question not in self:
            with suppress(KeyError, RuntimeError, StopIteration):  # another thread came between
                del self[next(iter(self))]
        self[question] = answer


class Recent(list[tuple[bytes, V]]):
    """The answers to the last few questions of up to some million bytes.

    They are compared: of bytes that are new each time, a hash takes longer than all comparisons.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    def recall(self, data: bytes, start: int = 0, end: int | None = None) -> V | None:
        """Return the answer for `data` between `start` and `end`, None if it is not known."""
        length = (len(data) if end is None else end) - start
        for known, answer in tuple(self):
            if len(known) == length and data.startswith(known, start):
                return answer
        return None

    def keep(self, data: bytes, answer: V) -> None:
        """Remember an answer that was not known; the oldest go as soon as they are too much."""
        kept, left = [(data, answer)], self._most_bytes - len(data)
        for one in tuple(self):
            left -= len(one[0])
            if left >= 0:
                kept.append(one)
        self[:] = kept  # at once: another thread may be looking
