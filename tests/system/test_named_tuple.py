"""Our named tuples are those of typing, without its cost."""

from __future__ import annotations

import pickle
import typing

import pytest

from adw_worktree.system import named_tuple


class Ours(named_tuple.NamedTuple):
    """A point."""

    across: int
    up: int | None = None
    """Half of what a point needs."""
    name: str = "here"

    @property
    def place(self) -> str:
        return f"{self.name} at {self.across}"


class Theirs(typing.NamedTuple):
    """A point."""

    across: int
    up: int | None = None
    """Half of what a point needs."""
    name: str = "here"

    @property
    def place(self) -> str:
        return f"{self.name} at {self.across}"


def test_class_has_what_typing_gives_it() -> None:
    assert Ours.__mro__[1:] == Theirs.__mro__[1:] == (tuple, object)
    assert Ours._fields == Theirs._fields
    assert Ours._field_defaults == Theirs._field_defaults
    for name in ("__doc__", "__module__", "__slots__"):
        assert getattr(Ours, name) == getattr(Theirs, name)
    assert Ours.__qualname__ == Ours.__name__ == "Ours"
    assert set(dir(Theirs)) - set(dir(Ours)) <= {"__orig_bases__"}


def test_values_behave_as_those_of_typing() -> None:
    ours, theirs = Ours(1, name="there"), Theirs(1, name="there")
    assert repr(ours).replace("Ours", "Theirs") == repr(theirs)
    assert tuple(ours) == tuple(theirs) == (1, None, "there")
    assert ours.place == theirs.place
    assert ours._replace(up=2)._asdict() == theirs._replace(up=2)._asdict()
    assert pickle.loads(pickle.dumps(ours)) == ours


def test_missing_value_is_refused() -> None:
    with pytest.raises(TypeError, match="across"):
        Ours()  # type: ignore[call-arg]
