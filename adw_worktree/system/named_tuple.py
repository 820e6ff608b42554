"""`typing.NamedTuple` without loading typing, which takes a fifth of a short command.

To a type checker it is that very class. What holds here: the classes are those that
`collections.namedtuple` makes; typing makes the same, and parses every annotation first. That no
default stands before a field without one is left to the type checker.
"""

from __future__ import annotations

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        """Makes a named tuple of a class whose annotations are the fields."""

        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = body.get("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for attribute, value in body.items():
                setattr(made, attribute, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """What classes of fields derive from, as from `typing.NamedTuple`."""
