"""The directory of one attempt: what proves that it runs, and what it leaves.

    <state>/runs/<token>/runner.lock     held by the runner while it lives
                         tree.lock       held by the runner's commands and all that they start
                         bell            wakes the runner
                         stop, report    what the runner is to look at when it is woken
                         journal.jsonl   its steps, one a line, in order
                         01-run.log      what a stage printed
                         end.json        how it ended; there before the runner's lock is free

What holds here: the runner writes, the coordinator reads; a file is whole or not there, and a line
of the journal without its line break is one that was never written.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.store.times import now
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.bells import ring
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


GONE, FENCED, CUT_OFF, HANDED_BACK = "worktree-gone", "fenced", "cut-off", "handed-back"
"""What a runner is asked to stop by, beside a person's `cancel` and `pause`."""


class RunDirectory(NamedTuple):
    """The directory of one attempt."""

    path: Path

    @property
    def bell(self) -> Path:
        """What wakes the runner."""
        return self.path / "bell"

    def make(self) -> None:
        """Make the directory. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self.path / "began", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def began(self) -> float:
        """Return when the attempt began, in seconds since 1970."""
        try:
            return (self.path / "began").stat().st_mtime
        except OSError:
            return time.time()

    def lock(self, name: str) -> int | None:
        """Return a descriptor that holds the lock `name`; None if another process does.

        Processes that are forked share it until all have closed it. Raises OSError.
        """
        descriptor = os.open(
            self.path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_locked(self, name: str) -> bool:
        """Return whether a process holds the lock `name`."""
        try:
            descriptor = self.lock(name)
        except FileNotFoundError:
            return False
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def write_pid(self) -> None:
        """Note which process the runner is, for whoever waits for its end. Raises OSError."""
        write_atomically(self.path / "pid", b"%d\n" % os.getpid(), lasting=False, synced=False)

    def pid(self) -> int | None:
        """Return the runner's process, None if it is not noted yet."""
        try:
            return int((self.path / "pid").read_bytes())
        except (OSError, ValueError):
            return None

    # ---- the journal ------------------------------------------------------------------

    def append(self, kind: str, **data: Any) -> None:
        """Add a step to the journal. Raises OSError."""
        line = json.dumps({"kind": kind, "at": now(), **data}).encode() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(self.path / "journal.jsonl", flags, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        reached("journal.written")

    def journal(self, start: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the whole lines of the journal from byte `start` on, and where they end."""
        try:
            with (self.path / "journal.jsonl").open("rb") as file:
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return [], start
        whole = data[: data.rfind(b"\n") + 1]
        entries = []
        for line in whole.splitlines():
            with suppress(ValueError):  # a power cut may leave anything
                entry = json.loads(line)
                if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
                    entries.append(entry)
        return entries, start + len(whole)

    def noted(self, kind: str, key: str) -> list[str]:
        """Return the texts that the journal's steps of a kind have under `key`, in their order."""
        found = [entry.get(key) for entry in self.journal()[0] if entry["kind"] == kind]
        return [text for text in found if isinstance(text, str)]

    def logs(self) -> list[Path]:
        """Return what the stages have printed, in their order."""
        return sorted(self.path.glob("[0-9]*.log"))

    # ---- the end ----------------------------------------------------------------------

    def write_end(self, ended: End) -> None:
        """Write how the attempt ended. Raises OSError."""
        data = json.dumps({"schema_version": 1, **ended._asdict()}).encode() + b"\n"
        reached("end.before")
        write_atomically(self.path / "end.json", data, mode=0o600)
        reached("end.written")

    def end(self) -> End | None:
        """Return how the attempt ended; None if it did not say, or a power cut took that."""
        try:
            document = json.loads((self.path / "end.json").read_bytes())
            document.pop("schema_version")
            return End(**document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    # ---- what it is asked -------------------------------------------------------------

    def ask(self, name: str, text: str) -> None:
        """Leave a word for the runner, `stop` or `report`, and wake it. Raises OSError."""
        write_atomically(self.path / name, text.encode(), mode=0o600, lasting=False)
        ring(self.bell)

    def answer(self, name: str) -> None:
        """Take away the word that was left under `name`. Raises OSError."""
        with suppress(FileNotFoundError):
            (self.path / name).unlink()

    def asked(self, name: str) -> str | None:
        """Return the word that was left under `name`; None if there is none."""
        try:
            return (self.path / name).read_text()
        except (OSError, UnicodeDecodeError):
            return None


def run_directory(state_dir: Path, token: str) -> RunDirectory:
    """Return the directory of the attempt that has `token`."""
    return RunDirectory(state_dir / "runs" / token)
