"""The pool on a terminal, kept up to date until a person has seen enough.

What holds here: between changes only the times of the files are asked for that tell of one. Who
listens is asked every few seconds, and never by binding: again and again, that would now and then
take a port from the server it belongs to, just as that starts. A repository that is being deleted
gets no new file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from . import registry, statedir
from .errors import AdwError, LedgerError
from .fullscreen import full_screen, is_ended, show
from .healing import heal
from .model import ports_of
from .output import Terminal, terminal
from .overview import blocked_by, pool_holders
from .poolview import leased_ports, pool_view
from .ports import listeners
from .project import Project
from .screen import Line, Span, drawn
from .watch import without_rebuilding

_TICK_SECONDS = 0.5
_LISTENERS_SECONDS = 3.0


def watch_pool(project: Project) -> None:
    """Show the pool until `q` is typed. Raises AdwError if it cannot be seen to begin with."""
    sight = _Sight(project)
    shown: list[str] = []
    with full_screen():
        while True:
            size = terminal()
            lines = drawn(_fitting(sight.lines(size), sight.trouble, size), size).split("\n")
            if lines != shown:
                show(lines)
                shown = lines
            if is_ended(_TICK_SECONDS):
                return
            if terminal() != size:
                shown = []  # the terminal has moved what was there
            sight.refresh()


class _Sight:
    """The pool as it was seen last."""

    trouble: str | None = None
    """Why it could not be looked at since."""

    def __init__(self, project: Project) -> None:
        heal(project)
        self._project = without_rebuilding(project)
        self._state = pool_holders(project.pool)
        self._places = self._telling()
        self._look()

    def lines(self, size: Terminal) -> list[Line]:
        """Return the view of it."""
        return pool_view(self._state, self._heard, self._doubtful, size)

    def refresh(self) -> None:
        """Look again if something changed, or if it is time to ask who listens."""
        due = time.monotonic() >= self._due
        if _times(self._places) == self._seen and not (due and self.trouble):
            if due:
                self._listen()
            return
        try:
            self._look()
            self.trouble = None
        except (AdwError, OSError) as exc:  # a lock held for long, a repository that is gone
            said = exc.message if isinstance(exc, AdwError) else str(exc)
            self.trouble = said.partition("\n")[0]
            self._listen()

    def _look(self) -> None:
        project = self._project
        # Before the look: what changes meanwhile is looked at again.
        self._seen: list[tuple[int, int]] | None = _times(self._places)
        if project.pool.ledger.path.is_file():
            heal(project)
            self._state = pool_holders(project.pool)
        elif self._state.own:
            raise LedgerError(
                f"the ledger {project.pool.ledger.path} is gone",
                hint=f"adw-worktree -C {quote(str(project.repo.home))} list",
            )
        else:  # it never had one
            self._state = self._state._replace(others=project.pool.elsewhere(living=True))
        self._doubtful = (
            statedir.doubtful_slots(project.state_dir) if project.state_dir else set[int]()
        )
        places = self._telling()
        if places != self._places:
            self._places, self._seen = places, None  # what is new there may be newer than the look
        self._listen()

    def _telling(self) -> list[Path]:
        """Return the files and directories whose times tell that the pool may have changed."""
        project = self._project
        places = {project.pool.ledger.path, project.repo.admin_root}
        places |= {Path(one.lease.path).parent for one in self._state.own if one.lease.path}
        places |= {one.ledger for one in self._state.others}
        if project.state_dir is not None:
            places |= {registry.ledgers(project.state_dir), project.state_dir / "doubtful.json"}
        return sorted(places)

    def _listen(self) -> None:
        settings, state = self._project.settings, self._state
        taken = {one.lease.slot for one in [*state.own, *state.others]}
        free = {
            slot: list(ports_of(slot, settings.services).values())
            for slot in range(settings.slots)
            if slot not in taken
        }
        wanted = [*leased_ports(state), *(port for ports in free.values() for port in ports)]
        self._heard = listeners(wanted)
        busy = {slot: [port for port in free[slot] if port in self._heard] for slot in free}
        blocked = blocked_by({slot: ports for slot, ports in busy.items() if ports}, self._heard)
        self._state = state._replace(blocked=blocked)
        self._due = time.monotonic() + _LISTENERS_SECONDS


def _times(places: Iterable[Path]) -> list[tuple[int, int]]:
    """Return when each was changed last, and which file it is."""
    return [_time(place) for place in places]


def _time(place: Path) -> tuple[int, int]:
    try:
        found = place.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def _fitting(lines: list[Line], trouble: str | None, size: Terminal) -> list[Line]:
    """Return as many of the lines as fit, and below them what a person should know."""
    below: list[Span] = [Span("q quits", "dim")]
    room = max(0, size.lines - 2)
    if len(lines) > room:
        below.append(Span(f"  {len(lines) - room} more lines in a higher window", "dim"))
    if trouble is not None:
        below.append(Span(f"  not up to date: {trouble}", "red"))
    return [*lines[:room], *([[]] if size.lines > 1 else []), below]
