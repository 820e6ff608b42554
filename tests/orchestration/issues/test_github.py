"""Requests to GitHub: each is taken, is to be tried again, or is given up; the token stays ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from adw_worktree.orchestration.issues.github import GitHub
from adw_worktree.orchestration.issues.repository import GitHubRepository
from adw_worktree.orchestration.store.deliveries import NotDelivered, Undeliverable
from tests.support.forge import TOKEN, Forge, Trouble, serving

LABELS = ("feature-1", "phase-2")
SINCE = datetime.now(UTC)
MARK = "<!-- adw-worktree of the tests -->"


@pytest.fixture
def forge() -> Iterator[Forge]:
    forge = Forge()
    with serving(forge):
        yield forge


def client(forge: Forge, patience: float = 10.0) -> GitHub:
    repository = GitHubRepository(forge.address, "127.0.0.1", "acme", "app", is_known=True)
    return GitHub(repository, TOKEN, patience)


def refusal(forge: Forge, *troubles: Trouble, patience: float = 10.0) -> NotDelivered:
    """Return why a comment is not taken, after which all goes well."""
    forge.add(labels=[], body="")
    forge.troubles = [*troubles]
    with client(forge, patience) as github, pytest.raises(NotDelivered) as caught:
        github.comment(1, "text")
    assert TOKEN not in str(caught.value)
    return caught.value


def test_an_issue_lives_from_its_creation_to_its_end(forge: Forge) -> None:
    with client(forge) as github:
        assert github.find(SINCE, MARK) is None
        made = github.create("title", f"{MARK}\ntext", LABELS)
        assert github.find(SINCE, MARK) == made
        assert not github.has_comment(made.number, MARK)
        github.comment(made.number, f"{MARK} and text")
        assert github.has_comment(made.number, MARK)
        github.close(made.number, "not_planned")
        assert (forge.issues[0]["state"], forge.issues[0]["state_reason"]) == (
            "closed", "not_planned",
        )  # fmt: skip
        github.reopen(made.number)
    assert forge.issues[0]["state"] == "open"
    assert forge.issues[0]["labels"] == [*LABELS]


def test_the_request_names_the_version_and_who_asks(forge: Forge) -> None:
    with client(forge) as github:
        github.find(SINCE, MARK)
    headers = forge.requests[0].headers
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["accept"] == "application/vnd.github+json, application/json"
    assert headers["user-agent"] == "adw-worktree"


def test_the_mark_counts_at_the_beginning_alone(forge: Forge) -> None:
    """A text of somebody else's may have it further down: his issue would be ours."""
    forge.add(labels=[*LABELS], body=f"quoted: {MARK}")
    forge.add(labels=[*LABELS], body=None)
    with client(forge) as github:
        assert github.find(SINCE, MARK) is None


def test_it_is_found_on_a_later_page(forge: Forge) -> None:
    ours = forge.add(labels=[*LABELS], body=MARK)
    for _ in range(110):
        forge.add(labels=[*LABELS], body="another one")
    with client(forge) as github:
        found = github.find(SINCE, MARK)
    assert found is not None
    assert found.number == ours["number"]
    assert len(forge.requests) == 3


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (Trouble(429, {"Retry-After": "1000"}), 1000),
        (Trouble(403, {"Retry-After": "1000"}), 1000),
        (Trouble(429), 60),
        (Trouble(403, body=b'{"message": "You have exceeded a secondary rate limit"}'), 60),
    ],
)
def test_a_limit_says_when_to_come_back(forge: Forge, trouble: Trouble, seconds: int) -> None:
    before = datetime.now(UTC)
    error = refusal(forge, trouble)
    assert not isinstance(error, Undeliverable)
    assert error.not_before is not None
    left = error.not_before - timedelta(seconds=seconds)
    assert before <= left <= datetime.now(UTC)


def test_a_limit_of_the_hour_ends_when_github_says(forge: Forge) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1900000000"}
    error = refusal(forge, Trouble(403, headers))
    assert error.not_before == datetime.fromtimestamp(1900000000, UTC)


@pytest.mark.parametrize("headers", [{"Retry-After": "9" * 40}, {"Retry-After": "-1"}])
def test_a_time_that_is_none_is_no_time(forge: Forge, headers: dict[str, str]) -> None:
    assert isinstance(refusal(forge, Trouble(403, headers)), Undeliverable)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(500),
        Trouble(503, body=b"<html>"),
        Trouble(201, body=b"{}", length=100),
        Trouble(999_999),
    ],
    ids=["500", "503 and no JSON", "broken off", "no HTTP"],
)
def test_what_may_pass_is_tried_again(forge: Forge, trouble: Trouble) -> None:
    error = refusal(forge, trouble)
    assert not isinstance(error, Undeliverable)
    assert error.not_before is None


@pytest.mark.parametrize("body", [b"", b"{", b"null", b'[{"number": "one"}]', b"\xff\xfe", b"[1]"])
def test_an_answer_that_is_none_is_not_believed(forge: Forge, body: bytes) -> None:
    forge.troubles = [Trouble(200, body=body)]
    with client(forge) as github, pytest.raises(NotDelivered) as caught:
        github.find(SINCE, MARK)
    assert not isinstance(caught.value, Undeliverable)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 304])
def test_what_will_not_pass_is_given_up(forge: Forge, status: int) -> None:
    error = refusal(forge, Trouble(status))
    assert isinstance(error, Undeliverable)
    assert f"answered {status}" in str(error)


def test_a_host_that_says_nothing_is_not_waited_for(forge: Forge) -> None:
    forge.answers.clear()
    assert "timed out" in str(refusal(forge, patience=0.1))


def test_a_host_that_is_not_there_is_tried_again(forge: Forge) -> None:
    gone = Forge()
    with serving(gone):
        pass
    error = refusal(gone)
    assert "cannot be reached" in str(error)
    assert not isinstance(error, Undeliverable)


def test_where_a_repository_has_moved_on_the_same_host_the_request_goes(forge: Forge) -> None:
    forge.add(labels=[], body="")
    forge.place = "/repositories/7/issues"
    moved = Trouble(301, {"Location": "/repositories/7/issues/1/comments"})
    forge.troubles = [moved]
    with client(forge) as github:
        github.comment(1, "text")
    assert forge.comments[1] == [{"body": "text"}]
    assert forge.changes == ["POST", "POST"]


def test_no_other_host_gets_the_token(forge: Forge) -> None:
    other = Forge()
    with serving(other):
        address = f"{other.address}/repos/acme/app/issues/1/comments"
        error = refusal(forge, Trouble(307, {"Location": address}))
    assert isinstance(error, Undeliverable)
    assert other.requests == []


def test_a_circle_is_not_followed_for_ever(forge: Forge) -> None:
    here = Trouble(302, {"Location": "/repos/acme/app/issues/1/comments"})
    assert "has moved, again and again" in str(refusal(forge, *[here] * 9))
    assert len(forge.requests) == 3


def test_a_host_that_sends_the_token_back_does_not_get_it_into_a_log(forge: Forge) -> None:
    body = f'{{"message": "no such token: {TOKEN}\\u001b[2J"}}'.encode()
    error = refusal(forge, Trouble(422, body=body))
    assert "no such token: ***\\x1b[2J" in str(error)
