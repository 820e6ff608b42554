"""What is measured: one function for each row, from a workshop to scenes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .machine import ADW, Room, say, settle
from .measure import Failed, Scene, Timing, Way, interleave
from .peers import Installed, Place
from .pool import measure_pool
from .scenes import SERVICES, Workshop, grow, require_worktrees, work_in

GIT_ADD = "git worktree add"
GIT_REMOVE = "git worktree remove"
GIT_LIST = "git worktree list"
NOTHING = "python -c pass"
SPARE = "adw-worktree, from a spare"
PLAIN = "without hooks"
HOOKED = "with hooks"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: Sequence[int] = (10, 1000, 20000)
    counts: Sequence[int] = (1, 10, 100, 1000)
    completed: int = 100
    """Among how many worktrees completion is asked."""
    hooked: Sequence[int] = (1, 100)
    processes: int = 50
    big_pool: int = 10000
    at_once: int = 16
    at_once_files: int = 1000
    repeat: int | None = None
    """How often everything is run; None: as often as its size allows."""

    def times(self, ordinary: int) -> int:
        return ordinary if self.repeat is None else self.repeat


QUICK = Plan(
    sizes=(10,),
    counts=(1, 10),
    completed=5,
    hooked=(1, 5),
    processes=5,
    big_pool=1000,
    at_once=4,
    at_once_files=10,
    repeat=3,
)


# ---- start-up ------------------------------------------------------------------------------------


def startup(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare what a command costs before it does anything with a bare Python's start."""
    room, repo = shop.room(), shop.repository(10)
    room.adw("create", "a", cwd=repo)
    settle()
    commands = {
        "git rev-parse": ["git", "rev-parse"],
        NOTHING: [sys.executable, "-c", "pass"],
        **{
            f"adw-worktree {words}": [*ADW, *words.split()]
            for words in ("--version", "path a", "env a", "reconcile --background")
        },
    }
    ways = [
        Way(label, {"startup": _runs(room, repo, *command)}) for label, command in commands.items()
    ]
    timings = interleave(ways, plan.times(20), settle=settle)["startup"]
    return [Scene("startup", "10 files, 1 worktree", timings, NOTHING)]


def completion(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare what a shell waits for after each Tab with a bare Python's start."""
    room, repo = shop.room(ADW_SLOTS="1000", ADW_SERVICES=SERVICES), shop.repository(1)
    grow(repo, room, plan.completed)
    asked = {
        "a command: rem": ["rem"],
        "an ADW id: remove": ["remove", ""],
        "a branch: create x --from": ["create", "x", "--from", ""],
    }
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        **{label: [*ADW, "complete", "--", *words] for label, words in asked.items()},
    }
    ways = [
        Way(label, {"completion": _runs(room, repo, *command)})
        for label, command in commands.items()
    ]
    timings = interleave(ways, plan.times(30), settle=settle)["completion"]
    return [Scene("completion", f"{plan.completed} worktrees", timings, NOTHING)]


def _runs(room: Room, cwd: Path, *command: str) -> Callable[[int], None]:
    def run(_number: int) -> None:
        room.run(*command, cwd=cwd)

    return run


# ---- create and remove ---------------------------------------------------------------------------


def create_and_remove(shop: Workshop, plan: Plan, peers: Sequence[Installed]) -> list[Scene]:
    """Compare making and taking back one worktree, by size of the repository."""
    scenes = []
    for files in plan.sizes:
        say(f"  {files} files")
        ways = [_git_way(shop, files), _adw_way(shop, files)]
        spare = _spare_way(shop, files)
        ways += [spare] if spare else []
        ways += [_peer_way(shop, files, peer) for peer in peers if not peer.failed]
        repeat = plan.times(15 if files < 500 else 10 if files < 10000 else 5)
        rows = interleave(ways, repeat, settle=settle)
        name = f"{files:,} files"
        scenes.append(Scene("create", name, rows["create"], GIT_ADD, files))
        # What a spare became is removed like any other worktree.
        removed = [_renamed(one, GIT_ADD, GIT_REMOVE) for one in rows["remove"]]
        scenes.append(Scene("remove", name, removed, GIT_REMOVE, files))
    return scenes


def _renamed(timing: Timing, old: str, new: str) -> Timing:
    return Timing(
        new if timing.label == old else timing.label,
        timing.seconds,
        timing.lingering,
        timing.failed,
        timing.note,
    )


def _git_way(shop: Workshop, files: int) -> Way:
    room, repo = shop.room(), shop.repository(files)

    def create(number: int) -> None:
        room.git("worktree", "add", "--quiet", "-b", f"w{number}", f"trees/w{number}", cwd=repo)

    def remove(number: int) -> None:
        room.git("worktree", "remove", f"trees/w{number}", cwd=repo)

    return Way(GIT_ADD, {"create": create, "remove": remove}, between=partial(work_in, room, repo))


def _adw_way(shop: Workshop, files: int) -> Way:
    room, repo = shop.room(), shop.repository(files)

    def create(number: int) -> None:
        room.adw("create", f"w{number}", cwd=repo)

    def remove(number: int) -> None:
        room.adw("remove", f"w{number}", cwd=repo)

    return Way(
        "adw-worktree", {"create": create, "remove": remove}, between=partial(work_in, room, repo)
    )


def _spare_way(shop: Workshop, files: int) -> Way | None:
    """Return the way with a spare at hand, or None if the tool has none."""
    room, repo = shop.room(ADW_SPARES="1"), shop.repository(files)
    if not room.understands("spares", "--help", cwd=repo):
        return None

    def create(number: int) -> None:
        room.adw("create", f"w{number}", cwd=repo)

    def remove(number: int) -> None:
        room.adw("remove", f"w{number}", cwd=repo)

    return Way(
        SPARE,
        {"create": create, "remove": remove},
        before=lambda _number: room.adw("spares", "fill", "--wait", cwd=repo),
        # The spare that is made meanwhile is nobody's worktree.
        between=partial(work_in, room, repo),
    )


def _peer_way(shop: Workshop, files: int, installed: Installed) -> Way:
    peer = installed.peer
    place = Place(installed.program, shop.room(), shop.repository(files))
    prepared: list[bool] = []

    def before(number: int) -> None:
        if number == 0 and not prepared:
            peer.prepare(place)
            prepared.append(True)
        require_worktrees(place.repo, 0)

    def remove(number: int) -> None:
        require_worktrees(place.repo, 1)
        peer.remove(place, number)

    return Way(
        f"{peer.package} {installed.version}",
        {"create": partial(peer.create, place), "remove": remove},
        before=before,
        between=partial(work_in, place.room, place.repo),
        after=lambda _number: require_worktrees(place.repo, 0),
        may_fail=True,
    )


# ---- many worktrees ------------------------------------------------------------------------------


def many(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare looking at 1, 10, 100 and 1,000 worktrees."""
    room = shop.room(ADW_SLOTS=str(max(plan.counts)), ADW_SERVICES=SERVICES)
    repo = shop.repository(1)
    commands = {
        GIT_LIST: ["git", "worktree", "list", "--porcelain"],
        **{f"adw-worktree {word}": [*ADW, word] for word in ("list", "status", "reconcile")},
    }
    ways = [
        Way(label, {"many": _runs(room, repo, *command)}) for label, command in commands.items()
    ]
    scenes = []
    for wanted in plan.counts:
        say(f"  {wanted} worktrees")
        grow(repo, room, wanted)
        timings = interleave(ways, plan.times(10 if wanted < 500 else 5), settle=settle)["many"]
        scenes.append(Scene("many", f"{wanted:,} worktrees", timings, GIT_LIST, wanted))
    return scenes


# ---- the pool ------------------------------------------------------------------------------------


def pool(_shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare a reservation with the one write that it cannot do without.

    On a disk: in memory, where `fsync` does nothing, that write costs nothing either.
    """
    with tempfile.TemporaryDirectory(prefix="adw-bench-", ignore_cleanup_errors=True) as disk:
        return measure_pool(Workshop(Path(disk)), plan.processes, plan.times(50), plan.big_pool)


# ---- hooks ---------------------------------------------------------------------------------------


def hooks(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare git with and without the managed hooks."""
    scenes = []
    for worktrees in plan.hooked:
        room = shop.room(ADW_SLOTS="1000", ADW_SERVICES=SERVICES)
        repos = {PLAIN: shop.repository(100), HOOKED: shop.repository(100)}
        for repo in repos.values():
            _branch_off(room, repo)
            grow(repo, room, worktrees)
        room.adw("hooks", "install", cwd=repos[HOOKED])
        ways = [
            Way(
                label,
                {
                    "git status": _runs(room, repo, "git", "status"),
                    "git checkout": partial(_check_out, room, repo),
                    "git commit": partial(_commit, room, repo),
                },
            )
            for label, repo in repos.items()
        ]
        for command, timings in interleave(ways, plan.times(50), settle=settle).items():
            name = f"{command}, {worktrees} worktree{'s' if worktrees > 1 else ''}"
            scenes.append(Scene("hooks", name, timings, PLAIN))
    return scenes


def _branch_off(room: Room, repo: Path) -> None:
    """Make a branch `other` with ten files that differ."""
    room.git("checkout", "--quiet", "-b", "other", cwd=repo)
    for file in sorted(repo.glob("part-0000/*"))[:10]:
        file.write_text("another text\n")
    room.git("commit", "--quiet", "--all", "-m", "other", cwd=repo)
    room.git("checkout", "--quiet", "main", cwd=repo)


def _check_out(room: Room, repo: Path, number: int) -> None:
    room.git("checkout", "--quiet", "main" if number % 2 else "other", cwd=repo)


def _commit(room: Room, repo: Path, _number: int) -> None:
    room.git("commit", "--quiet", "--allow-empty", "-m", "another", cwd=repo)


# ---- many at once --------------------------------------------------------------------------------


def parallel(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare creates at once with raw git's one after another, which at once would fail."""
    count, files = plan.at_once, plan.at_once_files
    baseline = f"{count} × git worktree add, one after another"
    git_room, git_repo = shop.room(), shop.repository(files)
    room, repo = shop.room(), shop.repository(files)

    def one_by_one(number: int) -> None:
        for each in range(count):
            name = f"w{number}-{each}"
            git_room.git("worktree", "add", "--quiet", "-b", name, f"trees/{name}", cwd=git_repo)

    def at_once(number: int) -> None:
        started = [
            room.start(*ADW, "create", f"w{number}-{each}", cwd=repo) for each in range(count)
        ]
        failed = sum(process.wait() != 0 for process in started)
        if failed:
            raise Failed(f"{failed} of {count} creates at once failed")

    def git_clear(number: int) -> None:
        for each in range(count):
            git_room.git("worktree", "remove", "--force", f"trees/w{number}-{each}", cwd=git_repo)

    def clear(number: int) -> None:
        for each in range(count):
            room.adw("remove", f"w{number}-{each}", cwd=repo)

    ways = [
        Way(baseline, {"parallel": one_by_one}, after=git_clear),
        Way(f"{count} × adw-worktree create, at once", {"parallel": at_once}, after=clear),
    ]
    timings = interleave(ways, plan.times(5), settle=settle)["parallel"]
    return [Scene("parallel", f"{files:,} files", timings, baseline)]


ROWS: dict[str, Callable[[Workshop, Plan, Sequence[Installed]], list[Scene]]] = {
    "startup": startup,
    "completion": completion,
    "create": create_and_remove,
    "many": many,
    "pool": pool,
    "hooks": hooks,
    "parallel": parallel,
}
"""By the name that `--only` knows. `create` measures `remove`, too."""
