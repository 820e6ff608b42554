"""Delivering events: to the command of the hook `on-event`, to `notify_url`, and to GitHub.

It is done by threads of the coordinator, which waits for none of them: no phase is ever held up,
and no way by another.

What holds here: an event counts as delivered only once the command has ended or the server has
answered with 2xx, so that after a crash it comes again, under the same id. A command that fails is
not repeated: it has had the event.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.store import deliveries
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.deliveries import Delivery, NotDelivered
from adw_worktree.orchestration.store.hosts import place_on
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import Event, features
from adw_worktree.orchestration.store.results import event_document
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.pool.wakeups import ATTEMPT_VARIABLES, coordinator_bell
from adw_worktree.project import Project, open_project
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.system.bells import ring
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.user_hooks import argument_list

if TYPE_CHECKING:
    from adw_worktree.orchestration.store.deliveries import Way

ON_EVENT = "on-event"
"""The moment of `[hooks]` whose commands get events."""
COMMAND_SECONDS = 60.0
_AT_ONCE: dict[Way, int] = {"command": 4, "url": 4, "github": 1}
"""GitHub asks for one request after the other."""
_FAULT_SECONDS = 5.0
_MOST_LOG_BYTES = 1024 * 1024


class Messenger:
    """The threads that deliver what is due."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._threads = {way: ThreadPoolExecutor(most, way) for way, most in _AT_ONCE.items()}
        self._busy: set[Delivery] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a delivery is under way."""
        return bool(self._busy)

    def send(self, due: Sequence[Delivery]) -> None:
        """Begin the deliveries that are not under way already; their ends ring the coordinator."""
        for delivery in due:
            if delivery not in self._busy:
                self._busy.add(delivery)
                self._threads[delivery.way].submit(self._deliver, delivery)

    def close(self) -> None:
        """Begin nothing more."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            deliver(self._state_dir, delivery)
        except Exception as exc:
            # Nobody reads what a thread raises: the store cannot be used. It is tried again.
            _log(self._state_dir, f"{delivery}: {exc}")
            time.sleep(_FAULT_SECONDS)
        finally:
            self._busy.discard(delivery)
            ring(coordinator_bell(self._state_dir))


def deliver(state_dir: Path, delivery: Delivery) -> None:
    """Deliver the events of one feature in one way, until none is left or one fails.

    Raises StoreError.
    """
    store = open_store(state_dir)
    try:
        while (event := deliveries.next_event(store, delivery)) is not None:
            try:
                _bring(store, state_dir, delivery, event)
            except (NotDelivered, AdwError) as exc:
                again = deliveries.failed(store, delivery, event, exc)
                then = "it is tried again" if again else "it is given up"
                _log(state_dir, f"event {event.id}, {event.kind}: {exc}; {then}")
                if again:
                    return
            else:
                reached("event.delivered")
                deliveries.delivered(store, delivery, event)
    finally:
        store.close()


def _bring(store: Database, state_dir: Path, delivery: Delivery, event: Event) -> None:
    """Deliver one event. Raises NotDelivered, AdwError."""
    [found] = features(store, "id = ?", [delivery.feature_id])
    feature = place_on(store, found, this_host(state_dir).name)
    if delivery.way == "github":
        # What speaks to servers takes longer to load than a phase to start.
        from adw_worktree.orchestration.issues.publishing import publish

        publish(store, feature, event)
        return
    project = open_project(Path(feature.place))
    document = json.dumps(event_document(store, event)).encode()
    if delivery.way == "command":
        _run_commands(project, event, document, state_dir)
        return
    address, secret = project.settings.notify_url, project.settings.notify_secret
    if address is not None:
        from adw_worktree.orchestration.running.webhook import Message, post

        post(Message(f"adw-event-{event.id}", document), address, secret)


# ---- commands ----------------------------------------------------------------------------------


def _run_commands(project: Project, event: Event, document: bytes, state_dir: Path) -> None:
    """Run the commands of `on-event` one after the other, the event on their input.

    Raises HookUntrusted.
    """
    hook = project.settings.hooks.get(ON_EVENT)
    if hook is None:
        return
    require_trusted(project.settings, project.state_dir, project.repo.common_dir, [ON_EVENT])
    environ = {**clean_environment(), "ADW_EVENT": event.kind, "ADW_REPO": str(project.repo.home)}
    for name in ATTEMPT_VARIABLES:  # by them a process would be taken for one of an attempt
        environ.pop(name, None)
    for command in hook.commands:
        arguments = argument_list(command)
        how = _ended(arguments, project.repo.home, environ, document, log_file(state_dir))
        if how is not None:
            _log(state_dir, f"event {event.id}, {event.kind}: `{arguments[-1]}` {how}")


def _ended(
    arguments: Sequence[str], directory: Path, environ: dict[str, str], document: bytes, log: Path
) -> str | None:
    """Run a command to its end; return what was wrong with it, None if nothing was."""
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                arguments,
                cwd=directory,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            return f"could not be started: {exc}"
        try:
            child.communicate(document, COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return f"was killed after {COMMAND_SECONDS:g} seconds"
    return None if child.returncode == 0 else f"failed with exit status {child.returncode}"


# ---- the log -----------------------------------------------------------------------------------


def log_file(state_dir: Path) -> Path:
    """Return the file that says what could not be delivered, and what commands printed."""
    return state_dir / "phases" / "deliveries.log"


def _log(state_dir: Path, text: str) -> None:
    file = log_file(state_dir)
    try:
        if exists(file) and file.stat().st_size > _MOST_LOG_BYTES:
            file.replace(file.with_name(f"{file.name}.1"))
        with file.open("a") as log:
            log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")
    except OSError:
        return  # on a full disk there is nowhere to say it
