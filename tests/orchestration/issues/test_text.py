"""What is written to GitHub calls nobody, and is cut to what it takes."""

from __future__ import annotations

import pytest

from adw_worktree.orchestration.issues.text import body_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask @octocat, or (@org/team)", "ask @\u2060octocat, or (@\u2060org/team)"),
        ("write to a@example.com", "write to a@example.com"),
        ("use `@app.get` here", "use `@app.get` here"),
        ("```py\n@app.get\n```\n@you", "```py\n@app.get\n```\n@\u2060you"),
        ("> ~~~\n> @x\n> ~~~\n@you", "> ~~~\n> @x\n> ~~~\n@\u2060you"),
        ("a ` and @you", "a ` and @\u2060you"),
    ],
)
def test_nobody_is_called(text: str, shown: str) -> None:
    assert body_of("<!-- m -->", text) == f"<!-- m -->\n{shown}"


def test_a_body_is_cut_to_what_github_takes() -> None:
    assert len(body_of("<!-- m -->", "@x " * 40_000)) < 65_536
