"""The issue: the one document that the agent of a phase gets.

What holds here: it has the phase's own part of the feature, what the phases before have handed
over, and how to work here. Nothing of other phases, and nothing of the plan as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adw_worktree.orchestration.store.handovers import Handover
from adw_worktree.system.named_tuple import NamedTuple


class Subject(NamedTuple):
    """What an issue is about."""

    feature: str
    """The feature's title."""
    slug: str
    title: str
    number: int
    phases: int
    """How many phases the feature has."""
    part: str
    """Its part of the plan, or its prompt."""
    handovers: Sequence[Handover] = ()


class Place(NamedTuple):
    """Where its agent works."""

    branch: str
    ports: Mapping[str, int] | None
    """None as long as it has no slot."""
    env_file: str


def issue_text(subject: Subject, place: Place) -> str:
    """Return the issue of a phase."""
    return f"""# {subject.title}

Feature: {subject.feature}. This is phase {subject.number} of {subject.phases}.

{subject.part.strip()}
{_handed_over(subject)}
{how_to_work(place)}"""


def how_to_work(place: Place) -> str:
    """Return the part that is the same for every phase."""
    ports = "leased when the phase starts"
    if place.ports is not None:
        ports = ", ".join(f"{service} {port}" for service, port in place.ports.items())
    return f"""## How to work here

- This directory is a git worktree of its own, on the branch `{place.branch}`. Stay in it: change no
  file outside of it, and stay on the branch.
- Ports for servers you start: {ports}; they stand in `{place.env_file}`, too. Use no
  others, and end what you started.
- Commit your work, in small commits with plain messages. What you leave uncommitted is committed
  for you.
- `adw-worktree phase note -m TEXT` notes something for whoever reads along.
- If you cannot go on without a person: `adw-worktree phase block -m QUESTION`, and stop."""


def _handed_over(subject: Subject) -> str:
    """Return the part on what came before; nothing if nothing did."""
    if not subject.handovers:
        return ""
    names = {one.phase_number: f"{one.title} ({subject.slug}.{one.phase_number})"
             for one in subject.handovers}  # fmt: skip
    shown = [f"### {names[one.phase_number]}\n\n{one.text}\n"
             for one in subject.handovers if one.text]  # fmt: skip
    left_out = [names[one.phase_number] for one in subject.handovers if not one.text]
    lines = ["", "## What the phases before have handed over", "", *shown]
    if left_out:
        lines += [f"Left out, to keep this short: {', '.join(left_out)}.", ""]
    return "\n".join(lines)
