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
from textwrap import wrap

from adw_worktree.cli.output import Terminal
from adw_worktree.cli.terminal.full_screen import full_screen
from adw_worktree.cli.terminal.lines import Line, Span, drawn
from adw_worktree.cli.terminal.pool_view import leased_ports, pool_view
from adw_worktree.errors import AdwError, LedgerError
from adw_worktree.pool import registry
from adw_worktree.pool.doubts import doubtful_slots
from adw_worktree.pool.lease import ports_of
from adw_worktree.pool.status import blocked_by, held_elsewhere, machine_holders, pool_holders
from adw_worktree.project import Project, machine_pool, without_rebuilding
from adw_worktree.system.paths import is_file
from adw_worktree.system.ports import listeners
from adw_worktree.worktrees.heal import heal

_TICK_SECONDS = 0.5
_LISTENERS_SECONDS = 3.0
_AGE_SECONDS = 60


def watch_pool(project: Project | None) -> None:
    """Show the pool until `q` is typed, from outside of any repository if there is no project.

    Raises AdwError if it cannot be seen to begin with."""
    sight = _Sight(project)
    shown: object = None
    with full_screen() as screen:
        while True:
            size = screen.size()
            wanted = sight.seen, size, int(time.monotonic() // _AGE_SECONDS)
            if wanted != shown or not screen.is_current:
                screen.show(drawn(sight.lines(size), size).split("\n"))
                shown = wanted
            if screen.is_ended(_TICK_SECONDS):
                return
            sight.refresh()


class _Sight:
    """The pool as it was seen last."""

    trouble: tuple[str, ...] = ()
    """Why it could not be looked at since, and what to do."""

    def __init__(self, project: Project | None) -> None:
        self._project = project
        if project is None:
            self._pool = machine_pool()
            self._state = machine_holders(self._pool)
        else:
            heal(project)
            self._project = without_rebuilding(project)
            self._pool = self._project.pool
            self._state = pool_holders(project.pool)
        self._places = self._telling()
        self._look()

    @property
    def seen(self) -> tuple[object, ...]:
        """Return all that the view is made of."""
        return self._state, self._heard, self._doubtful, self.trouble

    def lines(self, size: Terminal) -> list[Line]:
        """Return the view of it, and what a person should know below, in as many lines as fit."""
        told = [line for said in self.trouble for line in wrap(said, max(1, size.columns))]
        room = max(0, size.lines - len(told) - 2)
        seen = self._state, self._heard, self._doubtful, self._pool.settings.services, size
        lines = pool_view(*seen)
        if len(lines) > room:
            lines = pool_view(*seen, short=True)
        last = [Span("q quits", "dim")]
        if len(lines) > room:
            last.append(Span(f"  {len(lines) - room} more lines in a higher window", "dim"))
        below = [[], *([Span(line, "red")] for line in told), last]
        return [*lines[:room], *below][-size.lines :]

    def refresh(self) -> None:
        """Look again if something changed, or if it is time to ask who listens."""
        due = time.monotonic() >= self._due
        if _times(self._places) == self._seen and not (due and self.trouble):
            if due:
                self._listen()
            return
        try:
            self._look()
            self.trouble = ()
        except (AdwError, OSError) as exc:  # a lock held for long, a repository that is gone
            said, hint = (exc.message, exc.hint) if isinstance(exc, AdwError) else (str(exc), None)
            why = f"not up to date: {said.partition(chr(10))[0]}"
            self.trouble = (why, f"hint: {hint}") if hint else (why,)
            self._listen()

    def _look(self) -> None:
        project = self._project
        # Before the look: what changes meanwhile is looked at again.
        self._seen: list[tuple[int, int]] | None = _times(self._places)
        if project is None:
            self._state = self._state._replace(others=held_elsewhere(self._pool))
        elif is_file(project.pool.ledger.path):
            heal(project)
            self._state = pool_holders(project.pool)
        elif self._state.own:
            raise LedgerError(
                f"the ledger {project.pool.ledger.path} is gone",
                hint=f"adw-worktree -C {quote(str(project.repo.home))} list",
            )
        else:  # it never had one
            self._state = self._state._replace(others=held_elsewhere(project.pool))
        self._doubtful = (
            doubtful_slots(self._pool.state_dir) if self._pool.state_dir else set[int]()
        )
        places = self._telling()
        if places != self._places:
            self._places, self._seen = places, None  # what is new there may be newer than the look
        self._listen()

    def _telling(self) -> list[Path]:
        """Return the files and directories whose times tell that the pool may have changed."""
        project, state_dir = self._project, self._pool.state_dir
        places = {project.pool.ledger.path, project.repo.admin_root} if project else set()
        for one in [*self._state.own, *self._state.others]:
            places.add(one.ledger)
            places |= {Path(one.lease.path).parent} if one.lease.path else set()
            places |= {one.common_dir / "worktrees"} if one.common_dir else set()
        if state_dir is not None:
            places |= {registry.ledgers(state_dir), state_dir / "doubtful.json"}
        return sorted(places)

    def _listen(self) -> None:
        settings, state = self._pool.settings, self._state
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
