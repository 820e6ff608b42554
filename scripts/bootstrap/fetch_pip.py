"""Install pip into the running virtual environment, from the package index, checksum verified.

For Pythons without ensurepip. The index is PIP_INDEX_URL or PyPI. It is read as HTML (PEP 503),
which every mirror serves; the JSON form is newer.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import urlopen

_WHEEL = re.compile(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl")  # final releases only


class Wheel(NamedTuple):
    """A release of pip; the greatest is the latest."""

    version: tuple[int, ...]
    name: str
    url: str
    sha256: str


class IndexPage(HTMLParser):
    """Collects the attributes of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the link."""
        if tag == "a":
            self.links.append({name: value or "" for name, value in attrs})


def main() -> None:
    """Fetch the latest pip wheel that fits this Python and let it install itself."""
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    host = urlsplit(index).hostname or "the package index"  # the address may hold a password
    try:
        url, page = _fetch(f"{index.rstrip('/')}/pip/")
        wheels = _wheels(url, page.decode())
        if not wheels:
            _fail(f"{host} has no pip for this Python")
        latest = max(wheels)
        _, data = _fetch(latest.url)
    except (OSError, HTTPException, ValueError) as exc:
        # In an address, urllib takes a password for a port, and repeats it.
        reason = "the address is of no use" if isinstance(exc, HTTPException) else str(exc)
        _fail(f"pip cannot be had from {host}: {reason}")
    if hashlib.sha256(data).hexdigest() != latest.sha256:
        _fail(f"{latest.name} does not have the checksum that {host} tells")
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, latest.name)
        wheel.write_bytes(data)
        command = [sys.executable, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        sys.exit(subprocess.run(command, check=False).returncode)


def _fetch(url: str) -> tuple[str, bytes]:
    """Return where `url` led, and what is there."""
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    with urlopen(url, timeout=60, context=context) as answer:
        return answer.url, answer.read()


def _wheels(url: str, page: str) -> list[Wheel]:
    """Return the releases that the index page at `url` offers to this Python."""
    parser = IndexPage()
    parser.feed(page)
    found = []
    for link in parser.links:
        target, checksum = urldefrag(urljoin(url, link.get("href", "")))
        name = unquote(target.rpartition("/")[2])
        match = _WHEEL.fullmatch(name)
        usable = "data-yanked" not in link and _fits(link.get("data-requires-python", ""))
        if match and usable and checksum.startswith("sha256="):
            found.append(Wheel(_numbers(match[1]), name, target, checksum.removeprefix("sha256=")))
    return found


def _fits(requirement: str) -> bool:
    """Return whether this Python is as new as `requirement` asks."""
    least = [_numbers(one) for one in re.findall(r">=\s*(\d+(?:\.\d+)*)", requirement)]
    return all(sys.version_info[:3] >= one for one in least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _fail(message: str) -> NoReturn:
    sys.exit(
        f"error: {message}\nhint: on Debian, apt install python3-venv makes this step needless"
    )


if __name__ == "__main__":
    main()
