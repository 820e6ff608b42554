"""The text of a document: decoded, and what a wrong code page made of it put right.

What holds here: a line of the text is a line of the file. What stands in code is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adw_worktree.orchestration.plan.plan import Finding

_SUSPICIOUS = "[\u0080-\u00ff\u0152-\u0192\ufffd€]"
_FENCE = r"^(?:\s|>|[-*+]\s|\d{1,9}[.)]\s)*(`{3,}|~{3,})"
_HIDDEN = "[\x01-\x08\x0b\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
"""Control characters, what XML does not have, and what turns the direction of the text around."""
_REPLACEMENT = "\ufffd"
_MOST_OF_A_LINE = 10_000


def decoded(data: bytes) -> tuple[str, list[Finding]]:
    """Return the text of a file, with line ends of one kind, and what was wrong with it.

    The text is empty if it cannot be read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        what = f"the byte {data[exc.start]:#04x} is not UTF-8: save the file as UTF-8"
        return "", [Finding(line, "error", what)]
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return "", [Finding(line, "error", "there is a NUL character: this is no text")]
    hidden = re.search(_HIDDEN, text)
    if hidden is not None:
        line = text.count("\n", 0, hidden.start()) + 1
        what = f"there is a character that nobody sees (U+{ord(hidden[0]):04X}): delete it"
        return "", [Finding(line, "error", what)]
    for number, one in enumerate(text.split("\n"), 1):
        if len(one) > _MOST_OF_A_LINE:
            what = f"the line has more than {_MOST_OF_A_LINE} characters"
            return "", [Finding(number, "error", what)]
    return _repaired(text)


def is_garbled(text: str) -> bool:
    """Return whether a wrong code page was at work on a text."""
    if text.isascii() or not re.search(_SUSPICIOUS, text):
        return False
    from ftfy import fix_encoding

    return fix_encoding(text) != text


def _repaired(text: str) -> tuple[str, list[Finding]]:
    if text.isascii() or not re.search(_SUSPICIOUS, text):
        return text, []
    from ftfy import fix_encoding

    lines, findings = text.split("\n"), []
    for place in _outside_of_code(lines):
        line = lines[place]
        if line.isascii():
            continue
        parts = re.split(r"(`[^`]*`)", line)
        right = "".join(one if one.startswith("`") else fix_encoding(one) for one in parts)
        if right != line:
            lines[place] = right
            findings.append(Finding(place + 1, "warning", f"read as {right.strip()[:60]!r}: the "
                                    "text went through a wrong code page"))  # fmt: skip
        if _REPLACEMENT in right:
            what = f"a character was lost: {right.strip()[:60]!r}"
            findings.append(Finding(place + 1, "error", what))
    return "\n".join(lines), _shortened(findings)


def _shortened(findings: list[Finding]) -> list[Finding]:
    """Return the findings with no more than three of those that were repaired."""
    repaired = [one for one in findings if one.level == "warning"]
    if len(repaired) <= 3:
        return findings
    rest = [one for one in findings if one.level == "error"]
    more = f"and {len(repaired) - 3} lines more, up to line {repaired[-1].line}, in the same way"
    return [*repaired[:3], Finding(repaired[3].line, "warning", more), *rest]


def _outside_of_code(lines: list[str]) -> Iterator[int]:
    fence = None
    for place, line in enumerate(lines):
        found = re.match(_FENCE, line)
        if fence is None and found is not None:
            fence = found[1]
        elif fence is None:
            yield place
        elif found is not None and found[1].startswith(fence) and not line.strip(" `~\t"):
            fence = None
