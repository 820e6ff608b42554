"""GitHub's API: the few requests about issues, each of which either is taken or says why not.

What holds here: the token goes to the API's own host alone, whatever that answers, and shows in no
error. What the host sends is foreign: bounded, and checked before it is believed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from adw_worktree.orchestration.issues.repository import GitHubRepository
from adw_worktree.orchestration.store.deliveries import NotDelivered, Undeliverable
from adw_worktree.system.text import printable

if TYPE_CHECKING:
    from typing import Literal

API_VERSION = "2022-11-28"
ANSWER_SECONDS = 10.0
_MOST_BYTES = 32 * 1024 * 1024
_CLOCKS_DIFFER = timedelta(hours=1)
_A_PAGE = 50
_MOST_PAGES = 20
_MOST_MOVES = 3
_MOST_REASON = 300
_MOVED = (301, 302, 307, 308)
_PASSES = (408, 425)
"""What may pass by itself, beside 5xx and limits."""


class Issue(BaseModel):
    """An issue."""

    number: Annotated[int, Field(gt=0, lt=2**31, strict=True)]
    html_url: Annotated[str, StringConstraints(max_length=2000)]
    body: str | None = None


class _Comment(BaseModel):
    body: str | None = None


_Believed = TypeVar("_Believed")
_ISSUE = TypeAdapter(Issue)
_ISSUES = TypeAdapter(list[Issue])
_COMMENTS = TypeAdapter(list[_Comment])
_ERROR = TypeAdapter(dict[str, Any])


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class GitHub:
    """The issues of a repository. All requests raise NotDelivered.

    `patience` is in seconds, for each part of an answer.
    """

    def __init__(
        self, repository: GitHubRepository, token: str, patience: float = ANSWER_SECONDS
    ) -> None:
        import httpx2

        self._token, self._patience = token, patience
        self._issues = f"{repository.api}/repos/{repository.owner}/{repository.name}/issues"
        self._client = httpx2.Client(
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json, application/json",
                "X-GitHub-Api-Version": API_VERSION,
                "User-Agent": "adw-worktree",
            },
            timeout=patience,
            follow_redirects=False,
        )

    def __enter__(self) -> GitHub:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def find(self, since: datetime, mark: str) -> Issue | None:
        """Return the newest issue whose text begins with `mark`, and that is no older.

        Labels tell nothing: GitHub drops those that the user may not set. Its clock may be another.
        """
        oldest = since.astimezone(UTC) - _CLOCKS_DIFFER
        query = {"state": "all", "since": oldest.strftime("%Y-%m-%dT%H:%M:%SZ")}
        for page in self._pages(self._issues, query):
            for issue in self._believed(_ISSUES, page):
                if (issue.body or "").startswith(mark):
                    return issue
        return None

    def create(self, title: str, body: str, labels: Sequence[str]) -> Issue:
        """Create an issue. GitHub drops labels that the user may not set."""
        document = {"title": title, "body": body, "labels": [*labels]}
        answer = self._send("POST", self._issues, document)
        return self._believed(_ISSUE, answer.body)

    def has_comment(self, number: int, mark: str) -> bool:
        """Return whether an issue has a comment that begins with `mark`."""
        comments = (
            comment
            for page in self._pages(f"{self._issues}/{number}/comments", {})
            for comment in self._believed(_COMMENTS, page)
        )
        return any((comment.body or "").startswith(mark) for comment in comments)

    def comment(self, number: int, body: str) -> None:
        """Add a comment to an issue."""
        self._send("POST", f"{self._issues}/{number}/comments", {"body": body})

    def close(self, number: int, reason: Literal["completed", "not_planned"]) -> None:
        """Close an issue; one that is closed stays that."""
        document = {"state": "closed", "state_reason": reason}
        self._send("PATCH", f"{self._issues}/{number}", document)

    def reopen(self, number: int) -> None:
        """Open an issue again, if it is closed."""
        self._send("PATCH", f"{self._issues}/{number}", {"state": "open"})

    # ---- requests ---------------------------------------------------------------------

    def _pages(self, address: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the pages of a list, as far as somebody wants them."""
        for number in range(1, _MOST_PAGES + 1):
            page = {**query, "per_page": str(_A_PAGE), "page": str(number)}
            answer = self._send("GET", address, query=page)
            yield answer.body
            if 'rel="next"' not in answer.headers.get("link", ""):
                return

    def _send(
        self,
        method: str,
        address: str,
        document: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> _Answer:
        """Send a request, also to where its target has moved on the same host."""
        for _ in range(_MOST_MOVES):
            answer = self._ask(method, address, document, query)
            if answer.status not in _MOVED:
                self._require_taken(answer)
                return answer
            address, query = self._moved_to(address, answer), None
        raise Undeliverable(f"{address} has moved, again and again")

    def _ask(
        self,
        method: str,
        address: str,
        document: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
    ) -> _Answer:
        import httpx2

        began, body = time.monotonic(), bytearray()
        try:
            with self._client.stream(method, address, json=document, params=query) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES or time.monotonic() - began > self._patience:
                        raise NotDelivered(f"{address}: the answer takes too long, or is too long")
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            why = self._shown(str(exc) or type(exc).__name__)
            raise NotDelivered(f"{address} cannot be reached: {why}") from None
        return _Answer(response.status_code, response.headers, bytes(body))

    def _moved_to(self, address: str, answer: _Answer) -> str:
        """Return the address that an answer leads to. Raises Undeliverable if it is elsewhere."""
        import httpx2

        try:
            before = httpx2.URL(address)
            after = before.join(answer.headers.get("location", ""))
        except httpx2.InvalidURL:
            raise Undeliverable(f"{address} has moved nobody knows where to") from None
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise Undeliverable(f"{address} leads to another host; the token is not sent there")
        return str(after)

    def _require_taken(self, answer: _Answer) -> None:
        """Raise NotDelivered, or Undeliverable, if the request was not taken."""
        status = answer.status
        if 200 <= status < 300:
            return
        reason = self._shown(_message(answer.body))
        why = f"{self._issues} answered {status}{f' ({reason})' if reason else ''}"
        at = _limited_until(answer, reason)
        if at is not None:
            raise NotDelivered(why, at)
        if status >= 500 or status in _PASSES:
            raise NotDelivered(why)
        raise Undeliverable(why)

    def _believed(self, kind: TypeAdapter[_Believed], body: bytes) -> _Believed:
        try:
            return kind.validate_json(body)
        except ValidationError as exc:
            count = exc.error_count()
            why = f"{self._issues} answered with something else than issues ({count} faults)"
            raise NotDelivered(why) from None

    def _shown(self, text: str) -> str:
        """Return a text of the host's, cut short, and without the token if it sent that back."""
        return printable(text.replace(self._token, "***"))[:_MOST_REASON]


def _message(body: bytes) -> str:
    """Return what an answer says of an error; nothing if it is not as GitHub's are."""
    try:
        return str(_ERROR.validate_json(body).get("message") or "")
    except ValidationError:
        return ""


def _limited_until(answer: _Answer, reason: str) -> datetime | None:
    """Return when a limit on requests ends; None if none was met.

    Without a time GitHub wants a minute to pass. Only what it says tells a limit without one from
    a missing permission.
    """
    if answer.status not in (403, 429):
        return None
    after = answer.headers.get("retry-after", "")
    reset = answer.headers.get("x-ratelimit-reset", "")
    if _is_number(after):
        return datetime.now(UTC) + timedelta(seconds=int(after))
    if answer.headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        return datetime.fromtimestamp(int(reset), UTC)
    if answer.status == 429 or "rate limit" in reason.lower():
        return datetime.now(UTC) + timedelta(minutes=1)
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
