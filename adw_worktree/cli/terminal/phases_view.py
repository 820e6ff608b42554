"""Phases on a terminal: tables, logs that are followed, and a feature that is waited for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from adw_worktree.cli.output import Outcome, can_draw, draw, print_event, table, terminal
from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.phases.states import WAITING_FOR_PERSON
from adw_worktree.orchestration.runs.far_logs import AGAIN_SECONDS, fetch_logs, is_far
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.runs.summon import onlooking
from adw_worktree.orchestration.store.checklists import CONCERNS
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import find_phase
from adw_worktree.orchestration.store.records import Attempt, Feature, attempts, features
from adw_worktree.orchestration.store.results import feature_row, phase_rows
from adw_worktree.system.file_watch import woken_by_writes
from adw_worktree.system.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FAILED, _WAITED_FOR = 11, 12
_CHUNK_BYTES = 65536


def phase_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return phases in columns."""
    shown = [
        [row["name"], _status(row), _needs(row), _seconds(row), row["title"], _why(row)]
        for row in rows
    ]
    return table(["PHASE", "STATUS", "AFTER", "TIME", "TITLE", "WHY"], shown)


def _status(row: Mapping[str, Any]) -> str:
    return " ".join([row["status"], *(warned(row) if row["status"] == "completed" else [])])


def warned(row: Mapping[str, Any]) -> list[str]:
    """Return words on what the checklists of a phase or a feature have found; none if nothing."""
    count = sum(row["checklist"].get(verdict, 0) for verdict in CONCERNS)
    return [] if not count else ["with 1 warning" if count == 1 else f"with {count} warnings"]


def checklist_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return two lines for each point of a checklist: what was planned, and what was found."""
    lines = []
    for item in items:
        lines.append(f"  {item['position']:>3} {item['verdict']:<7} {item['kind']}: {item['text']}")
        found = item["evidence"] or ("not looked for yet" if item["checked_by"] == "gate"
                                     else "for a reader: phase judge")  # fmt: skip
        commit = f" (at {item['commit'][:12]})" if item["commit"] else ""
        lines.append(f"              {found}{commit}")
    return lines


def _needs(row: Mapping[str, Any]) -> str:
    return ",".join(str(number) for number in row["depends_on_phases"]) or "-"


def _seconds(row: Mapping[str, Any]) -> str:
    from datetime import UTC, datetime

    if row["started_at"] is None:
        return "-"
    end = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else datetime.now(UTC)
    seconds = max(0.0, (end - datetime.fromisoformat(row["started_at"])).total_seconds())
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _why(row: Mapping[str, Any]) -> str:
    if row["blocked_by"]:
        return f"blocked by {row['blocked_by']}"
    if row["awaits_slot"]:
        return "waits for a free slot"
    return (row["error_message"] or "").partition("\n")[0][:120]


def attempt_lines(tried: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each attempt, and below it one for each of its stages."""
    lines = []
    for one in tried:
        how = one["end_reason"] or "running"
        lines.append(f"attempt {one['number']} ({one['token']}): {how}")
        lines += [f"  {stage['name']}: {stage['status']}" for stage in one["stages"]]
        lines += [f"    {_call(call)}" for call in one["calls"]]
    return lines


def _call(call: Mapping[str, Any]) -> str:
    """Return a line on a call of an agent."""
    seconds = "" if call["latency_ms"] is None else f", {call['latency_ms'] / 1000:.1f} s"
    model = f" ({call['model']})" if call["model"] else ""
    error = f": {str(call['error']).partition(chr(10))[0][:120]}" if call["error"] else ""
    return (
        f"call {call['number']}, {call['stage']}, {call['agent']}{model}: {call['status']}"
        f"{seconds}, {money(call['cost_usd'], call['cost_source'])}{error}"
    )


def money(usd: float | None, source: str) -> str:
    """Return a cost with where it comes from; an unknown one is no 0."""
    return "cost unknown" if usd is None else f"${usd:.4f} {source}"


def landing_lines(feature: Feature) -> list[str]:
    """Return a line on what came of a feature's landing; none if nothing has yet."""
    return [f"landing: {feature.landing}"] if feature.landing is not None else []


# ---- waiting -----------------------------------------------------------------------------------


def wait_for_feature(
    database: Database, state_dir: Path, feature: Feature, *, as_json: bool
) -> Outcome:
    """Show how the phases go until the feature is over, or waits for a person.

    One that is to be merged, or to become a pull request, is over once that is done.

    On a terminal that is a table, drawn anew; elsewhere a line for each change of a status.
    """
    progress = _Lines() if as_json or not can_draw() else _Table()
    with onlooking(state_dir) as onlooker:
        while True:
            rows = phase_rows(database, feature)
            [present] = features(database, "id = ?", [feature.id])
            code = _verdict(present, rows)
            if not as_json:
                progress.show(rows)
            if code is not None:
                progress.end()
                data = {"feature": feature_row(database, present), "phases": rows}
                text = "\n".join([phase_table(rows), *landing_lines(present)])
                return Outcome(data, text, exit_code=code)
            onlooker.sleep(database, patience=progress.patience)


class _Lines:
    """A line for each change."""

    patience: float | None = None

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            status = _status(row)
            if self._known.get(row["name"]) != status:
                self._known[row["name"]] = status
                print_event(f"{row['name']} {status}")

    def end(self) -> None:
        """The table comes below."""


class _Table:
    """The table of all phases, in the place of the one before."""

    patience = 1.0
    """Seconds after which the times are drawn anew."""

    def __init__(self) -> None:
        self._lines = 0

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        size = terminal()
        lines = [line[: size.columns - 1] for line in phase_table(rows).split("\n")]
        lines = lines[: size.lines - 1]
        self.end()
        self._lines = len(lines)
        draw("\n".join([*lines, ""]))

    def end(self) -> None:
        """Take it away."""
        draw(f"\033[{self._lines}F\033[J" if self._lines else "")


def _verdict(feature: Feature, rows: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the exit code of a feature that is over, or waits for a person; None if it goes on."""
    statuses = {row["status"] for row in rows}
    if statuses == {"completed"}:
        if feature.land != "leave" and feature.landing is None:
            return None
        return _FAILED if (feature.landing or "").startswith("failed") else 0
    goes_on = (
        statuses & {"ready", "running"} if feature.status == "running" else statuses & {"running"}
    )
    if goes_on:
        return None
    if statuses & WAITING_FOR_PERSON or feature.status == "paused":
        return _WAITED_FOR
    return _FAILED


# ---- logs --------------------------------------------------------------------------------------


def log_outcome(database: Database, state_dir: Path, name: str) -> Outcome:
    """Return what the last attempt of a phase printed. Raises UnknownPhase if it has none yet."""
    attempt = _last_attempt(database, name)
    why = fetch_logs(database, state_dir, attempt)
    text = b"".join(_Log(path).more() for path in _logs(state_dir, attempt)).decode(
        errors="backslashreplace"
    )
    data = {"name": name, "attempt": attempt.token, "log": text}
    return Outcome(data, text.rstrip("\n"), [why] if why else [], exact=True)


def follow_log(database: Database, state_dir: Path, name: str) -> Outcome:
    """Print what the last attempt of a phase prints, as it comes, until it has ended.

    Raises UnknownPhase if it has none yet.
    """
    attempt = _last_attempt(database, name)
    far = is_far(database, state_dir, attempt)
    fetch_logs(database, state_dir, attempt)
    known: dict[Path, _Log] = {}
    directory = run_directory(state_dir, attempt.token).path
    with onlooking(state_dir) as onlooker, woken_by_writes(directory) as woken:
        while True:
            with suppress(BlockingIOError):
                os.read(woken, _CHUNK_BYTES)
            present = attempts(database, "token = ?", [attempt.token])[0]
            why = fetch_logs(database, state_dir, present)
            for path in _logs(state_dir, attempt):
                _show(known.setdefault(path, _Log(path)).more())
            if present.ended_at is not None:
                text = f"attempt {present.number} ended: {present.end_reason}"
                return Outcome({}, text, [why] if why else [])
            onlooker.sleep(database, [woken], AGAIN_SECONDS if far else None)


class _Log:
    """A log, and how far it was read."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def more(self) -> bytes:
        """Return what was written since the last time."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return data


def _show(data: bytes) -> None:
    if not data:
        return
    text = data.decode(errors="backslashreplace")
    # To a terminal go no codes that a command may have printed; to a pipe goes all of it.
    draw("\n".join(printable(line) for line in text.split("\n")) if can_draw() else text)


def _logs(state_dir: Path, attempt: Attempt) -> list[Path]:
    return run_directory(state_dir, attempt.token).logs()


def _last_attempt(database: Database, name: str) -> Attempt:
    _, phase = find_phase(database, name)
    tried = attempts(database, "phase_id = ?", [phase.id])
    if not tried:
        raise UnknownPhase(f"{name} has not run yet", hint=f"adw-worktree phase show {name}")
    return tried[-1]
