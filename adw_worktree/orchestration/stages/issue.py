"""The issue: the one document that the agent of a phase gets."""

from __future__ import annotations

from collections.abc import Sequence

from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.store.handovers import Handover
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project


def issue_of(project: Project, lease: Lease, assignment: Assignment) -> str:
    """Return the issue of a phase: its own part of the feature, and how to work here."""
    task, feature, phase = assignment.task, assignment.feature, assignment.phase
    prompt, count = (task.prompt, task.phases) if task is not None else ("", 1)
    before = _handed_over(task.handovers, feature.slug) if task is not None else ""
    ports = ", ".join(f"{service} {port}" for service, port in lease.ports.items())
    return f"""# {phase.title}

Feature: {feature.title}. This is phase {phase.phase_number} of {count}.

{prompt.strip()}
{before}
## How to work here

- This directory is a git worktree of its own, on the branch `{lease.branch}`. Stay in it: change no
  file outside of it, and stay on the branch.
- Ports for servers you start: {ports}; they stand in `{project.settings.env_file}`, too. Use no
  others, and end what you started.
- Commit your work, in small commits with plain messages. What you leave uncommitted is committed
  for you.
- `adw-worktree phase note -m TEXT` notes something for whoever reads along.
- If you cannot go on without a person: `adw-worktree phase block -m QUESTION`, and stop."""


def _handed_over(handovers: Sequence[Handover], slug: str) -> str:
    """Return the part on what came before; nothing if nothing did."""
    if not handovers:
        return ""
    shown = [f"### {one.title} ({slug}.{one.phase_number})\n\n{one.text}\n"
             for one in handovers if one.text]  # fmt: skip
    left_out = [f"{one.title} ({slug}.{one.phase_number})" for one in handovers if not one.text]
    lines = ["", "## What the phases before have handed over", "", *shown]
    if left_out:
        lines += [f"Left out, to keep this short: {', '.join(left_out)}.", ""]
    return "\n".join(lines)
