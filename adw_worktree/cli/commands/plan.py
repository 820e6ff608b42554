"""`adw-worktree plan`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from typing import Any

    from adw_worktree.orchestration.plan.load import Loaded
    from adw_worktree.orchestration.plan.plan import Finding, Plan
    from adw_worktree.project import Project

EPILOG = """\
examples:
  adw-worktree plan new login --title "Login"     # plans/login.md, from the template
  adw-worktree plan check plans/login.md          # what is wrong with it, by line
  adw-worktree plan show plans/login.md           # its phases, and how long they take
  adw-worktree plan show plans/login.md --format svg > login.svg
  adw-worktree plan draft login "People log in with name and password"   # by an agent
  adw-worktree feature start plans/login.md

The exit code of `check` is 10 if the plan cannot be run."""

_ACTIONS = ("new", "check", "show", "draft")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument("name", metavar="SLUG|FILE", help="of a new plan, or the document")
    parser.add_argument("request", nargs="?", metavar="REQUEST", help="of `draft`: what is wanted")
    parser.add_argument("--title", help="of `new` and `draft`: default made of the slug")
    parser.add_argument(
        "--format",
        choices=("text", "json", "mermaid", "svg"),
        default="text",
        help="of `show`: how it is shown",
    )
    parser.add_argument("--agent", metavar="NAME", help="of `draft`: default the first installed")
    parser.add_argument("--budget", type=float, metavar="USD", help="of `draft`: what it may cost")


def run(args: Namespace) -> Outcome:
    actions = {"new": _new, "check": _check, "show": _show, "draft": _draft}
    if args.request is not None and args.action != "draft":
        raise UsageError(f"plan {args.action} takes one name", hint="adw-worktree plan --help")
    return actions[args.action](args)


def _new(args: Namespace) -> Outcome:
    from shlex import quote

    from adw_worktree.orchestration.plan.new import plan_path, template, write_plan
    from adw_worktree.project import open_project

    repo = open_project(args.directory).repo
    path = plan_path(repo.worktree or repo.home, args.name)
    write_plan(path, template(args.name, args.title or _title(args.name)))
    text = f"wrote {path}"
    notes = [f"to check it: adw-worktree plan check {quote(str(path))}"]
    return Outcome({"path": str(path), "slug": args.name}, text, notes)


def _title(slug: str) -> str:
    return slug.replace("-", " ").capitalize()


def _check(args: Namespace) -> Outcome:
    from adw_worktree.orchestration.plan.check import shown
    from adw_worktree.orchestration.plan.load import checked_document
    from adw_worktree.orchestration.prepare import beside_its_base
    from adw_worktree.project import project_around

    file = args.directory / args.name
    checked, document = checked_document(file)
    findings: Sequence[Finding] = checked.findings
    project = project_around(args.directory)
    if document is not None and project is not None:
        document = beside_its_base(project, document)
        findings = document.planned.warnings
    data = {"path": str(file), "errors": checked.errors,
            "findings": [one._asdict() for one in findings],
            "plan": _document(checked.plan) if checked.plan is not None else None}  # fmt: skip
    lines = shown(findings, args.name)
    if document is not None and document.plan is not None:
        lines += ["", *_table(document.plan)]
        lines += _would_run(project, document) if project is not None else []
        return Outcome(data, "\n".join(lines).strip())
    count = "1 error" if checked.errors == 1 else f"{checked.errors} errors"
    return Outcome(
        data, "\n".join([*lines, "", f"{count}: nothing of it can be run"]), exit_code=10
    )


def _would_run(project: Project, document: Loaded) -> list[str]:
    """Return what starting the plan would run here: what its phases go through."""
    from adw_worktree.errors import AdwError
    from adw_worktree.orchestration.prepare import prepare

    try:
        prepared = prepare(project, document)
    except AdwError as exc:
        return [f"it cannot be started here: {exc.message}"]
    workflows = {one.workflow.name: one.workflow for one in prepared.workflows.values()}
    lines = [f"workflow {name}: {', '.join(stage.name for stage in workflow.stages)}"
             for name, workflow in workflows.items()]  # fmt: skip
    commands = dict.fromkeys(command for _, command in prepared.commands)
    return [*lines, *(f"command of the checklist: {command}" for command in commands)]


def _table(plan: Plan) -> list[str]:
    from adw_worktree.cli.output import table
    from adw_worktree.orchestration.plan.show import HEADS, remarks, rows

    return [f"{plan.title} ({plan.slug})", table(HEADS, rows(plan)), *remarks(plan)]


def _document(plan: Plan) -> dict[str, Any]:
    from adw_worktree.orchestration.plan.show import document

    return document(plan)


def _show(args: Namespace) -> Outcome:
    import json

    from adw_worktree.orchestration.plan.check import check_plan
    from adw_worktree.orchestration.plan.drawing import svg
    from adw_worktree.orchestration.plan.load import read_document, require_right
    from adw_worktree.orchestration.plan.show import document, mermaid

    file = args.directory / args.name
    plan = require_right(check_plan(read_document(file), file.name), str(file))
    shown = document(plan)
    if args.format == "text":
        return Outcome({"plan": shown}, "\n".join(_table(plan)))
    drawn = {"json": lambda: json.dumps(shown, indent=2), "mermaid": lambda: mermaid(plan),
             "svg": lambda: svg(plan)}  # fmt: skip
    return Outcome({"plan": shown}, drawn[args.format](), exact=True)


def _draft(args: Namespace) -> Outcome:
    from shlex import quote

    from adw_worktree.orchestration.drafting import Draft, agent_for, draft
    from adw_worktree.orchestration.plan.check import shown
    from adw_worktree.orchestration.plan.new import plan_path
    from adw_worktree.project import open_project

    if not (args.request or "").strip():
        raise UsageError(
            "plan draft needs what is wanted",
            hint=f"adw-worktree plan draft {quote(args.name)} REQUEST",
        )
    if args.budget is not None and not 0 < args.budget <= 1e6:
        raise UsageError("--budget takes a sum of US dollars", hint="--budget 5")
    project = open_project(args.directory)
    directory = project.repo.worktree or project.repo.home
    path = plan_path(directory, args.name)
    title = args.title or _title(args.name)
    wanted = Draft(args.name, title, args.request, path, directory, args.budget)
    done = draft(project, agent_for(project, args.agent), wanted)
    findings = done.checked.findings
    data = {
        "path": str(path),
        "slug": args.name,
        "rounds": done.rounds,
        "errors": done.checked.errors,
        "findings": [one._asdict() for one in findings],
        "cost_usd": done.cost_usd,
    }
    notes = [f"the agent has changed {name}, too" for name in done.others]
    cost = "unknown" if done.cost_usd is None else f"${done.cost_usd:.4f}"
    times = "once" if done.rounds == 1 else f"{done.rounds} times"
    text = [*shown(findings, str(path)), f"wrote {path}; the agent was asked {times}, cost {cost}"]
    if not done.checked.errors:
        notes.append(f"read it; then adw-worktree feature start {quote(str(path))}")
    return Outcome(data, "\n".join(text), notes, 10 if done.checked.errors else 0)
