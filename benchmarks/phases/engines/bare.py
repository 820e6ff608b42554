"""What cannot be gone below: fork, exec, wait, and one commit that is on the disk.

Nothing of it survives a crash, has a limit, or knows of a worktree.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread


def main(document: Path) -> None:
    """Run the chains of a document, each in a thread."""
    with tempfile.TemporaryDirectory(dir=document.parent) as directory:
        file = Path(directory, "bare.db")
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE ends (command TEXT)")
        chains = json.loads(document.read_text())["chains"]
        threads = [Thread(target=_run, args=(chain, file)) for chain in chains]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.close()


def _run(chain: list[list[str]], file: Path) -> None:
    connection = sqlite3.connect(file, isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous = FULL")
    for command in chain:
        subprocess.run(command, check=True)
        connection.execute("INSERT INTO ends VALUES (?)", [command[1]])
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
