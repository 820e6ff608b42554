"""What agents print becomes one record, whichever agent it was, and whatever is in it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adw_worktree.orchestration.agents.agent import READERS, Session
from adw_worktree.orchestration.agents.faults import fault_of, may_pass
from adw_worktree.orchestration.agents.lines import MOST_BYTES, Lines
from adw_worktree.orchestration.agents.record import Record, Tokens
from adw_worktree.orchestration.agents.registry import BUILT_IN

SAMPLES = Path(__file__).parent / "samples"


def record_of(reads: Any, *lines: Any, code: int | None = 0) -> Record:
    """Return what a reader makes of lines, each an object or bytes."""
    reader = READERS[reads]()
    for line in lines:
        reader.read(line if isinstance(line, bytes) else json.dumps(line).encode())
    return reader.record(code)


def sample(reads: Any, name: str, code: int | None = 0) -> Record:
    return record_of(reads, *(SAMPLES / name).read_bytes().splitlines(), code=code)


# ---- Claude Code ---------------------------------------------------------------------------------


def result(**more: Any) -> dict[str, Any]:
    """Return the last line of a run of Claude Code."""
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "session_id": "s1",
        "num_turns": 2,
        "result": "done",
        "total_cost_usd": 0.25,
        **more,
    }


def test_claude_counts_subagents_too() -> None:
    found = sample("claude", "claude-stream.jsonl")
    assert (found.ended, found.turns, found.answer) == ("denied", 4, "Fixed.")
    assert (found.cost_usd, found.cost_source) == (0.034466, "reported")
    assert found.tokens == Tokens(46, 51700, 14200, 770)
    assert found.denied == ("Bash",)
    assert found.session_id == "5f0c2a9e-1111-4222-8333-0123456789ab"


def test_claude_calls_an_error_a_success() -> None:
    said = "API Error: Request rejected (429) rate_limit_error"
    found = record_of(
        "claude", result(is_error=True, api_error_status=429, result=said, total_cost_usd=0), code=1
    )
    assert (found.ended, found.fault, found.error) == ("error", "rate", said)
    assert found.cost_usd == 0


def test_claude_without_a_connection() -> None:
    said = "API Error: Unable to connect to API (ConnectionRefused)"
    found = record_of("claude", result(is_error=True, api_error_status=None, result=said), code=1)
    assert (found.ended, found.fault) == ("error", "connection")


def test_claude_s_limit_has_its_end() -> None:
    event = {"type": "rate_limit_event",
             "rate_limit_info": {"status": "rejected", "resetsAt": 1795000000}}  # fmt: skip
    found = record_of("claude", event, result(is_error=True, result="limit"), code=1)
    assert (found.ended, found.resume_at) == ("limit", 1795000000)


def test_a_warning_of_claude_s_limit_is_none() -> None:
    event = {"type": "rate_limit_event",
             "rate_limit_info": {"status": "allowed_warning", "resetsAt": 1795000000}}  # fmt: skip
    assert record_of("claude", event, result()).ended == "ok"


def test_a_server_that_has_too_much_to_do_is_no_limit_of_claude_s() -> None:
    event = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}}
    said = "API Error: Server is temporarily limiting requests (not your usage limit) · slow down"
    found = record_of("claude", event, result(is_error=True, api_error_status=429, result=said))
    assert (found.ended, found.fault) == ("error", "rate")


def test_claude_that_did_not_begin_says_why() -> None:
    said = "No conversation found with session ID: s1"
    line = {"type": "result", "subtype": "error_during_execution", "is_error": True,
            "errors": [said, 5]}  # fmt: skip
    assert record_of("claude", line, code=1).error == said


@pytest.mark.parametrize(
    ("subtype", "ended"), [("error_max_turns", "turns"), ("error_max_budget_usd", "budget")]
)
def test_claude_at_its_own_bounds(subtype: str, ended: str) -> None:
    assert record_of("claude", result(subtype=subtype), code=1).ended == ended


def test_of_several_results_the_last_counts() -> None:
    found = record_of("claude", result(total_cost_usd=0.1), result(total_cost_usd=0.3))
    assert found.cost_usd == 0.3


def test_claude_that_was_killed_costs_what_nobody_knows() -> None:
    found = record_of("claude", {"type": "system", "subtype": "init", "session_id": "s"}, code=None)
    assert (found.ended, found.session_id) == ("killed", "s")
    assert (found.cost_usd, found.cost_source, found.tokens.total) == (None, "unknown", None)


# ---- Codex ---------------------------------------------------------------------------------------


def test_codex_counts_the_whole_thread() -> None:
    found = sample("codex", "codex-exec.jsonl")
    assert (found.ended, found.turns, found.answer) == ("ok", 2, "Fixed.")
    assert found.tokens == Tokens(3800, 15300, None, 520, 170)
    assert (found.cost_usd, found.cost_source) == (None, "unknown")


def test_codex_that_failed() -> None:
    message = "exceeded retry limit, last status: 429 Too Many Requests"
    found = record_of("codex", {"type": "turn.failed", "error": {"message": message}}, code=1)
    assert (found.ended, found.fault, found.error) == ("error", "rate", message)


def test_codex_s_limit_has_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        said = "You\u2019ve hit your usage limit. You may try again at Nov 29th, 2026 12:29 AM."
        found = record_of("codex", {"type": "turn.failed", "error": {"message": said}}, code=1)
        assert (found.ended, found.fault, found.error) == ("limit", None, said)
        # A minute later: it says no seconds.
        assert found.resume_at == datetime(2026, 11, 29, 5, 30, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_codex_s_limit_without_an_end() -> None:
    said = "You\u2019ve hit your usage limit. Try again later."
    found = record_of("codex", {"type": "turn.failed", "error": {"message": said}}, code=1)
    assert (found.ended, found.resume_at) == ("limit", None)
    strange = f"{said[:-6]} at Foo 31st, 9999999999999 12:61 PM."
    found = record_of("codex", {"type": "turn.failed", "error": {"message": strange}}, code=1)
    assert (found.ended, found.resume_at) == ("limit", None)


def test_codex_passes_on_what_a_server_sent() -> None:
    said = json.dumps({"error": {"type": "invalid_request_error", "message": "no such model"}})
    found = record_of("codex", {"type": "turn.failed", "error": {"message": said}}, code=1)
    assert found.error == "no such model"


def test_codex_goes_on_with_all_of_its_options() -> None:
    codex = next(agent for agent in BUILT_IN if agent.name == "codex")
    assert codex.resumes
    assert not codex._replace(command=("codex",)).resumes
    assert codex.call("prompt", Session("t1")).words == (*codex.command, "resume", "t1")


def test_an_item_of_error_alone_is_a_warning() -> None:
    item = {"type": "item.completed", "item": {"type": "error", "text": "slow"}}
    assert record_of("codex", item, {"type": "turn.completed"}).ended == "ok"


def test_codex_that_was_not_allowed() -> None:
    item = {"type": "command_execution", "command": "git push", "status": "declined"}
    found = record_of("codex", {"type": "item.completed", "item": item}, {"type": "turn.completed"})
    assert (found.ended, found.denied) == ("denied", ("git push",))


def test_codex_that_broke_off() -> None:
    assert record_of("codex", {"type": "turn.started"}, code=1).ended == "error"
    assert record_of("codex", {"type": "turn.started"}, code=None).ended == "killed"


# ---- OpenCode, Gemini, text ----------------------------------------------------------------------


def step(reason: str, cost: float, tokens: dict[str, Any]) -> dict[str, Any]:
    part = {"reason": reason, "cost": cost, "tokens": tokens}
    return {"type": "step_finish", "sessionID": "ses", "part": part}


def test_opencode_s_steps_are_added_up() -> None:
    one = {"input": 10, "output": 2, "reasoning": 1, "cache": {"read": 5, "write": 3}}
    two = {"input": 20, "output": 4, "reasoning": 0, "cache": {"read": 7, "write": 0}}
    text = {"type": "text", "sessionID": "ses", "part": {"text": "done"}}
    found = record_of("opencode", step("tool-calls", 0.1, one), step("stop", 0.2, two), text)
    assert found.tokens == Tokens(30, 12, 3, 7, 1)
    assert (found.ended, found.answer, found.session_id) == ("ok", "done", "ses")
    assert found.cost_usd == pytest.approx(0.3)


def test_opencode_that_was_not_allowed_or_stopped_half_way() -> None:
    denied = record_of("opencode", step("stop", 0, {}), {"type": "done", "rejected": ["bash"]})
    assert (denied.ended, denied.denied) == ("denied", ("bash",))
    assert record_of("opencode", step("tool-calls", 0, {})).ended == "error"
    error = {"type": "error", "error": {"name": "X", "data": {"message": "401 no key"}}}
    assert record_of("opencode", error).fault == "authentication"


def test_gemini() -> None:
    stats = {"input_tokens": 100, "cached": 40, "output_tokens": 7}
    found = record_of(
        "gemini",
        {"type": "init", "session_id": "g", "model": "gemini-x"},
        {"type": "message", "role": "assistant", "content": "do", "delta": True},
        {"type": "message", "role": "assistant", "content": "ne", "delta": True},
        {"type": "result", "status": "success", "stats": stats},
    )
    assert (found.ended, found.answer, found.model) == ("ok", "done", "gemini-x")
    assert found.tokens == Tokens(60, 40, None, 7)
    assert record_of("gemini", code=41).fault == "authentication"
    assert record_of("gemini", code=53).ended == "turns"


def test_any_program_by_its_exit_code() -> None:
    assert record_of("text", b"all", b"done").answer == "all\ndone"
    failed = record_of("text", b"503 Service Unavailable", code=3)
    assert (failed.ended, failed.fault) == ("error", "server")


# ---- whatever comes ------------------------------------------------------------------------------

KEYS = st.sampled_from(
    ["type", "subtype", "result", "usage", "modelUsage", "item", "part", "tokens", "cache", "stats",
     "error", "message", "total_cost_usd", "session_id", "permission_denials", "rejected"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["system", "result", "rate_limit_event", "item.completed", "turn.completed", "turn.failed",
     "step_finish", "error", "done", "message", "init", "text"]
)  # fmt: skip


@pytest.mark.thorough
@given(
    reads=st.sampled_from([*READERS]),
    lines=st.lists(
        st.binary(max_size=20)
        | st.builds(lambda kind, more: {**more, "type": kind}, TYPES, st.dictionaries(KEYS, JSON)),
        max_size=6,
    ),
    code=st.none() | st.integers(0, 255),
)
def test_no_line_is_too_strange(reads: Any, lines: list[Any], code: int | None) -> None:
    found = record_of(reads, *lines, code=code)
    assert found.cost_usd is None or found.cost_usd >= 0
    assert (found.cost_source == "unknown") == (found.cost_usd is None)


@given(st.lists(st.binary(max_size=8)))
def test_lines_are_whole_however_they_come(pieces: list[bytes]) -> None:
    lines = Lines()
    found = [line for piece in pieces for line in lines.take(piece)] + [*lines.end()]
    whole = b"".join(pieces).split(b"\n")
    assert found == (whole if whole[-1] else whole[:-1])


def test_a_line_that_is_too_long_is_passed_over() -> None:
    lines = Lines()
    found = [*lines.take(b"a\n" + b"x" * (MOST_BYTES + 1)), *lines.take(b"x\nb\n")]
    assert (found, lines.too_long) == ([b"a", b"b"], 1)


@pytest.mark.parametrize(
    ("message", "status", "fault", "passes"),
    [
        ("", 429, "rate", True),
        ("", 503, "server", True),
        ("", 401, "authentication", False),
        ("Overloaded", None, "server", True),
        ("We\u2019re currently experiencing high demand", None, "server", True),
        ("prompt is too long: 210000 tokens", None, "context", False),
        ("Prompt is too long", 400, "context", False),
        ("stream of errors", 400, "request", False),
        ("stream disconnected before completion", None, "connection", True),
        ("Invalid API key", None, "authentication", False),
        ("hm", None, "unknown", False),
    ],
)
def test_what_may_pass(message: str, status: int | None, fault: str, passes: bool) -> None:
    assert fault_of(message, status) == fault
    assert may_pass(fault_of(message, status)) is passes
