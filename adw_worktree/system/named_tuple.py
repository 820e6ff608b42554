"""`typing.NamedTuple` without loading typing, which takes a fifth of a short command.

To a type checker it is that very class. What holds here: values behave as its values do. typing
parses every annotation, and `collections.namedtuple` compiles a constructor for each class: thirty
of these took a tenth of a short command. That no default stands before a field without one is left
to the type checker.
"""

from __future__ import annotations

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    try:
        # What `collections.namedtuple` has read its fields: twice as fast as a property.
        from collections import _tuplegetter as _field
    except ImportError:
        from operator import itemgetter

        def _field(at, doc):
            return property(itemgetter(at), doc=doc)

    class _Maker(type):
        """Makes a tuple with names of a class whose annotations are the fields."""

        def __new__(mcs, name, bases, body):
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            body |= {field: _field(at, None) for at, field in enumerate(fields)}
            body |= {"__slots__": (), "__match_args__": fields}
            return super().__new__(
                mcs, name, bases, {**body, "_fields": fields, "_field_defaults": defaults}
            )

    class NamedTuple(tuple, metaclass=_Maker):
        """What classes of fields derive from, as from `typing.NamedTuple`."""

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values += cls._rest(len(values), named)
            return tuple.__new__(cls, values)

        @classmethod
        def _rest(cls, given, named):
            """Return the values of the fields after the first few that were given by place."""
            fields, defaults = cls._fields[given:], cls._field_defaults
            if not named and 0 < len(fields) <= len(defaults):
                return tuple(defaults.values())[-len(fields) :]
            known = defaults | named
            if (
                given > len(cls._fields)
                or set(named).difference(fields)
                or set(fields) - set(known)
            ):
                takes, gets = ", ".join(cls._fields), ", ".join([f"{given} by place", *named])
                raise TypeError(f"{cls.__name__} takes {takes}; it was given {gets}")
            return tuple([known[field] for field in fields])

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, /, **changes):
            values = [*map(changes.pop, self._fields, self)]
            if changes:
                raise TypeError(f"{type(self).__name__} has no {', '.join(changes)}")
            return tuple.__new__(type(self), values)

        __replace__ = _replace

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            shown = [f"{field}={value!r}" for field, value in self._asdict().items()]
            return f"{type(self).__name__}({', '.join(shown)})"

        def __getnewargs__(self):
            return tuple(self)
