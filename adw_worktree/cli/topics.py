"""What `help TOPIC` explains, and what the man page has sections on.

What holds here: what the code has a table of comes from that table, so that nothing is said twice.
A text is paragraphs, rows of a word and its meaning, and lines that are shown as they are; `…` in
backquotes stands for itself. How that looks is for `commands/help.py` and the man page's generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from adw_worktree import errors
from adw_worktree.cli.exit_codes import EXIT_CODES
from adw_worktree.settings import model
from adw_worktree.settings.check import MOMENTS, TAKES, variable_of
from adw_worktree.settings.load import WITHOUT_VARIABLE
from adw_worktree.settings.model import Settings
from adw_worktree.system import exec_command as become
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.shipped import shipped_text
from adw_worktree.worktrees.files.env_file import PLACEHOLDERS


class Rows(NamedTuple):
    """Words, and what each of them means."""

    rows: Sequence[tuple[str, str]]


class Lines(NamedTuple):
    """A text that is shown as it is."""

    text: str


Block = str | Rows | Lines
"""A `str` is a paragraph."""


class Topic(NamedTuple):
    """Something to explain."""

    summary: str
    heading: str
    """Of the man page's section."""
    blocks: Callable[[], Sequence[Block]]


def _exit_codes() -> list[Block]:
    return [
        Rows([(str(code), what) for code, what in EXIT_CODES.items()]),
        "`run` and `create --run` have the exit code of the command that they run: 127 if it was "
        "not found, 126 if it cannot be run. A command that a signal ended has 128 and the "
        "signal's number.",
    ]


def _json() -> list[Block]:
    return [
        "With `--json` a command prints one document on stdout. If it did what was asked:",
        Lines('{"schema_version": 1, "ok": true, …}'),
        "If not:",
        Lines(
            '{"schema_version": 1, "ok": false, "error": {"code": "…", "message": "…", "hint": …}}'
        ),
        "What `create --run` runs prints below that, `run` prints none unless it fails, `watch` "
        "prints one object a line until it fails, and `--help` and `--version` print text.",
        "Branch on `code` and the exit code, never on the text. `hint` may be null. The codes, "
        "each with its exit code:",
        Rows([(one.code, f"{_sentence(one)} ({one.exit_code})") for one in _failures()]),
    ]


def _failures() -> Iterator[type[errors.AdwError]]:
    """Yield every error that the command line can report, in the order in which they stand."""
    for module in (errors, become):
        for one in vars(module).values():
            if isinstance(one, type) and one.__module__ == module.__name__:
                yield one


def _sentence(described: type) -> str:
    return (described.__doc__ or "").split("\n")[0].removesuffix(".")


def _settings() -> list[Block]:
    meanings = _meanings()
    return [
        "Nothing has to be set. A later place wins, key by key: the repository's "
        "`adw-worktree.toml`, or `[tool.adw-worktree]` in its `pyproject.toml`; the user's "
        "`~/.config/adw-worktree/config.toml`; variables; flags.",
        Rows([(key, f"{meanings[key]} {_form(key)}") for key in TAKES]),
        "Commands and variables that a repository's own file asks for need approval: "
        "`adw-worktree trust`.",
        "For example:",
        Lines('worktree_path = "../{repo}.trees/{adw_id}"\n\n[services]\ndocs = 9300'),
    ]


def _meanings() -> dict[str, str]:
    """Return what stands below each field of Settings, which Python itself does not keep."""
    import ast

    tree = ast.parse(Path(model.__file__).read_text(encoding="utf-8"))
    [fields] = [
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    ]
    return {
        field.target.id: " ".join(doc.value.value.split())
        for field, doc in pairwise(fields)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


def _form(key: str) -> str:
    """Return what a key takes, and what it is without being set."""
    default = Settings._field_defaults[key]
    told = f"Takes {TAKES[key]}"
    if default is None or default in ((), {}):
        return f"{told}."
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, float):
        default = f"{default:g}"
    elif isinstance(default, Mapping):
        default = ", ".join(f"{name} = {value}" for name, value in default.items())
    return f"{told}; by default `{default}`."


def _environment() -> list[Block]:
    keys = [key for key in TAKES if key not in WITHOUT_VARIABLE]
    return [
        "These are read; an empty one counts as unset:",
        Rows(
            [
                (
                    "ADW_STATE_HOME",
                    "An absolute path for the machine's registry, locks and approvals, instead of "
                    "`$XDG_STATE_HOME/adw-worktree` or `~/.local/state/adw-worktree`. Commands "
                    "with different ones do not see each other's slots.",
                ),
                (", ".join(variable_of(key) for key in keys), "The settings of those names."),
                ("NO_COLOR, FORCE_COLOR", "No colour at all; colour although it is no terminal."),
                ("COLUMNS", "How wide the terminal is, in place of what it says."),
            ]
        ),
        "In a variable, yes and no are `true` and `false`, lists are `ADW_INCLUDE=.env,*.local`, "
        "services `ADW_SERVICES=backend=9100,frontend=9200`, and ports in containers "
        "`ADW_CONTAINER_PORTS=backend=8000,frontend=5173`. The tables "
        f"{', '.join(f'`{key}`' for key in WITHOUT_VARIABLE)} have no variable.",
        "git's own variables, `GIT_DIR` and the like, are left out of account.",
    ]


def _env_file() -> list[Block]:
    return [
        "Each worktree has a file of its variables, `.env.ports`, for `sh`, dotenv readers, docker "
        "compose and direnv alike. `run` and `env` have the same. It is rendered from this "
        "template, or from the one that the setting `template` names:",
        Lines(shipped_text("templates", "env.ports").removesuffix("\n")),
        "The placeholders of a template, and of the texts in `[values]`:",
        Rows([(f"{{{name}}}", what) for name, what in PLACEHOLDERS.items()]),
        "`{{` and `}}` are braces. In a shell:",
        Lines("set -a; . ./.env.ports"),
    ]


def _user_hooks() -> list[Block]:
    return [
        "Commands of your own, in the table `[hooks]` of the settings; for git's hooks see "
        "`adw-worktree help hooks`.",
        Rows(list(MOMENTS.items())),
        "Each is a command line for `sh`, or a list of command lines and of argument lists. They "
        "find `ADW_ID`, `ADW_SLOT`, `ADW_WORKTREE`, `ADW_BRANCH`, `ADW_REPO` and the ports in "
        "their environment; those of `prepare` only `ADW_WORKTREE` and `ADW_REPO`.",
        Lines('[hooks]\npost-create = ["cp ../../.env .env", ["npm", "ci", "--prefer-offline"]]'),
        "Those of a repository's own file run only after `adw-worktree trust`. `--no-hooks` goes "
        "without any; with `create --keep` a worktree whose `prepare` or `post-create` hook failed "
        "stays.",
    ]


def _files() -> list[Block]:
    return [
        Rows(
            [
                ("trees/ADW_ID", "The worktree; the setting `worktree_path` says where."),
                ("trees/ADW_ID/.env.ports", "Its ports."),
                ("agents/port_allocations.json", "The ledger of the repository's leases."),
                (
                    "adw-worktree.toml, pyproject.toml, ~/.config/adw-worktree/config.toml",
                    "The settings.",
                ),
                (".worktreeinclude", "Patterns of ignored files that a new worktree gets."),
                (".git/adw-worktree/trash/", "Worktrees that were removed with work in them."),
                (".git/adw-worktree/spares/", "Worktrees kept ready."),
                ("~/.local/state/adw-worktree/", "The machine's ledgers, lock and approvals."),
            ]
        ),
    ]


def _phases() -> list[Block]:
    return [
        "A feature is built in phases: a list of commands each, or the prompt of an agent (help "
        "workflows), in a worktree of its own. A phase starts when all that it depends on is "
        "completed; its commits are merged onto the branch of the feature. The file that describes "
        "one:",
        Lines(_FEATURE_FILE),
        "`feature start FILE` starts it, and comes back; with `--wait` when all is over. Nothing "
        "has to be kept running, and nothing has to be done after a crash. With `issues = "
        '"github"` at its top each phase with a prompt becomes an issue on GitHub. The statuses:',
        Rows([*_STATUSES.items()]),
    ]


_FEATURE_FILE = """\
slug = "login"
title = "Login"

[[phases]]
number = 1
title = "Table"
run = ["make table"]

[[phases]]
number = 2
title = "Check"
depends_on = [1]
run = ["make check"]
changes = "none"\
"""
_STATUSES = {
    "queued": "waits for others",
    "ready": "waits for a place, or for a free slot",
    "running": "runs",
    "review": "waits for a person",
    "paused": "is held by a person, or until the limit of its agents ends",
    "completed": "has come through, and is merged",
    "failed": "has failed; phase retry repeats it",
    "blocked": "cannot start, since another failed or was cancelled",
    "cancelled": "was ended by a person",
}


def _plans() -> list[Block]:
    return [
        "A plan is a Markdown document; plan new writes one from the template, plan check says "
        "what is wrong with it, by line, and feature start runs it. Each task becomes a phase, "
        "whose agent gets that task alone. In short:",
        Lines(_PLAN),
        "The tasks of one build agent come one after the other, unless they say otherwise; those "
        "of several run side by side. At its head a plan can have, between two lines of dashes:",
        Rows([*_PLAN_KEYS.items()]),
    ]


_PLAN = """\
# Login
## Overview
### Objective
People log in.
### Integration points
- Endpoint: `POST /api/login` in `shop/login.py` (Task 1)
## Build agent 1: backend
### Task 1: Endpoint (module: `shop/login.py`)
- Dependencies: none
- Acceptance criteria:
  - [ ] a wrong password answers 401
- Files to create:
  - `shop/login.py`
- Test cases:
  - `tests/test_login.py::test_wrong_password`: 401
## Success criteria
- [ ] `make lint` passes\
"""
_PLAN_KEYS = {
    "slug": "names the feature; default the file's name",
    "priority": "0 to 100, low is early",
    "workflow": "what each phase goes through; default build",
    "budget_usd": "what all agents may cost",
    "land": "leave, merge or pr",
    "checklist": "warn or block: what a finding does",
    "issues": "file or github",
    "phases": "tasks, or lanes: a phase for each build agent",
    "serialize_overlaps": "true: of two tasks with the same file, the second waits",
}


def _workflows() -> list[Block]:
    return [
        "A phase with a prompt is worked on by an agent. It goes through the stages of its "
        "workflow: build (build, test, checklist, ship) or sdlc (plan, validate, build, lint, "
        "test, review, document, checklist, ship, cleanup), or one of the settings. The checklist "
        "is for phases of a plan. verify comes once the whole feature has landed, if "
        "[stages.verify] says what is looked at: run, urls, logs, delay.",
        Lines(_WORKFLOW_SETTINGS),
        "A stage has run (commands), or prompt (of agents: a built-in one, or a file of the "
        "repository), or is of the kind approve, which waits for a person, or ship, which merges. "
        "What fails goes back to the agent of on_failure, as often as rounds says. The keys of a "
        "stage:",
        Rows([*_STAGE_KEYS.items()]),
    ]


_WORKFLOW_SETTINGS = """\
[stages.test]
run = ["nox -s tests"]

[stages.build]
prompt = "build"
agents = ["claude", "codex"]
budget_usd = 5.0

[workflows.careful]
stages = ["plan", "build", "test", "approve", "ship"]\
"""
_STAGE_KEYS = {
    "run": "commands; exit code 0 passes",
    "prompt": "what an agent is told, with {{issue}} and what else is known in it",
    "agents": "which; each after the first is the fallback for the one before",
    "timeout": "seconds, or 45m",
    "idle_timeout": "how long an agent may print nothing",
    "retries": "how often one is called again after what may pass by itself",
    "budget_usd": "what its agents may cost in one phase",
    "on_failure": "the stage whose agent gets what failed",
    "rounds": "how often it gets it",
}

TOPICS: Mapping[str, Topic] = {
    "exit-codes": Topic("what each exit code says", "EXIT STATUS", _exit_codes),
    "json": Topic("what --json prints, and the codes of failures", "JSON", _json),
    "settings": Topic("every setting, and where settings are read from", "SETTINGS", _settings),
    "environment": Topic("the variables that are read", "ENVIRONMENT", _environment),
    "env-file": Topic("the variables of a worktree, and templates", "ENV FILE", _env_file),
    "user-hooks": Topic("commands of your own around create and remove", "USER HOOKS", _user_hooks),
    "phases": Topic("features, and how their phases run", "PHASES", _phases),
    "plans": Topic("plans, and how they become phases", "PLANS", _plans),
    "workflows": Topic("agents, stages and workflows", "WORKFLOWS", _workflows),
    "files": Topic("what lies where", "FILES", _files),
}
"""In the order of the man page's sections."""
