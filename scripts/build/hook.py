"""The step that puts the man pages into the wheel; pyproject.toml names it to hatchling."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Writes the pages while the wheel is made, and has pip put them where `man` looks."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages and name them to hatchling, which reads them before `finalize`."""
        self._pages = tempfile.TemporaryDirectory()
        # A process of its own: it must import this checkout, and leave no bytecode in it.
        subprocess.run(
            [sys.executable, "-B", "-m", "scripts.docs.manpage", self._pages.name],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": self.root, "NO_COLOR": "1"},
            check=True,
        )
        for page in Path(self._pages.name).iterdir():
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Take the pages away again."""
        self._pages.cleanup()
