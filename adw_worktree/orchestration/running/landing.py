"""Landing a feature: its branch is merged into the base by `finish`, in a worktree of its own.

What holds here: the worktree goes by the feature's slug, and is made for the hooks that judge the
branch. If they refuse, or at a conflict, it stays for a person, who goes on with `finish SLUG`.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.errors import AdwIdTaken, BranchUnusable, NotARepository, PhaseNotInState
from adw_worktree.orchestration.gates.logs import mark_logs
from adw_worktree.orchestration.running.shared_landing import shared_landing
from adw_worktree.orchestration.store.database import Database, Value
from adw_worktree.orchestration.store.landings import Verify, note_landing
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.store.times import later
from adw_worktree.orchestration.workflows.verification import Kept, keep, kept
from adw_worktree.project import Project, open_project
from adw_worktree.repo.refs import branch_commit
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.finish.finish import Finished, Terms, finish
from adw_worktree.worktrees.finish.target import require_target


def project_of_feature(feature: Feature) -> Project:
    """Return the project that a feature is built in.

    Raises NotARepository, also if it is on other hosts alone, SettingsError.
    """
    place = Path(feature.place)
    if feature.added_on is not None and not is_dir(place):
        raise NotARepository(
            f"this host does not have the repository of feature {feature.slug}",
            hint=f"repeat on {feature.added_on}, or clone it and run adw-worktree work --repo DIR",
        )
    return open_project(place)


def base_branch(project: Project, feature: Feature) -> str | None:
    """Return the branch that a feature is to be merged into; None: that of the setting `base`.

    Raises BranchUnusable if it started from something else than a branch.
    """
    base = feature.base
    if base is None or branch_commit(project.repo.home, base) is not None:
        return base
    raise BranchUnusable(
        f"feature {feature.slug} started from {base}, which is no branch to merge into",
        hint=f"adw-worktree feature finish {feature.slug} --into BRANCH",
    )


def land(
    database: Database, project: Project, feature: Feature, terms: Terms, *, output: int | None
) -> Finished:
    """Merge the branch of a completed feature; `terms` says into what, and how.

    `output` is a file descriptor for what git and hooks print. Raises PhaseNotInState if it is not
    completed, AdwIdTaken, and whatever `create` and `finish` raise.
    """
    if feature.status != "completed":
        raise PhaseNotInState(
            f"feature {feature.slug} is {feature.status}, not completed: nothing was merged",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    into = terms.into or base_branch(project, feature) or require_target(project, None)
    share = shared_landing(project, feature)
    before = share.prepare(into) if share is not None else None
    if branch_commit(project.repo.home, feature.branch) is None:
        raise BranchUnusable(
            f"there is no branch {feature.branch}: it was merged before, or somebody deleted it",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    lease = project.pool.leases().get(feature.slug)
    if lease is not None and lease.branch != feature.branch:
        raise AdwIdTaken(
            f"the ADW {feature.slug} exists, and is not on {feature.branch}",
            hint=f"adw-worktree finish {feature.slug}, or rename it; then repeat",
        )
    terms = terms._replace(into=into)
    # Also if it is there: what is missing of it is made good.
    lease = create(project, feature.slug, Wish(branch=feature.branch), output=output).lease
    done = finish(project, lease, terms, output=output)
    if share is not None and before is not None:
        share.publish(into, before, done.commit)
    data: dict[str, Value] = {"into": done.into, "commit": done.commit, "way": done.way}
    verify = _verify(database, project, feature)
    note_landing(database, feature.id, "landed", "feature.landed", data, verify)
    return done


def _verify(database: Database, project: Project, feature: Feature) -> Verify | None:
    """Return when a feature is verified that has landed now; None if it is not to be.

    How far its logs are by now is noted: what stands in them already is no new error.
    """
    if feature.verification is None:
        return None
    wanted = kept(feature.verification).wanted
    marks = mark_logs(wanted.logs, project.repo.home)
    return Verify(later(database.now(), wanted.delay), keep(Kept(wanted, marks)))
