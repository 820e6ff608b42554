"""Answers that were found before, for functions of bytes that are slow and always answer alike.

What holds here: nothing is remembered of a file, only of bytes. Whoever asks has read them again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """The answers to the last `size` questions."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: dict[K, V] = {}

    def recall(self, question: K) -> V | None:
        """Return the answer, None if it is not known."""
        return self._known.get(question)

    def keep(self, question: K, answer: V) -> None:
        """Remember an answer, in place of the oldest if there are too many."""
        if len(self._known) >= self._size and question not in self._known:
            for oldest in list(self._known)[:1]:
                self._known.pop(oldest, None)  # another thread may have done it
        self._known[question] = answer
