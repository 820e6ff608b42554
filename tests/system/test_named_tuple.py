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
    assert Ours.__mro__ == (Ours, named_tuple.NamedTuple, tuple, object)
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


@pytest.mark.parametrize(
    ("places", "names"),
    [
        ((1,), {}),
        ((1, 2), {}),
        ((1, 2, "there"), {}),
        ((), {"name": "there", "across": 1}),
        ((1,), {"name": "there"}),
        ((), {}),
        ((1, 2, "there", 4), {}),
        ((1,), {"across": 1}),
        ((1,), {"deep": 1}),
        ((1, 2, "there"), {"deep": 1}),
        ((1, 2, "there", 4), {"deep": 1}),
        ((), {"up": 1}),
    ],
)
def test_values_are_taken_and_refused_as_by_typing(
    places: tuple[object, ...], names: dict[str, object]
) -> None:
    def made(of: type) -> tuple[object, ...] | type[Exception]:
        try:
            return tuple(of(*places, **names))
        except TypeError as exc:
            return type(exc)

    assert made(Ours) == made(Theirs)


def test_values_have_nothing_but_their_fields() -> None:
    ours = Ours(1)
    with pytest.raises(AttributeError):
        ours.across = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ours.deep = 2  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="deep"):
        ours._replace(deep=2)  # type: ignore[call-arg]


def test_missing_value_is_refused() -> None:
    with pytest.raises(TypeError, match="across"):
        Ours()  # type: ignore[call-arg]
