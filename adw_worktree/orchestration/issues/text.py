"""Texts on GitHub: titles, bodies and comments, cut to what it takes.

What holds here: each begins with a mark of its own, which no reader sees, and by which it is found
again. What agents and commands said stands fenced, so that it can neither pass for ours nor call
anybody.
"""

from __future__ import annotations

import re
from hashlib import sha256

from adw_worktree.orchestration.store.records import Attempt, Event, Feature, Phase, name_of

_MOST_TITLE = 256
_MOST_BODY = 65_000
"""Of 65,536; the mark comes on top."""
_MOST_WORDS = 2_000
_CODE = r"(?ms)(^[ >]*```.*?^[ >]*```|^[ >]*~~~.*?^[ >]*~~~|`[^`\n]+`)"
_CALL = r"(?<![\w`])@(?=\w)"


def labels_of(feature: Feature, phase: Phase) -> tuple[str, str]:
    """Return the labels of a phase's issue."""
    return f"feature-{feature.id}", f"phase-{phase.phase_number}"


def mark_of(feature: Feature, phase: Phase, event: Event | None = None) -> str:
    """Return what the issue of a phase begins with, or the comment on an event; no other has it."""
    words = (feature.repository, feature.created_at, str(phase.id))
    digest = sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:32]
    return f"<!-- adw-worktree {digest}{'' if event is None else f' {event.id}'} -->"


def title_of(feature: Feature, phase: Phase) -> str:
    """Return the title of a phase's issue."""
    return f"{name_of(feature, phase)}: {phase.title}"[:_MOST_TITLE]


def body_of(mark: str, text: str) -> str:
    """Return the body of an issue; nobody is called by what stands in it outside of code."""
    parts = re.split(_CODE, text)
    parts[::2] = [re.sub(_CALL, "@\u2060", part) for part in parts[::2]]
    text = "".join(parts)
    if len(text) > _MOST_BODY:
        text = f"{text[:_MOST_BODY]}\n\n(Cut here: GitHub takes no more.)"
    return f"{mark}\n{text}"


def begun(mark: str, attempt: Attempt | None) -> str:
    """Return the comment on a phase that has begun again."""
    number = "" if attempt is None else f": attempt {attempt.number}"
    return f"{mark}\nBegun again{number}."


def over(mark: str, how: str, attempt: Attempt | None, why: str, answer: str) -> str:
    """Return the comment on how a phase's attempt ended; `answer` is what its agents said last."""
    parts = [mark, f"**{how.capitalize()}**{_of(attempt)}."]
    if why:
        parts += ["", _fenced(why)]
    if answer:
        parts += ["", "What its agent said last:", "", _fenced(answer)]
    return "\n".join(parts)


def ended_from_outside(mark: str, how: str, why: str) -> str:
    """Return the comment on a phase that was cancelled, or is blocked by another."""
    return f"{mark}\n**{how.capitalize()}**{f' by {why}' if how == 'blocked' else ''}."


def _of(attempt: Attempt | None) -> str:
    if attempt is None or attempt.end_reason is None:
        return ""
    reason = "" if attempt.end_reason == "completed" else f" ({attempt.end_reason})"
    commit = f", at commit {attempt.head_commit}" if attempt.head_commit else ""
    return f" in attempt {attempt.number}{reason}{commit}"


def _fenced(text: str) -> str:
    """Return a foreign text, cut short, as a block that nothing in it ends."""
    shown = text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]} …"
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown.strip()}\n{fence}"
