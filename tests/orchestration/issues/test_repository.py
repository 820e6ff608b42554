"""Where issues go, and with whose token: by the remote's address, and never to a host unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from adw_worktree.errors import ForgeFailed
from adw_worktree.orchestration.issues.repository import GitHubRepository, github_repository
from adw_worktree.orchestration.issues.token import require_token
from adw_worktree.project import open_project
from tests.support.forge import TOKEN
from tests.support.repositories import git
from tests.support.scripted_agent import add_settings

pytestmark = pytest.mark.file_store

API = "https://api.github.com"


def of(repo: Path, address: str) -> GitHubRepository:
    """Return the repository that a remote of this address leads to."""
    git("remote", "add", "origin", address, cwd=repo)
    return github_repository(open_project(repo))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/acme/app.git", (API, "github.com")),
        ("https://github.com/acme/app/", (API, "github.com")),
        ("https://me:word@GitHub.com/acme/app", (API, "github.com")),
        ("git@github.com:acme/app.git", (API, "github.com")),
        ("github.com:/acme/app", (API, "github.com")),
        ("ssh://git@github.com/acme/app.git", (API, "github.com")),
        ("ssh://git@ssh.github.com:443/acme/app.git", (API, "github.com")),
        ("git@acme.ghe.com:acme/app.git", ("https://api.acme.ghe.com", "acme.ghe.com")),
        ("https://git.acme.org/acme/app", ("https://git.acme.org/api/v3", "git.acme.org")),
        ("git@git.acme.org:acme/app.git", ("https://git.acme.org/api/v3", "git.acme.org")),
    ],
)
def test_an_address_leads_to_a_repository(
    repo: Path, address: str, expected: tuple[str, str]
) -> None:
    found = of(repo, address)
    assert (found.api, found.host) == expected
    assert (found.owner, found.name) == ("acme", "app")
    assert found.is_known == (found.host != "git.acme.org")


@pytest.mark.parametrize(
    "address",
    ["/src/app.git", "../app", "file:///acme/app", "https://github.com/acme", "https://[/acme/app",
     "https://github.com/acme/app/tree", "https://github.com/acme/..", "git@github.com:app",
     "https://evil.example%2f/acme/app", "https://github.com/a b/app"],
)  # fmt: skip
def test_another_address_is_refused(repo: Path, address: str) -> None:
    with pytest.raises(ForgeFailed, match="leads to no repository on GitHub"):
        of(repo, address)


def test_a_remote_that_is_missing_is_named(repo: Path) -> None:
    with pytest.raises(ForgeFailed, match="there is no origin"):
        github_repository(open_project(repo))


def test_the_user_s_own_settings_name_another_api(repo: Path) -> None:
    add_settings("", github_url="https://git.acme.org/api/v3/")
    found = of(repo, "git@work:acme/app.git")
    assert found == GitHubRepository(
        "https://git.acme.org/api/v3", "git.acme.org", "acme", "app", is_known=True
    )


# ---- the token ---------------------------------------------------------------------------------


def known(host: str = "github.com", *, is_known: bool = True) -> GitHubRepository:
    return GitHubRepository(f"https://{host}", host, "acme", "app", is_known)


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a program gh that prints what is in the file of a host's name, or a variable."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "gh").write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "auth token --hostname" ] || exit 2\n'
        f'echo "${{GH_TOKEN}}${{GH_ENTERPRISE_TOKEN}}"; exec cat {tmp_path}/"$4"\n'
    )
    (directory / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    return tmp_path


def test_a_variable_comes_before_the_login_of_gh(gh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gh / "github.com").write_text("of-gh\n")
    assert require_token(known()) == "of-gh"
    monkeypatch.setenv("GH_TOKEN", "of-gh-token")
    assert require_token(known()) == "of-gh-token"
    monkeypatch.setenv("GITHUB_TOKEN", f" {TOKEN}\n")
    assert require_token(known()) == TOKEN


def test_a_host_that_nobody_named_gets_no_token_of_a_variable(
    gh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote may lead anywhere: only a login of gh for that very host says that it is GitHub."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    with pytest.raises(ForgeFailed, match=r"a token for git\.acme\.org, and gh has none"):
        require_token(known("git.acme.org", is_known=False))
    (gh / "git.acme.org").write_text("of-gh\n")
    assert require_token(known("git.acme.org", is_known=False)) == "of-gh"


def test_without_a_token_a_hint_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ForgeFailed, match=r"a token for github\.com, and there is none") as caught:
        require_token(known())
    assert str(caught.value.hint).startswith("gh auth login --hostname github.com, or set GITHUB_")


def test_a_token_that_cannot_be_one_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", f"{TOKEN}\nX-Header: {TOKEN}")
    with pytest.raises(ForgeFailed) as caught:
        require_token(known())
    assert TOKEN not in str(caught.value)
