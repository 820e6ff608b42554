"""Codex's own record of a thread, its rollout: each answer of the model, as soon as it is there.

`codex exec --json` gives tokens at the end of a turn alone, and no model; both stand here before.
Shapes: measured with 0.171.0. A record counts once by its `response_id`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from adw_worktree.orchestration.agents.fields import added, at, count_at, document_of, text_at
from adw_worktree.orchestration.agents.record import Tokens

_NAMES = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens",
          "reasoning_output_tokens")  # fmt: skip


class Rollout(NamedTuple):
    """What a thread has taken so far."""

    model: str | None = None
    tokens: Tokens = Tokens()


def load_rollout(home: Path, thread: str) -> Rollout:
    """Return what the thread's record has; nothing if there is none."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", thread):
        return Rollout()
    model: str | None = None
    answers: dict[str | None, Tokens] = {}
    for path in sorted(home.glob(f"sessions/*/*/*/rollout-*-{thread}.jsonl")):
        for line in _lines(path):
            document = document_of(line)
            payload = at(document, "payload")
            if document.get("type") == "turn_context":
                model = text_at(payload, "model") or model
            elif document.get("type") == "token_usage_record":
                answers[text_at(payload, "response_id")] = usage_of(at(payload, "usage"))
    return Rollout(model, Tokens(*map(added, *answers.values())) if answers else Tokens())


def usage_of(usage: object) -> Tokens:
    """Return the tokens of a usage as Codex writes it, whose input has the cached ones in it."""
    taken, cached, written, output, reasoning = (count_at(usage, name) for name in _NAMES)
    alone = None if taken is None else max(0, taken - (cached or 0) - (written or 0))
    return Tokens(alone, cached, written, output, reasoning)


def codex_home(environ: Mapping[str, str]) -> Path:
    """Return where Codex has its settings and records."""
    return Path(environ.get("CODEX_HOME") or Path(environ.get("HOME") or os.sep) / ".codex")


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []
