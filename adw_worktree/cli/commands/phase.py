"""`adw-worktree phase`."""

from __future__ import annotations

import os

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

    from adw_worktree.orchestration.store.database import Database

EPILOG = """\
examples:
  adw-worktree phase list                     # of the features that are not over
  adw-worktree phase show login.3             # its attempts, and how each ended
  adw-worktree phase log login.3 -f           # what its commands print
  adw-worktree phase diff login.3             # what it has committed
  adw-worktree phase issue login.3            # what its agent gets, and how much that is
  adw-worktree phase retry login.3
  adw-worktree phase cancel login.3
  adw-worktree phase pause login.3
  adw-worktree phase resume login.3
  adw-worktree phase approve login.3          # it waits at a stage of the kind approve
  adw-worktree phase reject login.3 -m 'name it otherwise'    # back to its agent
  adw-worktree phase done                     # from inside: the stage has come to its end
  adw-worktree phase fail -m 'no such table'  # from inside: it cannot
  adw-worktree phase block -m 'which port?'   # from inside: a person is needed
  adw-worktree phase note -m 'half way'
  adw-worktree phase judge login.3 --item 4 --verdict pass -m 'seen in the browser'

From inside a phase's commands nothing has to be named; from elsewhere, --attempt names the
attempt by the token that `phase show` has."""

_SHOWING = ("list", "show", "log", "diff", "issue")
_STEERING = ("retry", "cancel", "pause", "resume", "approve", "reject")
_REPORTS = ("done", "fail", "block", "note")
_JUDGING = "judge"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=[*_SHOWING, *_STEERING, *_REPORTS, _JUDGING], help="what to do"
    )
    parser.add_argument("name", nargs="?", metavar="FEATURE.N", help="the phase, such as login.3")
    parser.add_argument("--all", action="store_true", help="of `list`: those of every feature")
    parser.add_argument("-f", "--follow", action="store_true", help="of `log`: as it is written")
    parser.add_argument("-m", "--message", metavar="TEXT", help="of a report, or of `reject`")
    parser.add_argument(
        "--budget", type=float, metavar="USD", help="of `retry`: what its agents may cost in all"
    )
    parser.add_argument("--attempt", metavar="TOKEN", help="of a report from elsewhere")
    parser.add_argument(
        "--item", type=int, metavar="N", help="of `judge`: a point of the checklist"
    )
    parser.add_argument(
        "--verdict", choices=("pass", "warn", "fail", "unknown"), help="of `judge`: what it is"
    )


def run(args: Namespace) -> Outcome:
    from adw_worktree.orchestration.runs.summon import attend
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.settings.places import state_directory

    require_budget(args)
    if args.action in ("show", "log", "diff", "issue", *_STEERING) and args.name is None:
        raise UsageError(
            f"phase {args.action} needs the name of a phase", hint="adw-worktree phase list"
        )
    state_dir = state_directory()
    database = open_store(state_dir)
    try:
        attend(database, state_dir)
        if args.action == "list":
            return _list(database, everything=args.all)
        if args.action == "show":
            return _show(database, args.name)
        if args.action == "log":
            return _log(database, state_dir, args)
        if args.action == "diff":
            return _diff(database, args.name)
        if args.action == "issue":
            return _issue(database, args.name)
        if args.action == _JUDGING:
            return _judge(database, args)
        return _report(database, args) if args.action in _REPORTS else _steer(database, args)
    finally:
        database.close()


def require_budget(args: Namespace) -> None:
    """Raise UsageError if --budget is given and is no sum of money."""
    if args.budget is not None and not 0 < args.budget <= 1e6:
        raise UsageError("--budget takes a sum of US dollars", hint="--budget 5")


def _log(database: Database, state_dir: Path, args: Namespace) -> Outcome:
    from shlex import quote

    from adw_worktree.cli.terminal.phases_view import follow_log, log_outcome

    if not args.follow:
        return log_outcome(database, state_dir, args.name)
    if args.json:
        raise UsageError(
            "phase log --follow prints as it comes, and no document",
            hint=f"adw-worktree phase log {quote(args.name)} --json",
        )
    return follow_log(database, state_dir, args.name)


def _diff(database: Database, name: str) -> Outcome:
    from adw_worktree.orchestration.difference import difference
    from adw_worktree.orchestration.store.features import find_phase
    from adw_worktree.orchestration.store.records import attempts

    feature, phase = find_phase(database, name)
    found = difference(feature, phase, attempts(database, "phase_id = ?", [phase.id]))
    return Outcome({"name": name, **found._asdict()}, found.patch.removesuffix("\n"), exact=True)


def _issue(database: Database, name: str) -> Outcome:
    from adw_worktree.orchestration.preview import preview
    from adw_worktree.orchestration.store.features import find_phase

    feature, phase = find_phase(database, name)
    found = preview(database, feature, phase)
    size = found.sizes
    note = (
        f"about {size.issue} tokens; the whole plan to each agent: {size.whole_plan} "
        f"({size.saved:.0%} fewer); parent and all children: {size.parent_and_children}"
    )
    data = {"name": name, "issue": found.text, "tokens": size._asdict()}
    return Outcome(data, found.text, [note], exact=True)


def _judge(database: Database, args: Namespace) -> Outcome:
    """Note what a reader, a person or an agent, says of a point of the checklist."""
    from adw_worktree.cli.terminal.phases_view import checklist_lines
    from adw_worktree.orchestration.judging import judge
    from adw_worktree.orchestration.store.checklists import checklist
    from adw_worktree.orchestration.store.features import find_phase
    from adw_worktree.orchestration.store.results import checklist_rows

    name = args.name or os.environ.get("ADW_PHASE")
    if (
        name is None
        or args.item is None
        or args.verdict is None
        or not (args.message or "").strip()
    ):
        raise UsageError(
            "phase judge needs a phase, --item, --verdict, and the evidence with -m",
            hint="adw-worktree phase judge --help",
        )
    feature, phase = find_phase(database, name)
    judge(database, feature, phase, args.item, args.verdict, args.message)
    rows = checklist_rows(checklist(database, phase.id))
    data = {"name": name, "title": phase.title, "checklist": rows}
    [row] = [one for one in rows if one["position"] == args.item]
    return Outcome(data, "\n".join(checklist_lines([row])))


def _list(database: Database, *, everything: bool) -> Outcome:
    from adw_worktree.cli.terminal.phases_view import phase_table
    from adw_worktree.orchestration.store.records import features
    from adw_worktree.orchestration.store.results import phase_rows

    where = "1 = 1" if everything else "status IN ('running', 'paused')"
    rows = [row for one in features(database, where) for row in phase_rows(database, one)]
    if rows:
        return Outcome({"phases": rows}, phase_table(rows))
    notes = [] if everything else ["those of features that are over: adw-worktree phase list --all"]
    return Outcome({"phases": rows}, "no phases", notes)


def _show(database: Database, name: str) -> Outcome:
    from adw_worktree.cli.terminal.phases_view import attempt_lines, checklist_lines, phase_table
    from adw_worktree.orchestration.store.checklists import checklist
    from adw_worktree.orchestration.store.features import find_phase
    from adw_worktree.orchestration.store.records import events
    from adw_worktree.orchestration.store.results import (
        attempt_rows,
        checklist_rows,
        event_row,
        phase_rows,
    )

    feature, phase = find_phase(database, name)
    [row] = [one for one in phase_rows(database, feature)
             if one["phase_number"] == phase.phase_number]  # fmt: skip
    tried = attempt_rows(database, phase)
    happened = [event_row(one) for one in events(database, "phase_id = ?", [phase.id])]
    items = checklist_rows(checklist(database, phase.id))
    data = {"phase": row, "commands": phase.command_lines, "attempts": tried, "events": happened,
            "checklist": items}  # fmt: skip
    lines = [phase_table([row])]
    lines += [f"issue: #{phase.issue_number}"] if phase.issue_number is not None else []
    lines += [*attempt_lines(tried), *(["checklist:"] if items else [])]
    return Outcome(data, "\n".join([*lines, *checklist_lines(items)]))


def _steer(database: Database, args: Namespace) -> Outcome:
    from adw_worktree.orchestration.runs.summon import summon
    from adw_worktree.orchestration.store import steering
    from adw_worktree.settings.places import state_directory

    if args.action == "reject":
        if not (args.message or "").strip():
            raise UsageError(
                "phase reject needs a message", hint="say what is to change, with -m TEXT"
            )
        steering.reject_phase(database, args.name, args.message)
    elif args.action == "retry":
        steering.retry_phase(database, args.name, args.budget)
    else:
        change = {
            "cancel": steering.cancel_phase,
            "pause": steering.pause_phase,
            "resume": steering.resume_phase,
            "approve": steering.approve_phase,
        }[args.action]
        change(database, args.name)
    summon(state_directory())
    return _show(database, args.name)


def _report(database: Database, args: Namespace) -> Outcome:
    """Take what an attempt reports of itself, from inside or from elsewhere."""
    from adw_worktree.orchestration.running.reporting import deliver
    from adw_worktree.settings.places import state_directory

    token = args.attempt or os.environ.get("ADW_ATTEMPT")
    if not token:
        raise UsageError(
            f"phase {args.action} does not know which attempt reports",
            hint="call it from a command of the phase, or name it with --attempt TOKEN",
        )
    if args.action in ("note", "block", "fail") and not (args.message or "").strip():
        raise UsageError(
            f"phase {args.action} needs a message", hint="say what there is to know, with -m TEXT"
        )
    is_new = deliver(database, state_directory(), token, args.action, args.message)
    text = f"noted: {args.action}" if is_new else f"{args.action} was noted before"
    return Outcome({"attempt": token, "report": args.action, "changed": is_new}, text)
