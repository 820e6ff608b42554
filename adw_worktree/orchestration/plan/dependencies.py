"""Dependencies of a task as authors write them: `none`, `Task 2, Task 4`, `Tasks 1-3 must be done`.

What holds here: a text is understood as a whole or not at all. Words that say something else than
which tasks are meant make it unclear, unless they stand in parentheses or after a dash, and name no
task there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from adw_worktree.orchestration.plan.markdown import plain
from adw_worktree.orchestration.plan.wording import ID

_NONE = (
    r"(?is)^(?:none|no dependenc(?:y|ies)|nothing|no|n\s*/?\s*a|not applicable|null|nil|\[\s*\])"
    r"(?:\s*[(,;.:\u2013\u2014-](.*))?$|^[\s\u2013\u2014-]*$"
)
_LABEL = (
    r"(?i)^(?:[-*\u2022]\s+)?"
    r"(?:(?:depends? on|dependencies|blocked by|requires|needs|after|tasks?)\s*:\s*)?"
)
_EVERY = (
    r"(?i)^(?:(?:on\s+)?(?:all|every|everything)(?:\s+(?:of\s+the|the|of|other|others|else|remaining))*"
    r"(?:\s+tasks?)?)$"
)
_BEFORE = (
    r"(?i)^(?:all|every|everything)(?:\s+of)?(?:\s+the)?\s*(?:tasks?\s+)?"
    r"(?:previous|earlier|preceding|prior|above|before)(?:\s+tasks?)?(?:\s+it)?$"
)
_LANE = (
    r"(?i)\b(?:(?:all|every)\s+(?:of\s+)?(?:the\s+)?(?:tasks?\s+)?(?:of|from|in|by)?\s*"
    r"|(?:everything|tasks?)\s+(?:of|from|in|by)\s+)?"
    r"(?:build\s*agent|agent|lane|track|work\s*stream)\s*#?([A-Z]|\d{1,3})\b(?:'s\s+tasks?)?"
)
_REMARK = (
    rf"\([^()]{{0,500}}\)|(?:\s[\u2013\u2014-]+\s(?!\s*(?:tasks?\s*)?#?{ID}\b)|:\s).{{0,500}}$"
)
_MENTION = rf"(?i)\btasks?\s*#?{ID}\b|\b(?:not|but|except|only)\s+(?:#?{ID}|task)"
_AT_ONCE = r"(?i)\b(?:parallel|independent(?:ly)?|side by side|same time|concurrently|at once)\b"
_CONDITION = r"(?i)\b(?:but|except|only|apart|unless|after|(?<!at )once|until)\b|\bagent\s*#?\d"
_OTHER_WAY = (
    r"(?i)\b(?:before|(?:needed|required|done|ready|completed?|finished|merged|landed|in place)"
    rf"\s+(?:by|for|until))\s+(?:tasks?\s*)?#?{ID}\b|\btasks?\s*#?{ID}\s+(?:requires?|depends?|waits?"
    r"|(?:is|are)\s+blocked|(?:can\s+)?starts?|needs?(?!\s+to\s+(?:be|have)))\b"
)
_OF_A_LANE = (
    rf"(?i)\btask\s*#?{ID}\s*,?\s*(?:of|from|in|by)\s+(?:build\s*)?(?:agent|lane|track)"
    rf"|(?:agent|lane|track)\s*#?\w{{1,3}}(?:\W{{1,2}}s)?\s+tasks?\s*#?{ID}\b"
)
_JOINT = r"\s*(?:-|\u2013|\u2014|\.\.+|to|through|thru|until|up to)\s*"
_SPAN_OF = rf"(?i)(?:task\s*)?#?({ID}){_JOINT}(?:task\s*)?#?({ID})"
_FILLING = """
    after all also and are as be been before blocked both by can complete completed completes
    depend depends done finished first for from has have id ids in is it landed merged must
    need needed needs of on once only package packages place ready require requires should
    start starts step steps stories story task tasks the this to too until wait waits well
    when work
"""
_ADDS_NOTHING = frozenset(_FILLING.split())
"""Words between ids."""


class Unclear(Exception):
    """A text that does not say which tasks are meant; its text says why."""


class Places:
    """The tasks that there are, in their order, and who has which."""

    def __init__(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        self._ids = [task for task, _ in tasks]
        self._lanes = [lane for _, lane in tasks]
        self._known: Mapping[str, str] = {task.casefold(): task for task in self._ids}
        self._position = {task: place for place, task in enumerate(self._ids)}

    def dependencies(self, text: str, own: str) -> tuple[str, ...]:
        """Return the ids of the tasks that the text names, for the task `own`. Raises Unclear."""
        shown = re.sub(_LABEL, "", plain(text).replace("`", ""))
        none = re.match(_NONE, shown)
        if none is not None:
            self._aside(none[1] or "", _CONDITION)
            return ()
        found: dict[str, None] = {}
        for part in re.split(r"\n|;", shown):
            bare = re.sub(_LABEL, "", part.strip().rstrip("."))
            found.update(dict.fromkeys(self._of_part(bare, own)))
        return tuple(found)

    def _of_part(self, text: str, own: str) -> Iterator[str]:
        if not text:
            return
        if text.startswith("(") and text.find(")") == len(text) - 1:
            text = text[1:-1]
        bare = re.sub(_REMARK, self._remark, text).strip(" ,.")
        if (turned := re.search(_OTHER_WAY, bare) or re.search(_OF_A_LANE, bare)) is not None:
            raise Unclear(f"it cannot be told which task {turned[0]!r} makes wait for which")
        if re.match(_BEFORE, bare):
            yield from self._ids[: self._position[own]]
            return
        if re.match(_EVERY, bare):
            yield from (task for task in self._ids if task != own)
            return
        rest, named = self._taken(bare, own)
        strange = [
            word
            for word in re.findall(r"[^\s,&+/\[\]'\"]+", rest)
            if word.casefold() not in _ADDS_NOTHING
        ]
        if strange:
            raise Unclear(f"{' '.join(strange)[:80]!r} names no task")
        if not named:
            raise Unclear(f"{text[:80]!r} names no task")
        yield from named

    def _remark(self, match: re.Match[str]) -> str:
        """Take a remark out. Raises Unclear if it names tasks itself."""
        self._aside(match[0], r"(?!)")
        return " "

    def _aside(self, text: str, doubtful: str) -> None:
        """Look at words that may be left out. Raises Unclear if they may name a task."""
        words = re.findall(r"[\w.-]*\w", text)
        ids = [word for word in words if word.casefold() in self._known]
        are_ids = ids and all(word in ids or word.casefold() in _ADDS_NOTHING for word in words)
        names = re.search(_MENTION, text) is not None and re.search(_AT_ONCE, text) is None
        if are_ids or names or re.search(doubtful, text):
            raise Unclear(f"it cannot be told whether {text.strip()[:80]!r} is meant, too")

    def _taken(self, text: str, own: str) -> tuple[str, list[str]]:
        """Return the text without the tasks that it names, and those."""
        named: list[str] = []

        def lane(match: re.Match[str]) -> str:
            number = match[1].casefold()
            pairs = zip(self._ids, self._lanes, strict=True)
            ids = [task for task, lane in pairs if lane is not None and lane.casefold() == number]
            if not ids:
                raise Unclear(f"there is no build agent {match[1]} with tasks")
            named.extend(task for task in ids if task != own)
            return " "

        def span(match: re.Match[str]) -> str:
            first, last = (self._known.get(match[part].casefold()) for part in (1, 2))
            if match[0].strip().casefold() in self._known or first is None or last is None:
                return match[0]
            begin, end = self._position[first], self._position[last]
            if begin > end:
                raise Unclear(f"{match[0].strip()!r} runs backwards")
            named.extend(task for task in self._ids[begin : end + 1] if task != own)
            return " "

        def one(match: re.Match[str]) -> str:
            task = self._known.get(match[1].casefold())
            if task is None:
                raise Unclear(f"there is no task {match[1]}")
            named.append(task)
            return " "

        text = re.sub(_LANE, lane, text)
        text = re.sub(_SPAN_OF, span, text)
        text = re.sub(rf"(?i)(?<![\w.])(?:tasks?\s*)?#?({ID})(?![\w])", one, text)
        return text, named
