"""`adw-worktree feature`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome, ask, can_ask, table
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Any

    from adw_worktree.orchestration.start import Prepared
    from adw_worktree.orchestration.store.database import Database
    from adw_worktree.project import Project

EPILOG = """\
examples:
  adw-worktree feature start diamond.toml          # its phases run, as many at once as may
  adw-worktree feature start diamond.toml --wait   # and say how it goes until it is over
  adw-worktree feature list
  adw-worktree feature show diamond
  adw-worktree feature pause diamond               # start nothing more of it
  adw-worktree feature resume diamond
  adw-worktree feature cancel diamond
  adw-worktree feature retry diamond               # all that failed of it
  adw-worktree feature finish diamond              # merge its branch into the base
  adw-worktree feature priority diamond 10         # before all others

A feature goes by its slug or its id. With --wait the exit code is 0 if all is completed, 11 if a
phase failed or is blocked, 12 if a person is waited for."""

_STEERING = ("pause", "resume", "cancel", "retry")
_ACTIONS = ("start", "list", "show", *_STEERING, "priority", "finish")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", metavar="FILE|FEATURE", help="a feature file, or a slug")
    parser.add_argument("value", nargs="?", type=int, metavar="N", help="of `priority`: 0 to 100")
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
    if args.action != "list" and args.name is None:
        raise UsageError(
            f"feature {args.action} needs a name",
            hint="adw-worktree feature start FILE"
            if args.action == "start"
            else "adw-worktree feature list",
        )
    if args.action == "start":
        return _start(args)
    database = open_store(state_directory())
    try:
        attend(database, state_directory())
        if args.action == "list":
            return _list(database)
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


def _start(args: Namespace) -> Outcome:
    from shlex import quote

    from adw_worktree.orchestration.runs.summon import summon
    from adw_worktree.orchestration.start import prepare, require_approved, start
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.orchestration.store.steering import set_limit
    from adw_worktree.project import open_project

    project = open_project(args.directory)
    prepared = prepare(project, args.directory / args.name, args.workflow)
    if args.priority is not None:
        hint = f"adw-worktree feature start {quote(args.name)} --priority 10"
        _require_priority(args.priority, hint)
        urgent = prepared.plan.model_copy(update={"priority": args.priority})
        prepared = prepared._replace(plan=urgent)
    _approve(project, prepared, args)
    require_approved(project, prepared)
    database = open_store(project.state_dir)
    try:
        feature = start(database, project, prepared)
        most = args.max_running or project.settings.max_running
        if most is not None:
            set_limit(database, most)
        summon(project.state_dir)
        if args.wait:
            from adw_worktree.cli.terminal.phases_view import wait_for_feature

            return wait_for_feature(database, project.state_dir, feature, as_json=args.json)
        outcome = _show(database, str(feature.id))
        count = len(prepared.plan.phases)
        phases = "1 phase" if count == 1 else f"{count} phases"
        text = f"started feature {feature.id}, {feature.slug}, with {phases}"
        follow = f"to follow it: adw-worktree feature show {feature.slug}"
        notes = [*project.notices, *prepared.notes, follow]
        return outcome._replace(text=text, notes=notes)
    finally:
        database.close()


def _require_priority(number: int | None, hint: str) -> None:
    if number is None or not 0 <= number <= 100:
        raise UsageError("a priority is a number from 0 to 100", hint=hint)


def _approve(project: Project, prepared: Prepared, args: Namespace) -> None:
    """Approve the commands of the feature, with --yes or by asking on the terminal."""
    from adw_worktree.settings.approvals import is_trusted, trust

    where = (project.state_dir, project.repo.common_dir)
    if is_trusted(*where, prepared.digest):
        return
    shown = "\n".join(_asked(prepared))
    question = f"{prepared.origin.plan_path} asks to run:\n{shown}"
    if args.yes or (not args.json and can_ask() and ask(question, "approve and start?")):
        trust(*where, prepared.digest, lock_timeout=project.settings.lock_timeout)


def _asked(prepared: Prepared) -> Iterator[str]:
    """Yield all that a feature asks to run, as a person should read it before approving."""
    from adw_worktree.orchestration.start import LANDINGS
    from adw_worktree.system.text import printable

    for phase in prepared.plan.phases:
        for command in phase.run:
            yield f"  phase {phase.number}: {printable(command)}"
        if phase.number in prepared.workflows:
            workflow = prepared.workflows[phase.number].workflow
            stages = ", ".join(stage.name for stage in workflow.stages)
            yield f"  phase {phase.number}: workflow {workflow.name} ({stages}) with the prompt"
            yield from (f"    {printable(line)}" for line in str(phase.prompt).strip().split("\n"))
    yield from (f"  {note}" for note in LANDINGS.get(prepared.land, []))
    workflows = [one.workflow for one in prepared.workflows.values()]
    commands = {command: None for one in workflows for stage in one.stages
                for command in stage.commands}  # fmt: skip
    programs = {" ".join(agent.command): agent.name for one in workflows for agent in one.agents}
    yield from (f"  stages: {printable(command)}" for command in commands)
    yield from (f"  agent {name}: {printable(words)}" for words, name in programs.items())


def _list(database: Database) -> Outcome:
    from adw_worktree.orchestration.store.records import features
    from adw_worktree.orchestration.store.results import feature_row

    rows = [feature_row(database, one) for one in features(database)]
    shown = [
        [str(row["feature_id"]), row["slug"], row["status"], _counts(row), row["title"]]
        for row in rows
    ]
    text = table(["ID", "SLUG", "STATUS", "PHASES", "TITLE"], shown) if rows else "no features"
    return Outcome({"features": rows}, text)


def _counts(row: dict[str, Any]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(row["phases"].items()))


def _show(database: Database, name: str) -> Outcome:
    from adw_worktree.cli.terminal.phases_view import phase_table
    from adw_worktree.orchestration.store.features import find_feature
    from adw_worktree.orchestration.store.results import feature_row, phase_rows

    feature = find_feature(database, name)
    rows = phase_rows(database, feature)
    head = f"{feature.slug} ({feature.id}): {feature.title}, {feature.status}, on {feature.branch}"
    row = feature_row(database, feature)
    about = [*_costs(row["cost"]), *([f"landing: {feature.landing}"] if feature.landing else [])]
    return Outcome({"feature": row, "phases": rows}, "\n".join([head, *about, phase_table(rows)]))


def _costs(cost: dict[str, Any]) -> list[str]:
    """Return a line on what a feature's agents have cost; none if none was called."""
    if not cost["calls"]:
        return []
    unknown = f", and {cost['unknown']} of them at a cost unknown" if cost["unknown"] else ""
    calls = "1 call" if cost["calls"] == 1 else f"{cost['calls']} calls"
    return [f"cost: ${cost['usd']:.4f} for {calls} of agents{unknown}"]


def _change(database: Database, args: Namespace) -> Outcome:
    from adw_worktree.orchestration.runs.summon import summon
    from adw_worktree.orchestration.store import steering
    from adw_worktree.settings.places import state_directory

    if args.action == "priority":
        _require_priority(args.value, f"adw-worktree feature priority {args.name} 10")
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
