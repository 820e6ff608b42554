"""Whatever bytes come from outside: an answer or a named error, never anything else.

The env file's parsers are fuzzed beside their other tests, in `test_envfile.py`. The ordinary run
takes the same examples each time; under ADW_STRESS they are random, and many.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Adw, branches, git, make_repo, stress_size
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import ValidationError

from adw_worktree import registry, schema, trash, userhooks
from adw_worktree.consent import Consent
from adw_worktree.create import create
from adw_worktree.errors import AdwError, LedgerError, LedgerTooNew, SettingsError
from adw_worktree.exclude import ensure_excluded
from adw_worktree.gitrepo import WorktreeEntry, list_worktrees, parse_worktrees
from adw_worktree.model import Lease, check_adw_id
from adw_worktree.places import ledger_path, worktree_path
from adw_worktree.project import Project, open_project
from adw_worktree.receipts import RECEIPT, load_receipt, write_receipt
from adw_worktree.reconcile import reconcile
from adw_worktree.remove import remove
from adw_worktree.restore import restore
from adw_worktree.schema import DocumentDamaged, decode_leases, encode_leases
from adw_worktree.settings import load_settings
from adw_worktree.settings_check import TAKES
from adw_worktree.workstate import uncommitted

FULL = stress_size(0, 1) == 1
fuzz = settings(
    max_examples=stress_size(60, 3000),
    derandomize=not FULL,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "..",
        "/",
        "../x",
        "a\nb",
        "-x",
        "~",
        "{adw_id}",
        "{x}",
        "$(touch x)",
        "\0",
        "é",
        "a" * 5000,
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


@st.composite
def mutations(draw: st.DrawFn, document: Any) -> Any:
    """Draw `document` with some of its parts replaced, added or left out."""
    changed = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        at = changed
        while isinstance(at, (dict, list)) and at:
            keys: list[Any] = sorted(at) if isinstance(at, dict) else list(range(len(at)))
            key = draw(st.sampled_from(keys))
            if not isinstance(at[key], (dict, list)) or draw(st.booleans()):
                if draw(st.booleans()):
                    at[key] = draw(values)
                elif isinstance(at, dict):
                    at[draw(texts)] = at.pop(key)
                else:
                    del at[key]
                break
            at = at[key]
    return changed


# ---- settings ----------------------------------------------------------------------------------

PLAUSIBLE = {
    "worktree_path": "../trees/{adw_id}",
    "ledger": "agents/ports.json",
    "branch_name": "adw/{adw_id}",
    "base": "main",
    "remote": "origin",
    "env_file": ".env.ports",
    "template": "env.template",
    "services": {"api": 9300},
    "slots": 100,
    "adopt": True,
    "submodules": False,
    "lock_timeout": 3,
    "trash_days": 7,
    "hooks": {"post-create": ["true", ["echo", "x"]]},
}


def toml(value: Any) -> str:
    """Return `value` as TOML, inline."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{toml(str(key))} = {toml(one)}" for key, one in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if value is None:
        return '"none"'
    return json.dumps(value)


def assert_settings_are_sound(home: Path, environ: dict[str, str]) -> None:
    try:
        found = load_settings(home, environ=environ)
    except SettingsError as exc:
        assert exc.exit_code == SettingsError.exit_code
        assert exc.message
        return
    places = [ledger_path(found, home=home, common_dir=home / ".git", bare=False)]
    places.append(home / "tree" / found.env_file)
    for place in places:
        normal = Path(os.path.normpath(place))
        assert normal.is_relative_to(home)
        assert not normal.is_relative_to(home / ".git")
    assert all(name.replace("-", "").isalnum() for name in found.services)
    assert "\n" not in f"{found.branch_name}{found.base}{found.remote}{found.env_file}"
    assert not any(
        str(one).startswith("-") for one in (found.base, found.remote, found.branch_name)
    )


@fuzz
@given(document=mutations(PLAUSIBLE))
def test_settings_of_a_repository(tmp_path: Path, document: dict[str, Any]) -> None:
    lines = [f"{toml(key)} = {toml(value)}" for key, value in document.items()]
    (tmp_path / "adw-worktree.toml").write_text(
        "\n".join(lines), encoding="utf-8", errors="surrogatepass"
    )
    assert_settings_are_sound(tmp_path, {"HOME": str(tmp_path)})


@fuzz
@given(data=st.binary(max_size=60) | texts.map(lambda text: text.encode(errors="surrogatepass")))
def test_settings_file_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "adw-worktree.toml").write_bytes(data)
    assert_settings_are_sound(tmp_path, {"HOME": str(tmp_path)})


@fuzz
@given(key=st.sampled_from([*TAKES]), value=texts)
def test_settings_in_variables(tmp_path: Path, key: str, value: str) -> None:
    environ = {"HOME": str(tmp_path), f"ADW_{key.upper()}": value.replace("\0", "")}
    assert_settings_are_sound(tmp_path, environ)


@fuzz
@given(
    template=texts
    | st.lists(st.sampled_from(["..", "a", "{adw_id}", "{branch}", "/"])).map("/".join)
)
def test_worktrees_of_a_repositorys_settings_lie_in_it_or_beside_it(
    tmp_path: Path, template: str
) -> None:
    home = tmp_path / "app"
    home.mkdir(exist_ok=True)
    (home / "adw-worktree.toml").write_text(
        f"worktree_path = {toml(template)}", encoding="utf-8", errors="surrogatepass"
    )
    try:
        found = load_settings(home, environ={"HOME": str(tmp_path)})
        path = worktree_path(found, home=home, adw_id="x", branch="b", repo_name="app", bare=False)
    except SettingsError:
        return
    normal = Path(os.path.normpath(path))
    assert normal.is_relative_to(tmp_path)
    assert normal not in (tmp_path, home)


# ---- records -----------------------------------------------------------------------------------

LEASE = Lease(
    adw_id="a",
    slot=3,
    ports={"backend": 9103, "frontend": 9203, "docs": 9303},
    allocated_at=datetime(2026, 1, 2, tzinfo=UTC),
    state="active",
    token="0123456789abcdef" * 2,
    path="/src/app/trees/a",
    branch="a",
    admin_id="a",
    device=1,
    inode=2,
    home_device=1,
)
OTHER = Lease("r", 5, {"backend": 9105, "frontend": 9205}, LEASE.allocated_at, "active", "f" * 32)
LEDGER = json.loads(encode_leases([LEASE, OTHER]))
OLDER = {"a": {"backend": 9103, "frontend": 9203, "allocated_at": "2026-01-02T03:04:05"}}


@fuzz
@given(
    data=st.binary(max_size=60)
    | values.map(lambda value: json.dumps(value).encode())
    | mutations(LEDGER).map(lambda value: json.dumps(value).encode())
    | mutations(OLDER).map(lambda value: json.dumps(value).encode())
)
def test_ledger(data: bytes) -> None:
    try:
        leases, _ = decode_leases(data)
    except (DocumentDamaged, LedgerTooNew):
        return
    for adw_id, lease in leases.items():
        assert check_adw_id(adw_id) == lease.adw_id
        assert lease.path is None or lease.path.startswith("/")
        assert "/" not in (lease.admin_id or "")
        assert all(type(port) is int and 0 < port < 65536 for port in lease.ports.values())
    assert len({lease.slot for lease in leases.values()}) == len(leases)
    assert decode_leases(encode_leases(leases.values())) == (leases, False)


@fuzz
@given(entry=mutations(LEDGER["a"]))
def test_what_is_read_as_plain_is_what_pydantic_takes(entry: dict[str, Any]) -> None:
    """There are two ways to read an entry, and one is quick."""
    plain = schema._is_plain("a", entry)
    try:
        checked = schema._record().model_validate(entry)
    except ValidationError:
        assert not plain
        return
    if plain:
        told = schema._believe("a", checked.model_dump(exclude_none=True))
        assert schema._believe("a", entry) == told


@fuzz
@given(data=st.data())
def test_registry_entry(tmp_path: Path, data: st.DataObject) -> None:
    state, ledger = tmp_path / "state", tmp_path / "ledger.json"
    common = tmp_path / ".git"
    common.mkdir(exist_ok=True)
    registry.prepare_state_directory(state)
    found = common.stat()
    entry = registry.Entry(ledger, common, found.st_dev, found.st_ino, "id", {"a": LEASE})
    registry.record(state, entry)
    file = registry.file_of(state, entry)
    document = json.loads(file.read_bytes())
    file.write_text(json.dumps(data.draw(mutations(document) | values)))
    try:
        for one in registry.entries(state):
            assert isinstance(one.leases, dict)
            registry.is_there(one)
            registry.locate(one)
    except LedgerError as exc:
        assert exc.exit_code == 3


@fuzz
@given(data=st.data())
def test_receipt(tmp_path: Path, data: st.DataObject) -> None:
    write_receipt(tmp_path, LEASE)
    document = json.loads((tmp_path / RECEIPT).read_bytes())
    changed = data.draw(mutations(document) | values)
    (tmp_path / RECEIPT).write_text(json.dumps(changed))
    lease = load_receipt(tmp_path)
    if lease is not None:
        assert decode_leases(encode_leases([lease])) == ({lease.adw_id: lease}, False)


@fuzz
@given(data=st.data())
def test_trash_record(tmp_path: Path, data: st.DataObject) -> None:
    directory = tmp_path / "a-0123456789ab"
    directory.mkdir(exist_ok=True)
    entry = trash.Entry(
        directory.name, "/src/app/trees/a", "a", "0" * 40, "a", "a", LEASE.token, 3, "0" * 40,
        "refs/remotes/origin/main", trash.now(), True,
    )  # fmt: skip
    trash.save(directory, entry)
    assert trash.load(directory) == entry
    document = json.loads((directory / "entry.json").read_bytes())
    (directory / "entry.json").write_text(json.dumps(data.draw(mutations(document) | values)))
    found = trash.load(directory)
    if found is not None:
        assert found.name == directory.name
        assert Path(found.path).is_absolute()
        assert "/" not in found.admin_id
        trash.kept_until(found, 7)


@fuzz
@given(data=st.data())
def test_record_of_approvals(tmp_path: Path, data: st.DataObject) -> None:
    """What is damaged approves nothing; what is not says what was approved."""
    common = tmp_path / "app" / ".git"
    digest = "0" * 64
    document = {"schema_version": 1, "repositories": {str(common.resolve()): [digest]}}
    record = tmp_path / "trust.json"
    record.write_text(json.dumps(data.draw(mutations(document) | values)))
    record.chmod(0o600)
    try:
        approved = userhooks.is_trusted(tmp_path, common, digest)
    except AdwError as exc:
        assert exc.exit_code == 3
        return
    if approved:
        stored = json.loads(record.read_text())
        assert digest in stored["repositories"][str(common.resolve())]


# ---- what git says -----------------------------------------------------------------------------

names = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)
entries = st.builds(
    WorktreeEntry,
    path=names.map(lambda name: Path("/" + name.strip("/"))),
    head=st.just("0" * 40),
    branch=st.none() | names,
    bare=st.just(False),
    locked=st.none() | names | st.just(""),
    prunable=st.booleans(),
)


def rendered(entry: WorktreeEntry) -> str:
    """Return what `git worktree list --porcelain -z` prints for it."""
    lines = [f"worktree {entry.path}", f"HEAD {entry.head}"]
    lines.append(f"branch refs/heads/{entry.branch}" if entry.branch else "detached")
    if entry.locked is not None:
        lines.append(f"locked {entry.locked}" if entry.locked else "locked")
    if entry.prunable:
        lines.append("prunable its directory is gone")
    return "".join(f"{line}\0" for line in lines) + "\0"


@fuzz
@given(listed=st.lists(entries, max_size=4))
def test_list_of_worktrees_is_read_to_the_letter(listed: list[WorktreeEntry]) -> None:
    assert parse_worktrees("".join(map(rendered, listed))) == listed


@fuzz
@given(listed=st.lists(entries, max_size=3), end=st.integers(0, 200), rest=texts)
def test_list_of_worktrees_may_be_cut_short(
    listed: list[WorktreeEntry], end: int, rest: str
) -> None:
    text = "".join(map(rendered, listed))[:end]
    whole = parse_worktrees(text)
    assert len(whole) <= len(listed)
    parse_worktrees(text + rest)


@settings(fuzz, max_examples=stress_size(8, 200))
@given(wanted=st.lists(names.filter(lambda name: "/" not in name), max_size=4, unique=True))
def test_status_counts_what_is_there(tmp_path: Path, wanted: list[str]) -> None:
    shutil.rmtree(tmp_path / "repo", ignore_errors=True)
    repo = make_repo(tmp_path / "repo")
    made = 0
    for name in wanted:
        if name not in (".", "..") and name.lower() not in (".git", "git~1", "readme"):
            (repo / name).write_text("x")
            made += 1
    assert uncommitted(repo).untracked == made
    git("add", "--all", cwd=repo)
    found = uncommitted(repo)
    assert (found.changed, found.untracked) == (made, 0)


# ---- the hook's stdin --------------------------------------------------------------------------


@settings(fuzz, max_examples=stress_size(10, 200))
@given(
    data=st.binary(max_size=80)
    | st.sampled_from(
        [
            b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/$(touch fired)\n",
            b"`touch fired`\n" * 3,
            b"x" * 100_000,
            b"\n" * 50,
            b"a\0b",
        ]
    ),
    words=st.lists(texts.filter(lambda text: "\0" not in text), max_size=2),
)
def test_hook_is_neither_failed_nor_led_by_what_it_is_told(
    hooked: Adw, data: bytes, words: list[str]
) -> None:
    """A failing `reference-transaction` hook refuses what git was about to do."""
    hook = hooked.directory / ".git" / "hooks" / "reference-transaction"
    # Bytes, since not every text can be an argument.
    arguments = [word.encode(errors="surrogatepass") for word in words]
    done = subprocess.run(
        [os.fsencode(hook), *arguments], cwd=hooked.directory, input=data, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not list(hooked.directory.rglob("fired"))


@pytest.fixture
def hooked(adw: Adw) -> Adw:
    adw("hooks", "install")
    return adw


# ---- a whole life ------------------------------------------------------------------------------

IDS = ("a", "b", "c")
ids = st.sampled_from(IDS)


class Life(RuleBasedStateMachine):
    """Worktrees made, worked in, deleted in every way, removed and brought back, in any order.

    The model knows what a person made, and which ids have a worktree or a reservation.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.work: dict[str, str] = {}
        """What somebody wrote in the worktrees that are there."""
        self.trees: set[str] = set()
        self.reserved: set[str] = set()
        self.trashed: dict[str, str] = {}
        self.number = 0

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
        self.repo = make_repo(self.directory / "repo")

    @property
    def project(self) -> Project:
        return open_project(self.repo)

    def tree(self, adw_id: str) -> Path:
        return self.repo / "trees" / adw_id

    def attempt(self, action: Callable[[], object]) -> bool:
        """Do it, and return whether it was let."""
        try:
            action()
        except AdwError:
            return False
        return True

    @rule(adw_id=ids)
    def create(self, adw_id: str) -> None:
        made = create(self.project, adw_id)
        assert made.created == (adw_id not in self.trees)
        self.trees.add(adw_id)
        self.reserved.discard(adw_id)

    @precondition(lambda self: self.trees)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        adw_id = data.draw(st.sampled_from(sorted(self.trees)))
        self.number += 1
        self.work[adw_id] = str(self.number)
        (self.tree(adw_id) / "work").write_text(str(self.number))

    @rule(adw_id=ids, force=st.booleans(), delete=st.sampled_from(["never", "always"]))
    def remove(self, adw_id: str, force: bool, delete: Any) -> None:
        there, worked = adw_id in self.trees | self.reserved, adw_id in self.work
        consent = Consent(force=force, delete_branch=delete)
        done = self.attempt(lambda: remove(self.project, adw_id, consent))
        assert done == (there and (force or not worked))
        if done:
            self.trees.discard(adw_id)
            self.reserved.discard(adw_id)
            if worked:
                self.trashed[adw_id] = self.work.pop(adw_id)

    @rule(adw_id=ids)
    def restore(self, adw_id: str) -> None:
        done = self.attempt(lambda: restore(self.project, adw_id))
        assert done == (adw_id in self.trashed and adw_id not in self.trees)
        if done:
            self.work[adw_id] = self.trashed.pop(adw_id)
            self.trees.add(adw_id)
            self.reserved.discard(adw_id)

    @precondition(lambda self: self.trees)
    @rule(data=st.data(), prune=st.booleans())
    def delete_behind_our_back(self, data: st.DataObject, prune: bool) -> None:
        adw_id = data.draw(st.sampled_from(sorted(self.trees)))
        shutil.rmtree(self.tree(adw_id))
        if prune:
            git("worktree", "prune", cwd=self.repo)
        self.trees.discard(adw_id)
        self.work.pop(adw_id, None)

    @precondition(lambda self: self.trees)
    @rule(data=st.data())
    def remove_by_git(self, data: st.DataObject) -> None:
        adw_id = data.draw(st.sampled_from(sorted(self.trees)))
        git("worktree", "remove", "--force", str(self.tree(adw_id)), cwd=self.repo)
        self.trees.discard(adw_id)
        self.work.pop(adw_id, None)

    @rule(adw_id=ids)
    def reserve(self, adw_id: str) -> None:
        if adw_id not in self.trees:
            ensure_excluded(self.project, None)
            self.project.pool.reserve(adw_id)
            self.reserved.add(adw_id)

    @rule()
    def lose_the_ledger(self) -> None:
        git("clean", "-fdx", "--quiet", "--exclude=trees", cwd=self.repo)

    @rule()
    def reconcile(self) -> None:
        reconcile(self.project)
        assert not reconcile(self.project, dry_run=True).found_something

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "repo"):
            return
        project = self.project
        project.pool.release_gone()
        leases = project.pool.leases()
        assert {key for key, lease in leases.items() if lease.has_worktree} == self.trees
        assert {key for key, lease in leases.items() if not lease.has_worktree} == self.reserved
        assert len({lease.slot for lease in leases.values()}) == len(leases)
        for adw_id in self.trees:
            found = self.tree(adw_id) / "work"
            assert (found.read_text() if found.exists() else None) == self.work.get(adw_id)
        there = {entry.path.name for entry in list_worktrees(self.repo)[1:] if entry.path.exists()}
        assert there == self.trees
        assert branches(self.repo) <= {"main", *IDS}
        assert git("status", "--porcelain", cwd=self.repo) == ""


def test_a_whole_life_in_any_order(tmp_path: Path) -> None:
    run_state_machine_as_test(
        lambda: Life(tmp_path),  # type: ignore[arg-type]
        settings=settings(
            fuzz,
            max_examples=stress_size(6, 200),
            stateful_step_count=stress_size(12, 30),
        ),
    )
