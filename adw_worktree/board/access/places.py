"""Where a board keeps what it needs: for those, too, who have none of its libraries."""

from __future__ import annotations

from pathlib import Path


def board_directory(state_dir: Path) -> Path:
    """Return the directory of what a board keeps."""
    return state_dir / "board"


def board_lock(state_dir: Path) -> Path:
    """Return the file that a board holds locked while it runs."""
    return board_directory(state_dir) / "board.lock"
