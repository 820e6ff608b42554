"""Claude Code and Codex themselves, from npm's registry: 660 MB."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.npm_cache import installed

PACKAGES = ("@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.171.0")
PROGRAMS = ("claude", "codex")


@cache
def directory() -> Path | None:
    """Return the directory of the two, for PATH; None where npm cannot install them."""
    return installed(PACKAGES, PROGRAMS)


@cache
def codex_has_sandbox() -> bool:
    """Return whether Codex can fence in its commands here; in many a container it cannot."""
    programs = directory()
    asked = ["codex", "sandbox", "--", "true"]
    if programs is None:
        return False
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        environ["CODEX_HOME"] = home
        return subprocess.run(asked, env=environ, capture_output=True, timeout=60).returncode == 0
