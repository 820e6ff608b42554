"""A loop that looks every three seconds what has ended, and starts what may start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

_SECONDS = 3.0


def main(document: Path) -> None:
    """Run the chains of a document."""
    left = [list(chain) for chain in json.loads(document.read_text())["chains"]]
    running: dict[int, subprocess.Popen[bytes]] = {}
    while True:
        for place, chain in enumerate(left):
            if place in running and running[place].poll() is not None:
                del running[place]
            if place not in running and chain:
                running[place] = subprocess.Popen(chain.pop(0))
        if not running:
            return
        time.sleep(_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
