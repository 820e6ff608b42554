"""`adw-worktree doctor`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import AdwError
from adw_worktree.project import project_around
from adw_worktree.settings.places import state_directory
from adw_worktree.system.paths import is_dir
from adw_worktree.system.text import pasteable
from adw_worktree.worktrees.doctor import Problem, examine, examine_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree doctor
  adw-worktree doctor --json | jq -r '.problems[].fix'

Exit code 10 if anything is wrong."""


def add_arguments(parser: ArgumentParser) -> None:
    """`doctor` takes no arguments of its own."""


def run(args: Namespace) -> Outcome:
    project = project_around(args.directory)
    problems = examine(project) if project else examine_machine(args.directory)
    problems += _of_phases()
    data = {
        "problems": [{"code": one.code, "message": one.message, "fix": one.fix} for one in problems]
    }
    return Outcome(data, _text(problems), project.notices if project else [], 10 if problems else 0)


def _of_phases() -> list[Problem]:
    """Return what is wrong with phases, if any ever ran here."""
    try:
        state_dir = state_directory()
        if not is_dir(state_dir / "phases"):
            return []
    except (AdwError, OSError):
        return []  # it was said of the pool
    from adw_worktree.orchestration.examination import examine_phases

    return examine_phases(state_dir)


def _text(problems: list[Problem]) -> str:
    if not problems:
        return "nothing is wrong"
    return "\n".join(f"{one.message}\n  mend: {pasteable(one.fix)}" for one in problems)
