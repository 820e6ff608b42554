"""The table `[stages.verify]` of the settings, checked before anything runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from adw_worktree.errors import WorkflowInvalid
from adw_worktree.orchestration.plan.fields import Command, Listed, Seconds
from adw_worktree.orchestration.workflows.verification import ERRORS, VERIFY, Verification
from adw_worktree.settings.approvals import further_key

if TYPE_CHECKING:
    from adw_worktree.settings.model import Settings


def _pattern(value: str) -> str:
    try:
        re.search(value, "")
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}") from exc
    return value


_Address = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s\x00-\x20]+$")]
_Log = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]


class _VerifyTable(BaseModel):
    """The keys of `[stages.verify]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["gate"] = "gate"
    run: Annotated[tuple[Command, ...], Listed] = ()
    urls: Annotated[tuple[_Address, ...], Listed] = ()
    logs: Annotated[tuple[_Log, ...], Listed] = ()
    errors: Annotated[
        str, StringConstraints(min_length=1, max_length=500), AfterValidator(_pattern)
    ] = ERRORS
    delay: Seconds = 300.0
    timeout: Seconds = 600.0
    rounds: Annotated[int, Field(ge=0, le=20, strict=True)] = 3


def verification_of(settings: Settings) -> Verification | None:
    """Return the verification that the settings describe; None if they describe none.

    Raises WorkflowInvalid.
    """
    table = settings.stages.get(VERIFY)
    if table is None:
        return None
    try:
        found = _VerifyTable.model_validate(dict(table.values))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in ("stages", VERIFY, *first["loc"]))
        raise WorkflowInvalid(
            f"{where}: {first['msg']}", hint="run, urls, logs, errors, delay, timeout, rounds"
        ) from exc
    if not (found.run or found.urls or found.logs):
        raise WorkflowInvalid("stages.verify has nothing to look at", hint="set run, urls or logs")
    return Verification(
        found.run, found.urls, found.logs, found.errors, found.delay, found.timeout, found.rounds
    )


def verification_key() -> str:
    """Return what the verification goes by among what a person approves."""
    return further_key("stages", VERIFY)
