"""`adw-worktree feature`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome, ask, can_ask, table
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from typing import Any

    from adw_worktree.orchestration.prepare import Prepared
    from adw_worktree.orchestration.store.database import Database
    from adw_worktree.orchestration.store.records import Feature
    from adw_worktree.project import Project

EPILOG = """\
examples:
  adw-worktree feature start plans/login.md        # its phases run, as many at once as may
  adw-worktree feature start diamond.toml --wait   # and say how it goes until it is over
  adw-worktree feature add plans/login.md          # nothing of it runs before it is started:
  adw-worktree feature start login
  adw-worktree feature add --title 'Log in' --description 'with name and password'
  adw-worktree feature draft log-in                # an agent drafts its plan
  adw-worktree feature list
  adw-worktree feature show diamond
  adw-worktree feature checklist login             # what was planned, what was found, and where
  adw-worktree feature pause diamond               # start nothing more of it
  adw-worktree feature resume diamond
  adw-worktree feature cancel diamond
  adw-worktree feature retry diamond               # all that failed of it
  adw-worktree feature finish diamond              # merge its branch into the base
  adw-worktree feature priority diamond 10         # before all others

A feature goes by its slug or its id. With --wait the exit code is 0 if all is completed, 11 if a
phase failed or is blocked, 12 if a person is waited for."""

_STEERING = ("pause", "resume", "cancel", "retry")
_ACTIONS = ("start", "add", "draft", "list", "show", "checklist", *_STEERING, "priority", "finish")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument(
        "name", nargs="?", metavar="FILE|FEATURE", help="a plan, a feature file, or a slug"
    )
    parser.add_argument("value", nargs="?", type=int, metavar="N", help="of `priority`: 0 to 100")
    parser.add_argument("--title", metavar="TEXT", help="of `add`: of a feature without a plan")
    parser.add_argument("--description", metavar="TEXT", help="of `add`: what is wanted")
    parser.add_argument("--wait", action="store_true", help="wait until the feature is over")
    parser.add_argument("--yes", action="store_true", help="approve the commands without asking")
    parser.add_argument(
        "--max-running", type=int, metavar="N", help="phases that run at once, of all features"
    )

    parser.add_argument(
        "--workflow", metavar="NAME", help="of `start`: for all phases that have a prompt"
    )
    parser.add_argument("--priority", type=int, metavar="N", help="of `start`: 0 to 100")
    parser.add_argument(
        "--budget", type=float, metavar="USD", help="of `retry`: what its agents may cost in all"
    )
    parser.add_argument("--into", metavar="BRANCH", help="of `finish`: default as of finish")
    way = parser.add_mutually_exclusive_group()
    for name in ("merge", "squash", "rebase"):
        what = f"of `finish`: as the command finish has --{name}"
        way.add_argument(f"--{name}", dest="way", action="store_const", const=name, help=what)


def run(args: Namespace) -> Outcome:
    from adw_worktree.cli.commands.phase import require_budget
    from adw_worktree.orchestration.runs.summon import attend
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.settings.places import state_directory

    require_budget(args)
    if args.max_running is not None and not 1 <= args.max_running <= 1000:
        raise UsageError("--max-running takes a number from 1 to 1000", hint="3 is the default")
    if args.action == "add" and args.title is not None:
        return _add_wish(args)
    if args.action != "list" and args.name is None:
        raise UsageError(
            f"feature {args.action} needs a name",
            hint="adw-worktree feature start FILE"
            if args.action in ("start", "add")
            else "adw-worktree feature list",
        )
    if args.action == "add" or (args.action == "start" and _is_document(args)):
        return _start(args)
    database = open_store(state_directory())
    try:
        attend(database, state_directory())
        if args.action == "list":
            return _list(database)
        if args.action == "start":
            return _start_added(database, args)
        if args.action == "draft":
            return _draft(database, args.name)
        if args.action == "checklist":
            return _checklist(database, args.name)
        if args.action == "show":
            return _show(database, args.name)
        if args.action == "finish":
            return _finish(database, args)
        return _change(database, args)
    finally:
        database.close()


def _finish(database: Database, args: Namespace) -> Outcome:
    from adw_worktree.cli.commands.finish import outcome_of
    from adw_worktree.orchestration.running.landing import land, project_of_feature
    from adw_worktree.orchestration.runs.summon import summon
    from adw_worktree.orchestration.store.features import find_feature
    from adw_worktree.worktrees.finish.finish import Terms

    feature = find_feature(database, args.name)
    project = project_of_feature(feature)
    done = land(database, project, feature, Terms(into=args.into, way=args.way), output=2)
    summon(project.state_dir)  # the event is delivered
    return outcome_of(project, done, feature.slug)


def _is_document(args: Namespace) -> bool:
    """Return whether a name is that of a document, and not of a feature that was added."""
    from adw_worktree.system.paths import is_file

    return "." in args.name or "/" in args.name or is_file(args.directory / args.name)


def _start(args: Namespace) -> Outcome:
    """Add a feature to the store, and start it unless it is only to be added."""
    from shlex import quote

    from adw_worktree.orchestration.plan.load import load_document
    from adw_worktree.orchestration.prepare import beside_its_base, prepare
    from adw_worktree.orchestration.start import add, require_approved, require_settings_approved
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.project import open_project

    starts = args.action == "start"
    project = open_project(args.directory)
    document = beside_its_base(project, load_document(args.directory / args.name))
    prepared = prepare(project, document, args.workflow)
    if args.priority is not None:
        hint = f"adw-worktree feature start {quote(args.name)} --priority 10"
        _require_priority(args.priority, hint)
        urgent = prepared.plan.model_copy(update={"priority": args.priority})
        prepared = prepared._replace(plan=urgent)
    if starts or args.yes:
        _approve(project, prepared, args)
    (require_approved if starts else require_settings_approved)(project, prepared)
    database = open_store(project.state_dir)
    try:
        feature = add(database, project, prepared, starts=starts)
        notes = [*project.notices, *prepared.notes]
        if starts:
            return _started(database, project, feature, args, notes)
        text = f"added feature {feature.id}, {feature.slug}, with {_phases(prepared.plan.phases)}"
        notes.append(f"to start it: adw-worktree feature start {feature.slug}")
        return _show(database, str(feature.id))._replace(text=text, notes=notes)
    finally:
        database.close()


def _add_wish(args: Namespace) -> Outcome:
    """Add a feature that has a title and a description, and no plan yet."""
    from adw_worktree.orchestration.generating import add_wish
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.project import open_project

    if args.name is not None:
        raise UsageError(
            "feature add takes either a document or --title",
            hint="adw-worktree feature add --title 'Log in'",
        )
    project = open_project(args.directory)
    database = open_store(project.state_dir)
    try:
        feature = add_wish(database, project, args.title, args.description or "")
        text = f"added feature {feature.id}, {feature.slug}, which has no plan yet"
        notes = [f"to have an agent draft it: adw-worktree feature draft {feature.slug}"]
        return _show(database, str(feature.id))._replace(text=text, notes=notes)
    finally:
        database.close()


def _draft(database: Database, name: str) -> Outcome:
    """Have an agent draft the plan of a feature that was added without one."""
    from adw_worktree.orchestration.generating import generate
    from adw_worktree.orchestration.running.landing import project_of_feature
    from adw_worktree.orchestration.store.features import find_feature

    feature = find_feature(database, name)
    planned = generate(database, project_of_feature(feature), feature)
    outcome = _show(database, str(planned.id))
    text = f"drafted {planned.plan_path}, with {_phases(outcome.data['phases'])}"
    notes = [f"read it; then adw-worktree feature start {planned.slug}"]
    return outcome._replace(text=text, notes=notes)


def _start_added(database: Database, args: Namespace) -> Outcome:
    """Start a feature that was added before."""
    from adw_worktree.orchestration.prepare import prepared_before
    from adw_worktree.orchestration.running.landing import project_of_feature
    from adw_worktree.orchestration.start import require_approved, start
    from adw_worktree.orchestration.store import features, steering

    feature = features.find_feature(database, args.name)
    features.require_added(database, feature)
    if args.workflow is not None:
        raise UsageError(
            f"feature {feature.slug} has its workflow since it was added",
            hint=f"adw-worktree feature cancel {feature.slug}; then add it again",
        )
    project = project_of_feature(feature)
    prepared = prepared_before(database, project, feature)
    _approve(project, prepared, args)
    require_approved(project, prepared)
    if args.priority is not None:
        _require_priority(args.priority, f"adw-worktree feature start {feature.slug} --priority 10")
        steering.set_feature_priority(database, feature.slug, args.priority)
    started = start(database, project, feature)
    return _started(database, project, started, args, [*prepared.notes])


def _started(
    database: Database, project: Project, feature: Feature, args: Namespace, notes: list[str]
) -> Outcome:
    """Wake the coordinator for a feature that was started; say so, or how it goes."""
    from adw_worktree.orchestration.start import set_going

    set_going(database, project, args.max_running)
    if args.wait:
        from adw_worktree.cli.terminal.phases_view import wait_for_feature

        return wait_for_feature(database, project.state_dir, feature, as_json=args.json)
    outcome = _show(database, str(feature.id))
    text = f"started feature {feature.id}, {feature.slug}, with {_phases(outcome.data['phases'])}"
    follow = f"to follow it: adw-worktree feature show {feature.slug}"
    return outcome._replace(text=text, notes=[*notes, *_unserved(database, feature), follow])


def _unserved(database: Database, feature: Feature) -> list[str]:
    """Return a note if phases of a feature are ready that no host may start."""
    if not database.is_shared:
        return []
    from adw_worktree.orchestration.store.claimable import unserved

    found = [name for name in unserved(database) if name.startswith(f"{feature.slug}.")]
    if not found:
        return []
    return [f"no host that works has what {', '.join(found[:5])} needs: adw-worktree worker list"]


def _phases(rows: Sequence[object]) -> str:
    return "1 phase" if len(rows) == 1 else f"{len(rows)} phases"


def _require_priority(number: int | None, hint: str) -> None:
    if number is None or not 0 <= number <= 100:
        raise UsageError("a priority is a number from 0 to 100", hint=hint)


def _approve(project: Project, prepared: Prepared, args: Namespace) -> None:
    """Approve the commands of the feature, with --yes or by asking on the terminal."""
    from adw_worktree.orchestration.start import approve, asked, is_approved

    if is_approved(project, prepared):
        return
    shown = "\n".join(f"  {line}" for line in asked(prepared))
    question = f"{prepared.origin.plan_path} asks to run:\n{shown}"
    if args.yes or (not args.json and can_ask() and ask(question, "approve and start?")):
        approve(project, prepared)


def _list(database: Database) -> Outcome:
    from adw_worktree.orchestration.store.records import features
    from adw_worktree.orchestration.store.results import feature_rows

    rows = feature_rows(database, features(database))
    shown = [
        [str(row["feature_id"]), row["slug"], row["status"], _counts(row), row["title"]]
        for row in rows
    ]
    text = table(["ID", "SLUG", "STATUS", "PHASES", "TITLE"], shown) if rows else "no features"
    return Outcome({"features": rows}, text)


def _checklist(database: Database, name: str) -> Outcome:
    """Show what was planned of each phase, with what was found of it."""
    from adw_worktree.cli.terminal.phases_view import checklist_lines
    from adw_worktree.orchestration.store.checklists import checklist
    from adw_worktree.orchestration.store.features import find_feature
    from adw_worktree.orchestration.store.records import name_of, phases
    from adw_worktree.orchestration.store.results import checklist_rows

    feature = find_feature(database, name)
    rows, lines = [], []
    for phase in phases(database, "feature_id = ?", [feature.id], order="phase_number"):
        items = checklist_rows(checklist(database, phase.id))
        called = name_of(feature, phase)
        rows.append({"name": called, "title": phase.title, "checklist": items})
        lines += [f"{called} {phase.title}", *checklist_lines(items)]
    return Outcome({"phases": rows}, "\n".join(lines))


def _counts(row: dict[str, Any]) -> str:
    from adw_worktree.cli.terminal.phases_view import warned

    found = [f"{count} {status}" for status, count in sorted(row["phases"].items())]
    return " ".join([", ".join(found), *warned(row)])


def _show(database: Database, name: str) -> Outcome:
    from adw_worktree.cli.terminal.phases_view import landing_lines, phase_table, warned
    from adw_worktree.orchestration.store.features import find_feature
    from adw_worktree.orchestration.store.results import feature_row, phase_rows

    feature = find_feature(database, name)
    rows = phase_rows(database, feature)
    row = feature_row(database, feature)
    status = " ".join([feature.status, *warned(row)])
    head = f"{feature.slug} ({feature.id}): {feature.title}, {status}, on {feature.branch}"
    about = [*_costs(row["cost"]), *landing_lines(feature), *_verified(feature)]
    return Outcome({"feature": row, "phases": rows}, "\n".join([head, *about, phase_table(rows)]))


def _costs(cost: dict[str, Any]) -> list[str]:
    """Return a line on what a feature's agents have cost; none if none was called."""
    if not cost["calls"]:
        return []
    unknown = f", and {cost['unknown']} of them at a cost unknown" if cost["unknown"] else ""
    calls = "1 call" if cost["calls"] == 1 else f"{cost['calls']} calls"
    return [f"cost: ${cost['usd']:.4f} for {calls} of agents{unknown}"]


def _verified(feature: Feature) -> list[str]:
    """Return a line on the verification of a feature; none if nothing is known of one."""
    if feature.verify_at is not None:
        return [f"verify: at {feature.verify_at[:19]} UTC"]
    return [f"verify: {feature.verified}"] if feature.verified is not None else []


def _change(database: Database, args: Namespace) -> Outcome:
    from shlex import quote

    from adw_worktree.orchestration.runs.summon import summon
    from adw_worktree.orchestration.store import steering
    from adw_worktree.settings.places import state_directory

    if args.action == "priority":
        _require_priority(args.value, f"adw-worktree feature priority {quote(args.name)} 10")
        steering.set_feature_priority(database, args.name, args.value)
    elif args.action == "retry":
        steering.retry_feature(database, args.name, args.budget)
    else:
        change = {
            "pause": steering.pause_feature,
            "resume": steering.resume_feature,
            "cancel": steering.cancel_feature,
        }[args.action]
        change(database, args.name)
    summon(state_directory())
    return _show(database, args.name)
