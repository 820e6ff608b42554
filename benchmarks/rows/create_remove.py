"""Making and taking back one worktree, beside raw git and other tools."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..machine import say, settle
from ..measure import Scene, Timing, Way, interleave
from ..peers import Installed, Place
from ..scenes import Workshop, require_worktrees, work_in
from .plan import Plan

GIT_ADD = "git worktree add"
GIT_REMOVE = "git worktree remove"
SPARE = "adw-worktree, from a spare"


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
