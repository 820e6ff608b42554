"""Calls of agents in an attempt's journal: begun, ended, and what they cost.

What holds here: a call is noted before it begins, so that one that was killed is seen, with all of
what it printed, and counted; a session that goes on is not paid twice.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from adw_worktree.orchestration.agents.agent import Agent, Session, reader_of
from adw_worktree.orchestration.agents.calling import Answer, recorded
from adw_worktree.orchestration.agents.lines import Lines
from adw_worktree.orchestration.agents.prices import priced
from adw_worktree.orchestration.agents.record import Record, without
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.store.times import now
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_ANSWER, _MOST_ERROR, _MOST_DENIED = 32_000, 2_000, 100
_CHUNK_BYTES = 1024 * 1024
_MILLISECONDS = 1e11
"""A time since 1970 beyond that is not in seconds."""
_OVERDUE_SECONDS = 30.0
_SHORTEST_LIMIT, _LONGEST_LIMIT = 2.0, 8 * 86400.0
_TOKENS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens",
           "reasoning_tokens")  # fmt: skip
_OF_BEGUN = ("number", "feature", "phase", "stage", "agent", "is_aside", "prompt_length",
             "retry_count", "started_at")  # fmt: skip
_OF_LINE = ("feature", "phase", "stage", "agent", "model", "session_id", "prompt_length", *_TOKENS,
            "cost_usd", "cost_source", "latency_ms", "status", "retry_count")  # fmt: skip
_PROVIDERS = {"claude": "anthropic", "codex": "openai", "gemini": "google"}


class Call(NamedTuple):
    """A call that is to begin."""

    number: int
    """In its attempt, from 1."""
    feature: str
    phase: str
    stage: str
    agent: Agent
    session: Session | None
    prompt_length: int
    retry_count: int
    log: str
    offset: int
    """Where in the log it begins."""
    is_aside: bool = False
    """Whether it is about something else than the stage's task."""


def begin(run: RunDirectory, earlier: Sequence[RunDirectory], call: Call) -> dict[str, Any]:
    """Note that a call begins; return what was noted. Raises OSError."""
    session = call.session.id if call.session else None
    entry = {
        **call._asdict(),
        "agent": call.agent.name,
        "reads": call.agent.reads,
        "model": call.agent.model,
        "session_id": session,
        "before": totals(run, earlier, session),
        "started_at": now(),
    }
    del entry["session"]
    run.append("call.started", **entry)
    return entry


def conclude(
    run: RunDirectory, begun: dict[str, Any], answer: Answer, resume_at: str | None
) -> Record:
    """Note what came of a call; return its record with what this call alone has cost.

    `resume_at` is when the limit ends that it met. Raises OSError.
    """
    return _conclude(run, begun, answer.record, int(answer.seconds * 1000), resume_at)


def conclude_killed(run: RunDirectory) -> None:
    """Note what came of calls whose runner was killed, as far as their logs tell.

    Raises OSError.
    """
    entries = run.journal()[0]
    over = {entry.get("number") for entry in entries if entry["kind"] == "call"}
    for begun in entries:
        if begun["kind"] == "call.started" and begun.get("number") not in over:
            record = _read_again(run, begun)._replace(ended="killed")
            _conclude(run, begun, record, None, None)


def _read_again(run: RunDirectory, begun: dict[str, Any]) -> Record:
    """Return the record of a call, from its log."""
    reader, lines = reader_of(begun["reads"], os.environ), Lines()
    for data in _log(run.path / begun["log"], begun["offset"]):
        for line in lines.take(data):
            reader.read(line)
    return recorded(reader, None, begun.get("model"))


def _log(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while data := file.read(_CHUNK_BYTES):
                yield data
    except FileNotFoundError:
        return


def _conclude(
    run: RunDirectory,
    begun: dict[str, Any],
    record: Record,
    latency_ms: int | None,
    resume_at: str | None,
) -> Record:
    booked = priced(without(record, begun["before"]), begun["model"])
    entry = {
        **{key: begun[key] for key in _OF_BEGUN},
        "model": record.model or begun["model"],
        "session_id": record.session_id or begun["session_id"],
        "turns": record.turns,
        **dict(zip(_TOKENS, booked.tokens, strict=True)),
        "cost_usd": None if booked.cost_usd is None else round(booked.cost_usd, 9),
        "cost_source": booked.cost_source,
        "status": record.ended,
        "error": (record.error or "")[:_MOST_ERROR] or None,
        "denied": [*record.denied][:_MOST_DENIED],
        "latency_ms": latency_ms,
        "resume_at": resume_at,
        "totals": [record.cost_usd, *record.tokens],
        "answer": (record.answer or "")[:_MOST_ANSWER],
    }
    run.append("call", **entry)
    _append_line(run, entry, begun["reads"])
    return booked


def totals(
    run: RunDirectory, earlier: Sequence[RunDirectory], session: str | None
) -> list[float | None]:
    """Return the most that was noted of a session: cost, and each of the tokens."""
    noted = [
        entry["totals"]
        for directory in ((run, *earlier) if session is not None else ())
        for entry in directory.journal()[0]
        if entry["kind"] == "call" and entry.get("session_id") == session
    ]
    return [max((one for one in column if one is not None), default=None)
            for column in zip(*noted, strict=True)]  # fmt: skip


def sessions(run: RunDirectory, earlier: Sequence[RunDirectory], stage: str) -> dict[str, str]:
    """Return the last session of each agent in a stage, by the agent's name."""
    found: dict[str, str] = {}
    for directory in (*reversed(earlier), run):
        for entry in directory.journal()[0]:
            is_call = entry["kind"] in ("call", "call.started") and entry.get("stage") == stage
            if is_call and isinstance(entry.get("session_id"), str):
                found[entry["agent"]] = entry["session_id"]
    return found


def answers(run: RunDirectory, earlier: Sequence[RunDirectory]) -> dict[str, str]:
    """Return the last answer of each stage that an agent has ended well."""
    found: dict[str, str] = {}
    for directory in (*reversed(earlier), run):
        for entry in directory.journal()[0]:
            is_answer = entry["kind"] == "call" and not entry.get("is_aside")
            if is_answer and entry.get("status") in ("ok", "denied"):
                found[entry["stage"]] = entry.get("answer") or ""
    return found


def spent(run: RunDirectory, earlier: Sequence[RunDirectory], stage: str | None = None) -> float:
    """Return what the calls of these attempts have cost, as far as it is known; of one stage, if it
    is named."""
    return sum(
        entry.get("cost_usd") or 0.0
        for directory in (run, *earlier)
        for entry in directory.journal()[0]
        if entry["kind"] == "call" and stage in (None, entry.get("stage"))
    )


def resume_time(record: Record, pause: float) -> float:
    """Return when the limit ends that a call met; `pause` seconds from now if it does not say.

    One that should be over already is given a while, or it would be met again at once; one that is
    weeks away is a mistake.
    """
    now_seconds, at = time.time(), record.resume_at
    if at is not None and at > _MILLISECONDS:
        at /= 1000
    if at is None:
        return now_seconds + pause
    if at <= now_seconds:
        return now_seconds + min(pause, _OVERDUE_SECONDS)
    return min(max(at, now_seconds + _SHORTEST_LIMIT), now_seconds + _LONGEST_LIMIT)


def _append_line(run: RunDirectory, entry: dict[str, Any], reads: str) -> None:
    """Append the call to `calls.jsonl`, which has a line for each call of this machine."""
    known = [entry[name] for name in _TOKENS[:4] if entry[name] is not None]
    line = {
        "timestamp": now(),
        "event": "call",
        "provider": _PROVIDERS.get(reads, entry["agent"]),
        "attempt": run.path.name,
        **{key: entry[key] for key in _OF_LINE},
        "total_tokens": sum(known) if known else None,
    }
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    try:
        descriptor = os.open(run.path.parent.parent / "calls.jsonl", flags, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as exc:
        print(f"calls.jsonl lacks a call: {exc}", file=sys.stderr)  # the store has it
