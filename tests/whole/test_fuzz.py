"""Whatever bytes come from outside: an answer or a named error, never anything else.

The env file's parsers are fuzzed beside their other tests, in
`tests/worktrees/files/test_env_file.py`. The ordinary run takes the same examples each time; under
ADW_STRESS they are random, and many.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
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

from adw_worktree.adw_id import PATTERN, check_adw_id
from adw_worktree.errors import AdwError, LedgerError, LedgerTooNew, SettingsError
from adw_worktree.pool import document as schema
from adw_worktree.pool import doubts, registry
from adw_worktree.pool import state_directory as statedir
from adw_worktree.pool.document import (
    DocumentDamaged,
    decode_lease,
    decode_leases,
    encode_lease,
    encode_leases,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.lease_record import lease_record
from adw_worktree.pool.receipts import RECEIPT, load_receipt, write_receipt
from adw_worktree.project import Project, open_project
from adw_worktree.repo.branches import drop_branch
from adw_worktree.repo.integrated import is_integrated
from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import (
    WorktreeEntry,
    admin_directory,
    list_worktrees,
    parse_worktrees,
    worktree_of_admin,
)
from adw_worktree.repo.status import codes_in
from adw_worktree.repo.work import uncommitted
from adw_worktree.settings import approvals as userhooks
from adw_worktree.settings import check as settings_check
from adw_worktree.settings.check import TAKES
from adw_worktree.settings.load import load_settings
from adw_worktree.settings.places import ledger_path, worktree_path
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.reconcile import reconcile
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.rename import rename
from adw_worktree.worktrees.restore import restore
from tests.support.command_line import Adw, managed_hook
from tests.support.repositories import anywhere, branches, git, make_repo
from tests.support.stress_size import stress_size

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
        "/x\0y",
        "\ud800",
        "/\ud800",
        "/\udce9",
        "9999-12-31T23:59:59+00:00",
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
    "values": {"CACHE_PREFIX": "app-{slot}", "NOTE": ""},
    "write": ["direnv", "vite:web"],
    "container_ports": {"api": 80},
    "services": {"api": 9300},
    "slots": 100,
    "adopt": True,
    "spares": 2,
    "include": [".env", "*.local"],
    "link": ["data/"],
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


def toml_file(document: dict[str, Any]) -> str:
    return "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())


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
    (tmp_path / "adw-worktree.toml").write_text(
        toml_file(document), encoding="utf-8", errors="surrogatepass"
    )
    assert_settings_are_sound(tmp_path, {"HOME": str(tmp_path)})


@fuzz
@given(document=mutations(PLAUSIBLE))
def test_settings_that_are_plainly_right_are_what_pydantic_takes(document: dict[str, Any]) -> None:
    """There are two ways to check them, and one is quick."""
    try:
        document = tomllib.loads(toml_file(document).encode().decode())
    except (UnicodeEncodeError, tomllib.TOMLDecodeError):
        return
    plain = settings_check.plain_values(document)
    try:
        told = settings_check._validated(settings_check.Layer("a file", document))
    except SettingsError:
        assert plain is None
        return
    assert plain in (told, None)


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
@given(name=texts | st.text("aZ0._-/\n", max_size=66))
def test_adw_id_has_the_characters_of_the_pattern(name: str) -> None:
    try:
        check_adw_id(name)
    except AdwError:
        badly_dotted = ".." in name or name.endswith((".", ".lock"))
        assert badly_dotted or not re.fullmatch(PATTERN, name)
    else:
        assert re.fullmatch(PATTERN, name)


def with_right_digest(entries: Any) -> bytes:
    """Return a ledger of `entries` with the digest that makes it ours; a repository may do so."""
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).hexdigest()
    return json.dumps({"_schema": {"version": 1, "digest": digest}, **entries}).encode()


ENTRIES = {key: entry for key, entry in LEDGER.items() if key != "_schema"}


@fuzz
@given(
    entries=st.just(ENTRIES).map(deepcopy) | mutations(ENTRIES),
    field=st.sampled_from(["path", "branch", "admin_id", None]),
    name=texts,
)
@example(deepcopy(ENTRIES), "path", "/\ud800")
@example(deepcopy(ENTRIES), "branch", "\ud800")
@example(deepcopy(ENTRIES), "admin_id", "\ud800")
def test_ledger_with_a_right_digest_is_no_more_believed(
    entries: dict[str, Any], field: str | None, name: str
) -> None:
    if field is not None and isinstance(entries.get("a"), dict):
        entries["a"][field] = name
    entries.pop("_schema", None)
    try:
        leases, _ = decode_leases(with_right_digest(entries))
    except (DocumentDamaged, LedgerTooNew):
        return
    for lease in leases.values():
        for text in (lease.path, lease.branch, lease.admin_id):
            assert b"\0" not in os.fsencode(text or "")
        assert "/" not in (lease.admin_id or "")
    assert decode_leases(encode_leases(leases.values())) == (leases, False)


paths = st.binary(min_size=1, max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"x")))


@fuzz
@given(path=paths, branch=paths, admin_id=paths.filter(lambda name: "/" not in name))
def test_lease_of_a_worktree_anywhere_is_read_as_it_was_written(
    path: str, branch: str, admin_id: str
) -> None:
    """A path need not be UTF-8."""
    if admin_id in (".", ".."):
        return
    lease = LEASE._replace(path=f"/{path}", branch=branch, admin_id=admin_id)
    assert decode_leases(encode_leases([lease])) == ({"a": lease}, False)
    assert decode_lease("a", json.loads(json.dumps(encode_lease(lease)))) == lease


@pytest.mark.parametrize("field", ["common_dir", "ledger"])
@pytest.mark.parametrize("path", ["", ".", "app/.git", "../app/.git", "/a\0b", "/\ud800"])
def test_registry_entry_without_an_absolute_path_is_damaged(
    tmp_path: Path, field: str, path: str
) -> None:
    """A path that leads nowhere from here is no repository that is gone: its slots are held."""
    state, common = tmp_path / "state", tmp_path / "app" / ".git"
    common.mkdir(parents=True)
    statedir.prepare_state_directory(state)
    found = common.stat()
    entry = registry.Entry(
        tmp_path / "l.json", common, found.st_dev, found.st_ino, "", {"a": LEASE}
    )
    registry.record(state, entry)
    file = registry.file_of(state, entry)
    file.write_text(json.dumps({**json.loads(file.read_bytes()), field: path}))
    with pytest.raises(LedgerError, match="cannot be read"):
        list(registry.entries(state))


@fuzz
@given(stored=values | st.lists(scalars), freed=st.sets(st.integers(0, 99)))
def test_slots_in_doubt(tmp_path: Path, stored: Any, freed: set[int]) -> None:
    """Damage costs an order of preference, and no slot that is doubted from now on."""
    statedir.prepare_state_directory(tmp_path)
    (tmp_path / "doubtful.json").write_text(json.dumps(stored))
    before = doubts.doubtful_slots(tmp_path)
    doubts.doubt(tmp_path, [LEASE._replace(slot=slot) for slot in freed], None)
    assert doubts.doubtful_slots(tmp_path) == before | freed


@fuzz
@given(entry=mutations(LEDGER["a"]))
def test_what_is_read_as_plain_is_what_pydantic_takes(entry: dict[str, Any]) -> None:
    """There are two ways to read an entry, and one is quick."""
    plain = schema._is_plain("a", entry)
    try:
        checked = lease_record().model_validate(entry)
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
    statedir.prepare_state_directory(state)
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
        os.fsencode(found.path + found.admin_id + (found.branch or ""))
        trash.kept_until(found, 7)


@pytest.mark.parametrize("removed_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_trash_of_any_year_stays_until_its_days_are_over(adw: Adw, removed_at: str) -> None:
    """A clock may have been set to any year while a worktree was removed."""
    adw("create", "a")
    (adw.directory / "trees" / "a" / "work").write_text("work")
    adw("remove", "a", "--force")
    (record,) = (adw.directory / ".git" / "adw-worktree" / "trash").glob("a-*/entry.json")
    document = {**json.loads(record.read_bytes()), "removed_at": removed_at}
    record.write_text(json.dumps(document))
    adw("create", "b")
    adw("remove", "b")  # purges
    adw("restore")
    adw("restore", "a")
    assert (adw.directory / "trees" / "a" / "work").read_text() == "work"


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
    assert uncommitted(repo, repo / ".git").untracked == made
    git("add", "--all", cwd=repo)
    found = uncommitted(repo, repo / ".git")
    assert (found.changed, found.untracked) == (made, 0)


@fuzz
@given(
    status=st.text(st.sampled_from(["\0", " ", "?", "R", "C", "M", "A", "x", "\n"]), max_size=40)
)
def test_status_may_be_cut_short(status: str) -> None:
    codes = codes_in(status)
    assert len(codes) <= len([item for item in status.split("\0") if item])
    assert bool(codes) == bool(status.strip("\0"))


def test_a_rename_in_the_worktree_alone_is_one_change(repo: Path) -> None:
    (repo / "README").rename(repo / "READ")
    git("add", "--intent-to-add", "READ", cwd=repo)
    assert uncommitted(repo, repo / ".git").changed == 1


@fuzz
@given(data=st.binary(max_size=40), start=st.sampled_from([b"", b"gitdir: ", b"ref: refs/heads/"]))
def test_files_of_git_may_hold_anything(tmp_path: Path, data: bytes, start: bytes) -> None:
    for name in (".git", "gitdir", "HEAD"):
        (tmp_path / name).write_bytes(start + data)
    for path in (admin_directory(tmp_path), worktree_of_admin(tmp_path)):
        assert path is None or not path.exists() or path.is_absolute()
    branch = head_branch(tmp_path)
    assert (branch is None) == (not start.startswith(b"ref: "))


ODD_NAMES = ["a\u2028b", "a\u2029main", "a\u0085b", "a\u00a0", "a\u3000", "\u2028refs/heads/main"]


@pytest.mark.parametrize("branch", ODD_NAMES, ids=ascii)
def test_a_branch_is_no_second_one_for_a_line_break_in_its_name(repo: Path, branch: str) -> None:
    """`remove -d` would lose its commits: git allows what Python takes for the end of a line."""
    git("switch", "--quiet", "--create", branch, cwd=repo)
    assert head_branch(repo / ".git") == branch
    (repo / "work").write_text("work")
    git("add", "work", cwd=repo)
    git("commit", "--quiet", "-m", "work", cwd=repo)
    git("config", f"branch.{branch}.description", "x", cwd=repo)
    git("switch", "--quiet", "main", cwd=repo)
    found = open_project(repo).repo
    assert not is_integrated(found, branch, "main")
    commit = git("rev-parse", f"refs/heads/{branch}", cwd=repo).strip()
    assert drop_branch(found, branch, commit)
    assert "description" not in git("config", "--local", "--list", cwd=repo)


@pytest.mark.parametrize("branch", ODD_NAMES, ids=ascii)
def test_remove_refuses_an_unmerged_branch_of_any_name(adw: Adw, branch: str) -> None:
    """The branch is the only name of its commits."""
    adw("create", "a")
    tree = adw.directory / "trees" / "a"
    git("switch", "--quiet", "--create", branch, cwd=tree)
    (tree / "work").write_text("work")
    git("add", "work", cwd=tree)
    git("commit", "--quiet", "-m", "work", cwd=tree)
    assert adw.json("remove", "a", "-d", code=7)["error"]["code"] == "unmerged-branch"
    assert (tree / "work").exists()


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
    hooked: Adw, hook: Path, data: bytes, words: list[str]
) -> None:
    """A failing `reference-transaction` hook refuses what git was about to do."""
    # Bytes, since not every text can be an argument.
    arguments = [word.encode(errors="surrogatepass") for word in words]
    done = subprocess.run(
        [os.fsencode(hook), *arguments], cwd=hooked.directory, input=data, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not anywhere(hooked.directory, "fired")


@pytest.fixture
def hooked(adw: Adw) -> Adw:
    adw("hooks", "install")
    return adw


@pytest.fixture
def hook(hooked: Adw) -> Path:
    return managed_hook(hooked, "reference-transaction")


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

    @rule(old=ids, new=ids)
    def rename(self, old: str, new: str) -> None:
        lease = self.project.pool.leases().get(old)
        if lease is None:
            return
        admin = self.repo / ".git" / "worktrees" / str(lease.admin_id)
        taken = new in self.trees | self.reserved or (
            head_branch(admin) == old and new in branches(self.repo)
        )
        done = self.attempt(lambda: rename(self.project, lease, new))
        assert done == (old == new or not taken)
        if done and old != new:
            for ids_of in (self.trees, self.reserved):
                if old in ids_of:
                    ids_of.remove(old)
                    ids_of.add(new)
            if old in self.work:
                self.work[new] = self.work.pop(old)

    @rule(adw_id=ids)
    def restore(self, adw_id: str) -> None:
        done = self.attempt(lambda: restore(self.project, adw_id))
        assert done or adw_id not in self.trashed or adw_id in self.trees
        assert not done or adw_id not in self.trees
        if done:
            if adw_id in self.trashed:  # else git's entry alone, of a directory that was deleted
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
