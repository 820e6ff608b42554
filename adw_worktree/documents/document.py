"""What all documents that `--json` prints have in common, and the parts that several have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

AdwId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Slot = Annotated[int, Field(ge=0, le=9999)]
Port = Annotated[int, Field(ge=1, le=65535)]
Ports = dict[str, Port]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
State = Literal["active", "pending", "reserved", "unknown", "unmanaged", "gone"]


class Document(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Done(Document):
    """A document of a command that did what it was asked to."""

    schema_version: Literal[1]
    ok: Literal[True]


class Error(Document):
    """A failure."""

    code: str
    """For programs; it never changes its meaning. See docs/exit-codes.md."""
    message: str
    """For people: one fact, with the names in it."""
    hint: str | None
    """What to do next."""


class Partly(Document):
    """A document of a command that may have done some of what it was asked to."""

    schema_version: Literal[1]
    ok: bool
    """False if something failed; the exit code is then that of `error`."""
    error: Error | None
    """The first failure."""


class Failed(Document):
    """The document of any command that failed."""

    schema_version: Literal[1]
    ok: Literal[False]
    error: Error
