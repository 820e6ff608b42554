"""What an ADW's database is called, and the url by which programs find it. Text alone.

What holds here: a name needs no quotes in SQL; a url means the same to sh, dotenv readers and
libpq, since what one of them would read in it is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from adw_worktree.settings.places import fill

MAX_NAME_BYTES = 63
"""What PostgreSQL keeps of a name; it cuts off the rest without a word."""

_URL = (
    r"(?P<scheme>postgres(?:ql)?)(?P<driver>\+[a-z0-9_]+)?://(?P<authority>[^/?#\s]*)"
    r"(?:/(?P<name>[^/?#\s]*))?(?P<query>\?[^#\s]*)?"
)
# What stays as it is; `$`, quotes and backslashes are not among it.
_SAFE = "%:/?#[]@&=+,;~"


def check_url(url: str) -> str:
    """Return `url` if a database's name can be put into it. Raises ValueError."""
    found = re.fullmatch(_URL, url)
    if found is None:
        raise ValueError("is no url such as postgresql://user@host:5432/")
    if re.search(r"[?&]dbname=", found["query"] or ""):
        raise ValueError("is a url with dbname= in it: the name goes into its path")
    return url


def program_url(url: str, name: str) -> str:
    """Return the url of the database `name` on the server of `url`, as an env file can have it."""
    found = _parsed(url)
    start = f"{found['scheme']}{found['driver'] or ''}://{found['authority']}"
    return quote(f"{start}/{name}{found['query'] or ''}", safe=_SAFE)


def server_url(url: str) -> str:
    """Return `url` as libpq takes it: without the name of a program's driver."""
    found = _parsed(url)
    path = f"/{found['name']}" if found["name"] else ""
    return f"{found['scheme']}://{found['authority']}{path}{found['query'] or ''}"


def named_in(url: str) -> str | None:
    """Return the database that `url` names, if it does."""
    return unquote(_parsed(url)["name"] or "") or None


def is_plain_name(name: str) -> bool:
    """Whether a database's name is one that `database_name` could give."""
    return re.fullmatch(rf"[a-z0-9_]{{1,{MAX_NAME_BYTES}}}", name) is not None


def database_name(template: str, values: Mapping[str, str]) -> str:
    """Return the name that `template` gives: of `a-z`, `0-9` and `_`, and not too long.

    One that is cut short ends in a digest of the whole: its end may be what tells it from others.
    """
    name = re.sub(r"[^a-z0-9]+", "_", fill(template, values).lower())
    if len(name) <= MAX_NAME_BYTES:
        return name
    from hashlib import sha256

    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME_BYTES - 9]}_{digest}"


def _parsed(url: str) -> re.Match[str]:
    found = re.fullmatch(_URL, url)
    assert found is not None, "check_url let it pass"
    return found
