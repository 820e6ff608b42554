"""The fields of a lease in a ledger: what each may hold, as patterns and as a pydantic model."""

from __future__ import annotations

import re
from collections.abc import Callable

from adw_worktree.adw_id import can_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import BaseModel

SERVICE = r"[a-z][a-z0-9-]{0,31}"
DATABASE_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
TEXT = r"[^\0]{1,4096}"
PATH = r"/[^\0]{0,4095}"
ADMIN_ID = r"(?!\.{1,2}\Z)[^/\0]{1,255}"
DATABASE = r"[a-z0-9_]{1,63}"


def _checked(pattern: str) -> Callable[[object], object]:
    """Return a check of what names a file or a ref, for pydantic."""

    def check(value: object) -> object:
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(pattern, value) or not can_name(value):
            raise ValueError("is no such name")
        return value

    return check


def lease_record() -> type[BaseModel]:
    """Return the pydantic model of one entry, made on first use: importing pydantic is slow."""
    global _record_model
    if _record_model is None:
        _record_model = _define_record()
    return _record_model


_record_model: type[BaseModel] | None = None


def _define_record() -> type[BaseModel]:
    from typing import Annotated, Any, Literal

    from pydantic import (
        AfterValidator,
        AwareDatetime,
        BaseModel,
        ConfigDict,
        Field,
        field_validator,
    )

    port = Annotated[int, Field(ge=1, le=65535)]
    # Checked here, since pydantic's own `str` refuses bytes that are not UTF-8.
    text = Annotated[Any, AfterValidator(_checked(TEXT))]
    path_text = Annotated[Any, AfterValidator(_checked(PATH))]
    admin_name = Annotated[Any, AfterValidator(_checked(ADMIN_ID))]

    class LeaseRecord(BaseModel):
        model_config = ConfigDict(strict=True, extra="ignore")

        backend: port
        frontend: port
        allocated_at: Annotated[AwareDatetime, Field(strict=False)]
        slot: Annotated[int, Field(ge=0, le=9999)]
        state: Literal["pending", "active"]
        token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
        services: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], port] = {}
        path: path_text | None = None
        branch: text | None = None
        admin_id: admin_name | None = None
        device: int | None = None
        inode: int | None = None
        home_device: int | None = None
        new_branch_at: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")] | None = None

        reserved: bool | None = None
        database: Annotated[str, Field(pattern=rf"^{DATABASE}$")] | None = None

        @field_validator("allocated_at", mode="before")
        @classmethod
        def _is_text(cls, value: object) -> object:
            if not isinstance(value, str):
                raise ValueError("is not ISO 8601 text")
            return value

    return LeaseRecord
