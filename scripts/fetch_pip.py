"""Install pip into the running virtual environment, from the package index, checksum verified.

For Pythons without ensurepip. The index is PIP_INDEX_URL or PyPI; its JSON form is PEP 691.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin


def main() -> None:
    """Fetch the latest pip wheel and let it install itself."""
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/pip/"
    request = urllib.request.Request(
        page, headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    wheels = [one for one in files if one["filename"].endswith(".whl") and not one.get("yanked")]
    latest = max((one for one in wheels if _version(one["filename"])), key=_release)
    with urllib.request.urlopen(urljoin(page, latest["url"]), timeout=300) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != latest["hashes"]["sha256"]:
        raise SystemExit(f"error: {latest['filename']} does not have the checksum the index tells")
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, latest["filename"])
        wheel.write_bytes(data)
        command = [sys.executable, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        subprocess.run(command, check=True)


def _version(filename: str) -> tuple[int, ...]:
    """Return the version of a final release; empty for a preview."""
    parts = filename.split("-")[1].split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def _release(file: dict[str, str]) -> tuple[int, ...]:
    return _version(file["filename"])


if __name__ == "__main__":
    main()
