"""GitHub's API as its published description has it: a server that refuses what is not in there.

It is Prism, with that part of the description which is about issues: the whole takes it long to
read. Its answers are the examples of the description.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.npm_cache import installed, packed_file

_PRISM = "@stoplight/prism-cli@5.14.2"
_DESCRIPTION = "@octokit/openapi@23.0.2"
_PATHS = "/repos/{owner}/{repo}/issues"


def programs() -> tuple[Path, Path] | None:
    """Return Prism and the whole description; None where npm cannot get them."""
    prism = installed([_PRISM], ["prism"])
    description = packed_file(_DESCRIPTION, "generated/api.github.com.json")
    return None if prism is None or description is None else (prism / "prism", description)


@contextmanager
def described(prism: Path, description: Path, scratch: Path) -> Iterator[str]:
    """Have Prism listen; yield its address."""
    part = scratch / "issues.json"
    part.write_text(json.dumps(about_issues(json.loads(description.read_text()))))
    server = subprocess.Popen(
        [prism, "mock", "--errors", "--port=0", part],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", line)
            if found is not None:
                yield found[1]
                return
        raise AssertionError(f"Prism does not listen: {said}")
    finally:
        server.terminate()
        server.communicate()


def about_issues(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a description that is about issues and their comments."""
    paths = {
        path: operations
        for path, operations in whole["paths"].items()
        if re.fullmatch(re.escape(_PATHS) + r"(/\{issue_number\}(/comments)?)?", path)
    }
    part: dict[str, Any] = {
        **{key: whole[key] for key in ("openapi", "info", "servers")},
        "paths": paths,
        "components": {},
    }
    left = [paths]
    while left:
        for kind, name in sorted(references(left.pop())):
            known = part["components"].setdefault(kind, {})
            if name not in known:
                known[name] = whole["components"][kind][name]
                left.append(known[name])
    _make_checkable(part)
    return part


def _make_checkable(document: Any) -> None:
    """Drop each `nullable` without a type: Prism would check nothing of the body that has it."""
    for inner in document.values() if isinstance(document, dict) else document:
        if isinstance(inner, dict) and "type" not in inner and inner.get("nullable") is True:
            del inner["nullable"]
        if isinstance(inner, dict | list):
            _make_checkable(inner)


def references(document: Any) -> set[tuple[str, str]]:
    """Return the components that a part refers to: kind and name."""
    found = re.findall(r'"\$ref": "#/components/([^/"]+)/([^/"]+)"', json.dumps(document))
    return {*found}
