"""The file of a phase's issue: the text that its agents got when it was last started.

    <state>/issues/<feature id>/<phase number>.md

What holds here: it is whole or not there, and is the user's alone; a phase whose issue cannot be
written runs all the same.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.system.atomic import write_atomically


def issue_file(state_dir: Path, feature_id: int, number: int) -> Path:
    """Return the file of the issue of a feature's phase `number`."""
    return state_dir / "issues" / str(feature_id) / f"{number}.md"


def keep_issue(assignment: Assignment, text: str) -> None:
    """Write the issue into its file, and note in the journal that it is there, or why not."""
    number = assignment.phase.phase_number
    file, error = issue_file(assignment.state_dir, assignment.feature.id, number), None
    try:
        for directory in (file.parent.parent, file.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        write_atomically(file, text.encode(errors="replace"), mode=0o600)
    except OSError as exc:
        error = f"{file} cannot be written: {exc.strerror}"
    with suppress(OSError):  # a disk that is full of it all
        assignment.run.append("issue", path=str(file), error=error)
    summon(assignment.state_dir, assignment.attempt.token)
