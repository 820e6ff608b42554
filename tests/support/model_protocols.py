"""The two ways in which a program talks with its model: Anthropic's messages, OpenAI's responses.

As far as Claude Code 2.1.197 and Codex 0.171.0 need them.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.support.model_turns import (
    BreakOff,
    Call,
    Edit,
    Fail,
    Limit,
    Say,
    Shell,
    Streamed,
    Usage,
)

Program = Literal["claude", "codex"]
Event = tuple[str, dict[str, Any]]
"""An event of a stream: its name, and what it says."""
_numbers = itertools.count(1)


class Asked(NamedTuple):
    """What a request of a program asks its model."""

    program: Program
    session: str
    prompts: list[str]
    """All of the conversation so far; the last is the one being worked on."""
    directory: Path | None
    """Where the program works."""
    model: str
    is_auxiliary: bool
    """It is none of the conversation itself, but say for a title."""


def _id(kind: str) -> str:
    return f"{kind}_{next(_numbers):024}"


# ---- Claude Code ---------------------------------------------------------------------------------


def asked_by_claude(headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
    """Read a request for a message."""
    texts = [
        text
        for message in body["messages"]
        if message["role"] == "user"
        for text in [_said_by_user(message["content"])]
        if text
    ]
    return Asked(
        "claude",
        headers.get("x-claude-code-session-id", ""),
        texts,
        _directory(r"working directory: (.+)", "\n".join(_by_system(body))),
        body["model"],
        not body.get("tools"),
    )


def _by_system(body: dict[str, Any]) -> Iterator[str]:
    yield _text(body.get("system", ""))
    for message in body["messages"]:
        if message["role"] == "system":  # later versions say it here
            yield _text(message["content"])


def _said_by_user(content: Any) -> str:
    """Return a message's text without what the program adds, and without results of tools."""
    if isinstance(content, list):
        content = [one for one in content if not str(one.get("text")).startswith("<system-remind")]
    return _text(content).strip()


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def claude_events(asked: Asked, turn: Streamed) -> Iterator[Event]:
    """Return the stream of a message; of one that breaks off, as far as it comes."""
    usage = _claude_usage(turn.usage)
    blocks = [*_claude_blocks(asked, turn)]
    message: dict[str, Any] = {
        "id": _id("msg"), "type": "message", "role": "assistant", "model": asked.model,
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }  # fmt: skip
    yield "message_start", {"message": message}
    for index, (block, delta) in enumerate(blocks):
        yield "content_block_start", {"index": index, "content_block": block}
        yield "content_block_delta", {"index": index, "delta": delta}
        if isinstance(turn, BreakOff):
            return
        yield "content_block_stop", {"index": index}
    reason = "end_turn" if isinstance(turn, Say) else "tool_use"
    yield "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield "message_stop", {}


def claude_limit(turn: Limit) -> Fail:
    """Return how it is told of a limit; it believes that for an account alone, not for a key."""
    unified = "anthropic-ratelimit-unified"
    return Fail(
        429,
        "This request would exceed your account's rate limit.",
        "rate_limit_error",
        headers={
            f"{unified}-status": "rejected",
            f"{unified}-reset": str(turn.ends_at),
            f"{unified}-representative-claim": "five_hour",
        },
    )


def _claude_usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
        "output_tokens": usage.output,
    }


def _claude_blocks(asked: Asked, turn: Streamed) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if isinstance(turn, Say | BreakOff):
        yield {"type": "text", "text": ""}, {"type": "text_delta", "text": turn.text}
        return
    for name, arguments in _claude_calls(asked, turn):
        yield (
            {"type": "tool_use", "id": _id("toolu"), "name": name, "input": {}},
            {"type": "input_json_delta", "partial_json": json.dumps(arguments)},
        )


def _claude_calls(
    asked: Asked, turn: Edit | Shell | Call
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    match turn:
        case Edit():
            path = (asked.directory or Path()) / turn.path
            if path.exists():  # it overwrites no file that it has not read
                yield "Read", {"file_path": str(path)}
            yield "Write", {"file_path": str(path), "content": turn.content}
        case Shell():
            yield "Bash", {"command": turn.command, "description": "Run it"}
        case Call():
            yield turn.tool, turn.arguments


# ---- Codex ---------------------------------------------------------------------------------------

# Codex begins what it adds to a prompt of its own with a tag or a title.
_ADDED_BY_CODEX = re.compile(r"<\w+>|# AGENTS\.md instructions")


def asked_by_codex(headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
    """Read a request for a response."""
    texts = [
        "".join(part.get("text", "") for part in item["content"])
        for item in body["input"]
        if item.get("type") == "message" and item["role"] == "user"
    ]
    metadata = json.loads(headers.get("x-codex-turn-metadata", "{}"))
    return Asked(
        "codex",
        headers.get("thread-id", ""),
        [text.strip() for text in texts if not _ADDED_BY_CODEX.match(text)],
        _directory(r"<cwd>(.+?)</cwd>", "\n".join(texts)),
        body["model"],
        metadata.get("request_kind", "turn") != "turn",
    )


def codex_events(asked: Asked, turn: Streamed) -> Iterator[Event]:
    """Return the stream of a response; of one that breaks off, as far as it comes."""
    response = {"id": _id("resp"), "object": "response", "model": asked.model, "output": []}
    item = _codex_item(turn)
    yield "response.created", {"response": {**response, "status": "in_progress"}}
    if isinstance(turn, BreakOff):
        started = {**item, "status": "in_progress", "content": []}
        yield "response.output_item.added", {"output_index": 0, "item": started}
        yield "response.output_text.delta", {"item_id": item["id"], "delta": turn.text}
        return
    yield "response.output_item.done", {"output_index": 0, "item": item}
    done = {**response, "status": "completed", "output": [item], "usage": _codex_usage(turn.usage)}
    yield "response.completed", {"response": done}


def codex_limit(turn: Limit) -> Fail:
    """Return how it is told of a limit."""
    details = {"plan_type": "pro", "resets_at": turn.ends_at}
    return Fail(429, "The usage limit has been reached", "usage_limit_reached", details)


def _codex_usage(usage: Usage) -> dict[str, Any]:
    taken = usage.input + usage.cached + usage.cache_write
    details = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    return {
        "input_tokens": taken,
        "input_tokens_details": details,
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": taken + usage.output,
    }


def _codex_item(turn: Streamed) -> dict[str, Any]:
    match turn:
        case Say() | BreakOff():
            text = {"type": "output_text", "text": turn.text, "annotations": []}
            return {"type": "message", "id": _id("msg"), "role": "assistant",
                    "status": "completed", "content": [text]}  # fmt: skip
        case Edit():
            lines = "".join(f"+{line}\n" for line in turn.content.splitlines())
            patch = f"*** Begin Patch\n*** Add File: {turn.path}\n{lines}*** End Patch\n"
            return {"type": "custom_tool_call", "id": _id("ctc"), "call_id": _id("call"),
                    "name": "apply_patch", "input": patch, "status": "completed"}  # fmt: skip
        case Shell():
            return _codex_call("exec_command", {"cmd": turn.command, "yield_time_ms": 30000})
        case Call():
            return _codex_call(turn.tool, turn.arguments)


def _codex_call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function_call", "id": _id("fc"), "call_id": _id("call"), "name": name,
            "arguments": json.dumps(arguments), "status": "completed"}  # fmt: skip


# ---- both ----------------------------------------------------------------------------------------


def _directory(pattern: str, text: str) -> Path | None:
    found = re.search(pattern, text)
    return Path(found[1]) if found else None
