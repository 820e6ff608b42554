"""How large an issue is, beside two other ways to tell agents what to do.

Those are: each agent gets the whole plan; or each gets the parent issue, which is the plan, with
the issues of all its children. Sizes are in tokens of about four bytes: models count differently,
and none of the ways gains by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_BYTES = 4


class Sizes(NamedTuple):
    """What the agent of a phase reads, in tokens."""

    issue: int
    """The phase's own issue."""
    whole_plan: int
    """The whole plan."""
    parent_and_children: int
    """The whole plan, and the issues of all phases."""

    @property
    def saved(self) -> float:
        """How much smaller the issue is than the whole plan, from 0 to 1; below 0 if larger."""
        return 1 - self.issue / self.whole_plan


def tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text.encode(errors="replace")) // _BYTES)


def sizes(issue: str, plan: str, parts: Sequence[str], how_to_work: str) -> Sizes:
    """Return the sizes for one phase.

    `parts` are those of all phases; `how_to_work` is what an agent has to know in any case.
    """
    plan_size = tokens(plan) + tokens(how_to_work)
    return Sizes(tokens(issue), plan_size, plan_size + sum(tokens(part) for part in parts))
